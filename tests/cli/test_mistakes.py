"""Words that do not fit a command: one plain sentence that names the argument and what it is for."""

import pytest

from tests.cli.conftest import Door


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("contacts",),
            "`muster contacts` needs CAMPAIGN (the campaign's key; before its launch its folder is looked at)",
        ),
        (("hand-in",), "`muster hand-in` needs CAMPAIGN (the campaign's key)"),
        (("hand-in", "x"), "`muster hand-in` needs UNIT (the unit's code)"),
        (("hand-in", "x", "BH001", "a.xlsx"), "`muster hand-in` needs --received (the true moment"),
        (("settle",), "`muster settle` needs NUMBER (the mail's number, as `muster queue` lists it)"),
        (("settle", "x", "--as", "sent", "--grounds", "y"), "'x' is no whole number for NUMBER (the mail's number"),
        (("settle", "3", "--grounds", "y"), "`muster settle` needs --as (sent, if it arrived; again, if"),
        (("settle", "3", "--as", "sent", "--grounds", "y", "z"), "`muster settle` has no use for 'z'"),
        (("resend", "3"), "`muster resend` needs --grounds (who asked for it and why; kept in the audit trail)"),
        (("release",), "`muster release` needs --grounds (who decided it and why"),
        (("hold", "--grounds"), "`muster hold` needs --grounds (who decided it and why"),
        (("hold", "all", "--grounds", "x"), "`muster hold` has no use for 'all'"),
        (("hold", "--lanes", "x", "--grounds", "y"), "has no option --lanes; it has --campaign, --lane, --grounds"),
        (("hold", "--grounds", "x", "--grounds", "y"), "--grounds specified multiple times"),
        (("dance",), "there is no command 'dance'; `muster --help` says more"),
    ],
)
def test_an_argument_that_does_not_fit_is_named_with_its_use(
    bare_door: Door, words: tuple[str, ...], said: str
) -> None:
    status, _, complained = bare_door(*words)
    assert status == 2
    assert said in complained
    assert complained.count("\n") == 1
    assert "--help` says more" in complained
