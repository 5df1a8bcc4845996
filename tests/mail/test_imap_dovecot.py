"""The IMAP mailbox against Dovecot, which many offices' mailboxes are: TLS, IDLE, a numbering that changes."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from imap_tools import MailBoxUnencrypted

from mail.imap import ImapMailbox, ImapServer
from mail.mailbox import Fetched, MailboxAway
from tests import servers
from tests.mail.test_imap import AT
from tests.mail.test_smtp import certificate as certificate  # noqa: PLC0414  a fixture of ours too

FIRST, SECOND = b"Subject: a\r\n\r\n\xb2\xe2\xca\xd4\r\n", b"Subject: b\r\n\r\ntwo\r\n"


class Account:
    """A mailbox of its own on the server: a client that delivers, and the mailbox under test."""

    def __init__(self, server: tuple[int, int, Path], ca: Path) -> None:
        self.plain, self.tls, self.maildir = server
        self.ca = ca
        self.opened: list[ImapMailbox] = []
        self.taken: dict[tuple[str, str], Fetched] = {}

    def mailbox(self, tls: str, *, trusted: bool = True, host: str = "127.0.0.1") -> ImapMailbox:
        port = self.tls if tls == "implicit" else self.plain
        ca_file = str(self.ca) if trusted else ""
        known = {"host": host, "user": "intake", "password": "secret", "timeout_s": 5.0}
        self.opened.append(ImapMailbox(ImapServer(port=port, tls=tls, ca_file=ca_file, **known)))  # type: ignore[arg-type]
        return self.opened[-1]

    def deliver(self, *raws: bytes) -> None:
        with MailBoxUnencrypted("127.0.0.1", self.plain, timeout=5).login("intake", "secret") as box:
            for raw in raws:
                box.append(raw, "INBOX", dt=AT)

    def fetch(self, mailbox: ImapMailbox) -> list[bytes]:
        before = {numbering: [int(uid) for kept, uid in self.taken if kept == numbering] for numbering, _ in self.taken}
        found = []
        for mail in mailbox.new(lambda numbering: max(before.get(numbering, [0]))):
            self.taken[mail.uid_validity, mail.uid] = mail
            mailbox.take(mail)
            found.append(mail.raw)
            assert mail.received_at == AT
        return found


@pytest.fixture(scope="module")
def server(certificate: Path) -> Iterator[tuple[int, int, Path]]:
    with servers.dovecot(certificate) as ports:
        yield ports


@pytest.fixture
def account(server: tuple[int, int, Path], certificate: Path) -> Iterator[Account]:
    known = Account(server, certificate)
    yield known
    for mailbox in known.opened:
        mailbox.close()
    with MailBoxUnencrypted("127.0.0.1", known.plain, timeout=5).login("intake", "secret") as box:
        box.delete(box.uids())


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_each_mail_is_fetched_once_over_tls_and_flagged(account: Account, tls: str) -> None:
    mailbox = account.mailbox(tls)
    account.deliver(FIRST)
    assert account.fetch(mailbox) == [FIRST]
    account.deliver(SECOND)
    assert account.fetch(mailbox) == [SECOND]
    assert account.fetch(account.mailbox(tls)) == []
    with MailBoxUnencrypted("127.0.0.1", account.plain, timeout=5).login("intake", "secret") as box:
        assert [set(m.flags) >= {"\\Seen", "$MusterTaken"} for m in box.fetch(mark_seen=False)] == [True, True]


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize(
    ("how", "remedy"),
    [
        ({"trusted": False}, "name the file of its authority's certificate in MUSTER_IMAP_CA_FILE"),
        ({"host": "localhost"}, "give the server's name as its certificate has it in MUSTER_IMAP_HOST"),
    ],
    ids=["a stranger vouches for it", "it is another's"],
)
def test_a_certificate_that_proves_nothing_is_refused_before_the_password_is_said(
    account: Account, tls: str, how: dict[str, Any], remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("imap_tools.BaseMailBox.login", lambda *words, **_: said.extend(words))
    with pytest.raises(
        MailboxAway, match=rf"^intake at \S+: its certificate is not trusted: \S.*; .*{remedy}$"
    ) as caught:
        account.fetch(account.mailbox(tls, **how))
    assert caught.value.wants_staff
    assert said == []


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_idle_over_tls_wakes_when_mail_comes_and_the_mailbox_is_used_on(account: Account, tls: str) -> None:
    mailbox = account.mailbox(tls)
    assert account.fetch(mailbox) == []
    began = time.monotonic()
    later = threading.Timer(0.2, account.deliver, [FIRST])
    later.start()
    mailbox.wait(60, lambda: False)
    assert time.monotonic() - began < 30
    later.join()
    assert account.fetch(mailbox) == [FIRST]
    mailbox.wait(0.1, lambda: False)  # nothing comes
    account.deliver(SECOND)
    assert account.fetch(mailbox) == [SECOND]


def test_a_numbering_begun_anew_is_read_from_its_beginning(account: Account) -> None:
    mailbox = account.mailbox("implicit")
    account.deliver(FIRST, SECOND)
    assert account.fetch(mailbox) == [FIRST, SECOND]
    (before,) = {numbering for numbering, _ in account.taken}
    mailbox.close()
    numbers = account.maildir / "dovecot-uidlist"
    head, *lines = numbers.read_text().splitlines(keepends=True)
    renumbered = int(before) + 1000
    numbers.write_text(head.replace(f" V{before} ", f" V{renumbered} ") + "".join(lines))
    for index in account.maildir.glob("dovecot.index*"):
        index.unlink()
    assert account.fetch(mailbox) == [FIRST, SECOND]
    assert {numbering for numbering, _ in account.taken} == {before, str(renumbered)}
    assert account.fetch(mailbox) == []


def test_a_mail_program_that_sorts_the_mailbox_meanwhile_stops_nobody(account: Account) -> None:
    mailbox = account.mailbox("starttls")
    account.deliver(FIRST, SECOND, FIRST)
    with MailBoxUnencrypted("127.0.0.1", account.plain, timeout=5).login("intake", "secret") as box:
        assert account.fetch(mailbox) == [FIRST, SECOND, FIRST]
        box.delete(box.uids()[:2])  # somebody tidies up
    account.deliver(SECOND)
    assert account.fetch(mailbox) == [SECOND]
