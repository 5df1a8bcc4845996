"""Staff's accounts by command: added, listed, changed and removed, and no password shown or kept."""

from pathlib import Path

import pytest

from tests.cli.conftest import Door, Muster


@pytest.fixture
def password(tmp_path: Path) -> str:
    path = tmp_path / "password.txt"
    path.write_text("correct horse battery\nnot this line\n", encoding="utf-8")
    return str(path)


def test_an_account_is_added_listed_changed_and_removed(
    muster: Muster, own_door: Door, tmp_path: Path, password: str
) -> None:
    done = muster("staff", "add", "li", "--role", "viewer", "--display", "李四", "--password-file", password)
    assert (done.returncode, done.stdout) == (0, "li may log in at /staff/ of the portal as viewer\n"), done.stderr
    assert own_door("staff", "role", "li", "approver")[0] == 0
    listed = own_door("staff", "list")[1]
    assert "李四" in listed
    assert "approver" in listed
    assert "0 visits ended" in own_door("staff", "password", "li", "--password-file", password)[1]
    assert b"correct horse" not in (tmp_path / "var" / "ledger.db").read_bytes()
    assert own_door("staff", "remove", "li")[0] == 0
    assert "0 accounts" in own_door("staff", "list")[1]
    assert "the audit trail verifies: 4 entries" in muster("audit", "--verify").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "Li Si", "--role", "viewer"), "is no name of an account"),
        (("add", "li", "--role", "boss"), "is no role; use viewer, operator, approver"),
        (("role", "nobody", "viewer"), "there is no account 'nobody'"),
        (("remove", "nobody"), "there is no account 'nobody'"),
        (("add", "li", "--role", "viewer", "--password-file", "/no/such/file"), "name a file whose first line is it"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(own_door: Door, password: str, words: tuple[str, ...], said: str) -> None:
    given = () if "--password-file" in words or words[0] != "add" else ("--password-file", password)
    status, _, complained = own_door("staff", *words, *given)
    assert status == 1
    assert said in complained.replace("\n", " ")
    assert "Traceback" not in complained
