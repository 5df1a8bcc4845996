"""What the ledger refuses.

LedgerError
├── UnknownCampaign
├── UnknownParty
├── AlreadyRecorded
├── BehindTheCampaign
├── TakenOver
├── UnknownHold
├── UnknownMessage
├── UnknownSubmission
├── UnknownFinding
├── UnknownRequest
├── UnknownPaper
├── UnknownDecision
├── DecidedMeanwhile
├── UnknownStaff
└── BrokenChain
"""

from sqlalchemy.exc import DBAPIError


class LedgerError(Exception):
    """Something the ledger refuses; the sentence says what and what to do."""


class UnknownCampaign(LedgerError):  # noqa: N818  the words of the office
    """No campaign of that key has been launched."""


class UnknownParty(LedgerError):  # noqa: N818
    """No party of that code takes part in the campaign."""


class AlreadyRecorded(LedgerError):  # noqa: N818
    """The thing is on record already."""


class BehindTheCampaign(LedgerError):  # noqa: N818
    """A real sending was asked for a moment that the campaign has passed."""


class DecidedMeanwhile(LedgerError):  # noqa: N818
    """A colleague decided about the same thing after this was asked for, and before it could be done.

    Attributes:
        particulars: who decided, and by which decision.

    """

    def __init__(self, said: str, **particulars: str) -> None:
        """Keep the sentence, and what others need for theirs."""
        super().__init__(said)
        self.particulars = particulars


class BrokenChain(LedgerError):  # noqa: N818
    """The audit trail does not verify."""


class UnknownHold(LedgerError):  # noqa: N818
    """Nothing is on hold there."""


class UnknownMessage(LedgerError):  # noqa: N818
    """There is no such message, or it is in no state to be settled."""


class UnknownSubmission(LedgerError):  # noqa: N818
    """There is no such version."""


class UnknownFinding(LedgerError):  # noqa: N818
    """There is no such finding."""


class UnknownRequest(LedgerError):  # noqa: N818
    """There is no such request."""


class UnknownPaper(LedgerError):  # noqa: N818
    """There is no such paper."""


class UnknownApproval(LedgerError):  # noqa: N818
    """Nothing waits for consent on that occasion."""


class UnknownDecision(LedgerError):  # noqa: N818
    """There is no such decision."""


class UnknownStaff(LedgerError):  # noqa: N818
    """No account has that name."""


class TakenOver(LedgerError):  # noqa: N818
    """A sender's lease ran out, and others have judged what it had."""


def told(error: Exception) -> str:
    """Return what an exception says; of one of the database's, without the statement and its parameters."""
    bare = error.orig if isinstance(error, DBAPIError) else error
    return f"{type(bare).__name__}: {bare}"
