"""The same file for the next period of a series, by mail: a resend of the last one, or this period's own.

What stands for an earlier period is taken for the one owed now only where the mail answers one of ours that names the
one owed now and not the earlier. Where it answers one that names the earlier alone, it is a resend. Else the unit is
asked; whatever it sends after the reminder for the period tells by itself.
"""

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.tables import ItemRow, MessageRow
from mail.parsing import IncomingMail, parse_mail
from mail.tokens import find_tokens
from office import wording
from office.destination import HandIn, answered_one
from office.premises import Premises
from office.workbooks import NotPlacedError
from rules.obligations import Obligation, is_owed


def meant_for_next(
    session: Session, premises: Premises, hand_in: HandIn, mine: Sequence[Obligation], before: Mapping[int, bool]
) -> int | None:
    """Return the occurrence for which a file is meant that stands for an earlier one; None if it was only sent again.

    ``mine`` are the unit's occurrences of the deliverable, ``before`` those it was handed in for, and whether it stands
    there. What staff assign after the unit was asked is for the one that is owed.

    Raises:
        NotPlacedError: nobody can tell; the unit is asked.

    """
    owed = answered_one(mine, hand_in.received_at, before)
    if hand_in.channel != "mail" or before.get(owed.id, False) or not is_owed(owed):
        return None
    if hand_in.occasion:
        return owed.id
    named = _named_in_answered(session, premises, parse_mail(premises.files.get(hand_in.intake.raw_sha256)))
    earlier = named & {id_ for id_, stands in before.items() if stands}
    if owed.id in named and not earlier:
        return owed.id
    if earlier and owed.id not in named:
        return None
    raise NotPlacedError(
        wording.PROBLEM["same_as_before"],
        "the same stands for an earlier period, and the mail does not tell whether it is for this one",
    )


def _named_in_answered(session: Session, premises: Premises, mail: IncomingMail) -> frozenset[int]:
    """Return the obligations that the mail of ours names which a mail answers."""
    message = next(_answered(session, premises.secret, mail), None)
    if message is None:
        return frozenset()
    return frozenset(session.scalars(select(ItemRow.obligation_id).where(ItemRow.message_id == message)))


def _answered(session: Session, secret: bytes, mail: IncomingMail) -> Iterator[int]:
    if mail.in_reply_to:
        yield from session.scalars(select(MessageRow.id).where(MessageRow.message_id == mail.in_reply_to))
    for text in (mail.in_reply_to, *mail.recipients, mail.subject):
        yield from (token.number for token in find_tokens(text, secret) if token.kind == "m")
