"""The IMAP mailbox against a real server: what came is fetched once, whatever breaks; nothing is deleted."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from imap_tools import BaseMailBox, MailBoxUnencrypted

from mail.imap import ImapMailbox, ImapServer
from mail.mailbox import Fetched, MailboxAway
from tests import servers
from tests.mail.test_smtp import certificate as certificate  # noqa: PLC0414  a fixture of ours too

AT = datetime(2020, 5, 28, 1, 2, 3, tzinfo=UTC)
PLAIN = ("--no-tls",)


class Post:
    """An IMAP server, a client of it that delivers, and the mailbox under test."""

    def __init__(self, port: int, **changes: object) -> None:
        self.port = port
        known = {"host": "127.0.0.1", "port": port, "tls": "none", "user": "intake", "password": "secret"}
        self.mailbox = ImapMailbox(ImapServer(**{**known, "timeout_s": 5.0, **changes}), largest=20_000)  # type: ignore[arg-type]
        self.taken: dict[tuple[str, str], Fetched] = {}

    def client(self) -> BaseMailBox:
        return MailBoxUnencrypted("127.0.0.1", self.port, timeout=5).login("intake", "secret")

    def deliver(self, *raws: bytes) -> None:
        with self.client() as box:
            for raw in raws:
                box.append(raw, "INBOX", dt=AT)

    def last_of(self, numbering: str) -> int:
        return max((int(uid) for kept, uid in self.taken if kept == numbering), default=0)

    def fetch(self, limit: int = 100, into: list[Fetched] | None = None) -> list[Fetched]:
        found = [] if into is None else into
        for mail in self.mailbox.new(self.last_of):
            found.append(mail)
            self.taken[mail.uid_validity, mail.uid] = mail
            self.mailbox.take(mail)
            if len(found) == limit:
                break
        return found


@pytest.fixture
def post() -> Iterator[Post]:
    with servers.imap(*PLAIN) as port:
        opened = Post(port)
        yield opened
        opened.mailbox.close()


def test_each_mail_is_fetched_once_with_its_bytes_and_the_moment_the_server_received_it(post: Post) -> None:
    assert post.fetch() == []
    post.deliver(b"Subject: a\r\n\r\none\r\n", b"Subject: b\r\n\r\n\xb2\xe2\xca\xd4\r\n")
    found = post.fetch()
    assert [f.raw for f in found] == [b"Subject: a\r\n\r\none\r\n", b"Subject: b\r\n\r\n\xb2\xe2\xca\xd4\r\n"]
    assert {f.received_at for f in found} == {AT}
    assert all(f.is_whole for f in found)
    assert len({f.uid_validity for f in found}) == 1
    assert found[0].uid_validity
    assert post.fetch() == []


def test_what_was_taken_is_flagged_and_nothing_is_deleted_or_trusted_to_flags(post: Post) -> None:
    post.deliver(b"Subject: a\r\n\r\n", b"Subject: b\r\n\r\n")
    with post.client() as box:
        box.client.select("INBOX")
        box.client.store("1", "+FLAGS", r"(\Seen \Deleted)")  # by somebody who looked in
    assert len(post.fetch()) == 2
    with post.client() as box:
        flags = [m.flags for m in box.fetch(mark_seen=False)]
    assert len(flags) == 2
    assert all("\\Seen" in f for f in flags)


def test_after_a_crash_between_commit_and_flag_it_goes_on_behind_what_is_on_record(post: Post) -> None:
    post.deliver(*(b"Subject: %d\r\n\r\n" % n for n in range(5)))
    assert len(post.fetch(limit=2)) == 2
    again = Post(post.port)
    again.taken = post.taken
    assert [f.raw for f in again.fetch()] == [b"Subject: %d\r\n\r\n" % n for n in (2, 3, 4)]
    again.mailbox.close()


def test_of_a_mail_that_is_too_large_the_head_is_fetched_and_the_next_one_whole(post: Post) -> None:
    post.deliver(b"Subject: large\r\n\r\n" + b"x" * 30_000, b"Subject: small\r\n\r\nx")
    large, small = post.fetch()
    assert large.raw.startswith(b"Subject: large")
    assert len(large.raw) < 100
    assert large.size > 30_000
    assert not large.is_whole
    assert small.is_whole


def test_a_mail_that_the_server_does_not_give_stops_nobody(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    from mail import imap  # noqa: PLC0415

    real = imap._bytes

    def refuses(box: BaseMailBox, uid: int, **how: bool) -> bytes | None:
        if b"poison" in (real(box, uid, head_only=False) or b""):
            raise OSError("reset by peer")
        return real(box, uid, **how)

    monkeypatch.setattr(imap, "_bytes", refuses)
    post.deliver(b"Subject: a\r\n\r\n", b"Subject: poison\r\n\r\n", b"Subject: c\r\n\r\n")
    found: list[Fetched] = []
    for _ in range(imap.STUMBLES):
        with pytest.raises(MailboxAway, match="reset by peer"):
            post.fetch(into=found)
    left, last = post.fetch()
    assert [f.raw for f in (*found, last)] == [b"Subject: a\r\n\r\n", b"Subject: c\r\n\r\n"]
    assert "could not be fetched" in left.trouble
    assert not left.is_whole


def test_a_mailbox_that_was_away_is_fetched_when_it_is_back_and_numbered_anew(post: Post) -> None:
    with ExitStack() as first:
        port = first.enter_context(servers.imap(*PLAIN))
        moved = Post(port)
        moved.deliver(b"Subject: a\r\n\r\n")
        assert len(moved.fetch()) == 1
    with pytest.raises(MailboxAway, match=r"broke|reached") as caught:
        moved.fetch()
    assert not caught.value.wants_staff
    with pytest.raises(MailboxAway, match="cannot be reached"):
        moved.fetch()
    with servers.imap(*PLAIN, port=port):  # its memory is lost: the numbering is another
        moved.deliver(b"Subject: a\r\n\r\n")
        (mail,) = moved.fetch()
    assert len({numbering for numbering, _ in moved.taken}) == 2
    assert mail.raw == b"Subject: a\r\n\r\n"


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"password": "wrong"}, "user or password was refused"), ({"folder": "报送"}, "cannot be opened")],
)
def test_what_only_staff_can_mend_is_said_so(post: Post, changes: dict[str, str], said: str) -> None:
    with pytest.raises(MailboxAway, match=said) as caught:
        Post(post.port, **changes).fetch()
    assert caught.value.wants_staff


def test_idle_wakes_at_once_and_a_stop_is_heard(post: Post) -> None:
    post.fetch()
    began = time.monotonic()
    threading.Timer(0.5, post.deliver, [b"Subject: a\r\n\r\n"]).start()
    post.mailbox.wait(20, lambda: False)
    assert time.monotonic() - began < 10
    assert len(post.fetch()) == 1
    began = time.monotonic()
    post.mailbox.wait(20, lambda: time.monotonic() - began > 0.5)
    assert time.monotonic() - began < 10


@pytest.fixture
def encrypted(certificate: Path) -> Iterator[Callable[..., Post]]:
    key = ("--cert", str(certificate), "--key", str(certificate))
    with servers.imap(*key) as port:
        yield lambda **changes: Post(port, tls="starttls", **changes)


def test_an_encrypted_mailbox_is_fetched_if_its_certificate_is_trusted(
    encrypted: Callable[..., Post], certificate: Path
) -> None:
    assert encrypted(ca_file=str(certificate)).fetch() == []
    with pytest.raises(MailboxAway, match="certificate is not trusted") as caught:
        encrypted().fetch()
    assert caught.value.wants_staff
