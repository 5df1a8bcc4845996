"""What a rehearsal says at its end."""

from collections import Counter
from io import StringIO
from pathlib import Path

from rich.console import Console

from deployments.rehearsing import _mails_told, _show_check, _show_how_to_look
from flows.rehearse import Check
from ledger.audit import Verdict
from office.accounts import Accounts, CategoryLine
from rules.rates import Totals


def console() -> tuple[Console, StringIO]:
    said = StringIO()
    return Console(file=said, width=80), said


def test_a_check_that_fails_says_what_was_expected_what_was_found_and_where_to_look() -> None:
    screen, said = console()
    check = Check(name="All is [well].", holds=False, expected="[1]", found="[2]", look="muster queue")
    _show_check(screen, check)
    assert said.getvalue().splitlines() == [
        "✗ Does not hold: All is [well].",
        "  expected: [1]",
        "  found:    [2]",
        "  look at:  muster queue",
    ]


def test_each_count_of_mails_says_what_it_counts() -> None:
    line = CategoryLine(category="街镇", units=3, mails=7, escalated=0, totals=Totals())
    accounts = Accounts(
        lines=(line,),
        messages=Counter(sent=7, bounced=1, ambiguous=1, refused=2, superseded=1),
        taken_by_relay=8,
        said_twice=0,
        untold=(),
        chased_after_report=0,
        intake={"hand_in": 4},
        audit=Verdict(entries=1, head=""),
    )
    out, by_state, into = _mails_told(accounts)
    assert out.startswith("mails out: 12 written, 9 taken by the post office: 7 to units")
    assert "2 to the office" in out
    assert "2 refused" in by_state
    assert into == "mails in:  4 hand_in"


def test_the_lines_to_copy_name_the_folder_as_a_shell_reads_it() -> None:
    screen, said = console()
    _show_how_to_look(screen, "flood", Path("/srv/my rehearsals"))
    assert "MUSTER_VAR_DIR='/srv/my rehearsals/var'" in said.getvalue()
    assert "MUSTER_LEDGER_URL=\n" in said.getvalue()
