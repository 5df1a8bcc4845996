"""Commands over staff's accounts for the staff pages in the portal."""

import getpass
import sys
from pathlib import Path

from cyclopts import App

from cli.desk import Refused, act, premises
from cli.showing import say, table

app = App(name="staff", help="Accounts for the staff pages: who may look, work and decide there.")


@app.command
def add(name: str, *, role: str, display: str = "", password_file: Path | None = None) -> None:
    """Add an account. The password is asked for twice; without a terminal it is the first line of standard input.

    Args:
        name: what is typed to log in: a-z, 0-9, dot, dash; a letter first.
        role: viewer (looks), operator (does the daily work) or approver (decides too).
        display: the person's name, as the pages show it.
        password_file: a file whose first line is the password.

    """
    from office.staff_accounts import add as record  # noqa: PLC0415
    from office.staff_accounts import hash_password, read_role  # noqa: PLC0415

    house = premises()
    read_role(role)
    hashed = hash_password(_password(name, password_file), name)
    with house.ledger.writing() as session:
        record(session, act(), name, display=display, role=role, hashed=hashed)
    where = f"{house.portal_url.rstrip('/')}/staff/" if house.portal_url else "/staff/ of the portal"
    say(f"{name} may log in at {where} as {role}")


@app.command(name="list")
def list_() -> None:
    """List the accounts, with their roles."""
    from ledger.staff import staff_of  # noqa: PLC0415

    with premises().ledger.reading() as session:
        rows = [(row.name, row.display, row.role, str(row.failures)) for row in staff_of(session)]
    table(("name", "shown as", "role", "failed logins since the last"), rows, title="staff")
    many = "1 account" if len(rows) == 1 else f"{len(rows)} accounts"
    say(f"{many}; `muster staff add NAME --role viewer|operator|approver` adds one")


@app.command(name="role")
def role_(name: str, role: str) -> None:
    """Give an account another role; it holds with the next page.

    Args:
        name: the account.
        role: viewer, operator or approver.

    """
    from ledger.staff import find_staff, give_role  # noqa: PLC0415
    from office.staff_accounts import read_role  # noqa: PLC0415

    given = read_role(role)
    with premises().ledger.writing() as session:
        give_role(session, act(), find_staff(session, name), given)
    say(f"{name} is {given} from now on")


@app.command
def password(name: str, *, password_file: Path | None = None) -> None:
    """Give an account another password; all its visits end.

    Args:
        name: the account.
        password_file: a file whose first line is the password.

    """
    from ledger.staff import find_staff, give_password  # noqa: PLC0415
    from office.staff_accounts import hash_password  # noqa: PLC0415

    house = premises()
    with house.ledger.reading() as session:
        find_staff(session, name)
    hashed = hash_password(_password(name, password_file), name)
    with house.ledger.writing() as session:
        ended = give_password(session, act(), find_staff(session, name), hashed)
    say(f"the password of {name} is changed; {ended} visits ended")


@app.command
def remove(name: str) -> None:
    """Remove an account; all its visits end. What it did stays on record under its name.

    Args:
        name: the account.

    """
    from ledger.staff import find_staff, remove_staff  # noqa: PLC0415

    with premises().ledger.writing() as session:
        ended = remove_staff(session, act(), find_staff(session, name))
    say(f"{name} is removed; {ended} visits ended")


def _password(name: str, file: Path | None) -> str:
    """Return a password: the first line of a file or of what is piped in, or what is typed twice without echo."""
    if file is not None:
        try:
            return _first_line(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise Refused(f"{file} cannot be read: {error.strerror}; name a file whose first line is it") from None
    if not sys.stdin.isatty():
        return _first_line(sys.stdin.readline())
    first = getpass.getpass(f"password for {name}: ")
    if getpass.getpass("once more: ") != first:
        raise Refused("the two are not the same; nothing was changed")
    return first


def _first_line(text: str) -> str:
    return text.split("\n", 1)[0].rstrip("\r")
