"""The board of commands, and the one way in."""

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError
from pydantic import ValidationError

from cli import (
    accounts,
    calendar,
    campaigns,
    decisions,
    delivery,
    deploy,
    explain,
    incoming,
    ladder,
    mails,
    papers,
    portal,
    review,
    staff,
    up,
    wishes,
)
from cli.desk import Refused
from cli.mistakes import in_plain_words
from cli.showing import complain

app = App(
    name="muster",
    help="Run a reporting campaign: launch, remind, collect, escalate, consolidate.",
    version_flags=["--version"],
)
for command in (
    campaigns.check,
    campaigns.plan,
    calendar.calendar,
    campaigns.board,
    campaigns.run,
    campaigns.go_live,
    campaigns.add_unit,
    campaigns.rehearse,
    up.up,
    up.down,
    up.ps,
    mails.mails,
    mails.mail,
    delivery.serve,
    portal.portal,
    deploy.deploy,
    deploy.undeploy,
    portal.link,
    delivery.hold,
    delivery.release,
    delivery.lanes,
    delivery.settle,
    delivery.resend,
    staff.queue,
    staff.contacts,
    staff.hand_in,
    staff.audit,
    incoming.assign,
    incoming.answer,
    incoming.dismiss,
    ladder.approvals,
    ladder.approve,
    ladder.decline,
    review.findings,
    review.confirm,
    review.accept,
    review.reopen,
    review.versions,
    review.files,
    review.original,
    review.originals,
    wishes.requests,
    wishes.grant,
    wishes.refuse,
    wishes.contact,
    wishes.revoke_links,
    wishes.calls,
    wishes.call,
    papers.papers,
    papers.draft_orders,
    papers.draft_circulation,
    papers.approve_paper,
    papers.drop_paper,
    explain.explain,
    decisions.extend,
    decisions.exempt,
    decisions.remove_unit,
    decisions.come_back,
    decisions.superior,
    decisions.pause,
    decisions.resume,
    decisions.close,
    decisions.reopen_campaign,
    decisions.correct,
    decisions.announce,
    decisions.amend,
    decisions.decisions,
    decisions.undo,
):
    app.command(command)
app.command(review.return_, name="return")
app.command(accounts.app)


def main(words: Sequence[str] | None = None) -> None:
    """Run a command; a refusal is one plain sentence and exit 1 (2 if the words do not fit), never a traceback."""
    from definition.faults import FaultyCampaign  # noqa: PLC0415  imports wait until they are needed: help is instant
    from ledger.errors import LedgerError  # noqa: PLC0415

    try:
        app(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        complain(in_plain_words(error))
        sys.exit(2)
    except FaultyCampaign as error:
        complain(f"{len(error.faults)} fault(s):", style="red")
        for fault in error.faults:
            complain(str(fault))
        sys.exit(1)
    except ValidationError as error:
        for detail in error.errors():
            name = "_".join(str(step) for step in detail["loc"]).upper()
            said = str(detail["msg"]).removeprefix("Value error, ")
            complain(f"MUSTER_{name}: {said}" if name else said)
        sys.exit(1)
    except (Refused, LedgerError, ValueError, FileNotFoundError) as error:
        complain(str(error))
        sys.exit(1)
    except BrokenPipeError:  # whoever read our output has had enough; nor may the interpreter complain when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        complain("stopped")
        sys.exit(130)
