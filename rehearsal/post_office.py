"""The post office: real SMTP on loopback. It stamps the world's time, delivers, refuses, and returns."""

import re
from asyncio import Server, Transport
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from threading import Lock
from typing import cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP as SMTPServer  # noqa: N811  aiosmtpd's class
from aiosmtpd.smtp import Envelope, Session

from mail.maildir import deliver
from rehearsal.clock import WorldClock

LOOPBACK = "127.0.0.1"
UNSAFE = re.compile(r"[^A-Za-z0-9.@_-]")
MAX_MAIL = 50 * 1024 * 1024


class _AnyPort(Controller):
    """A controller on a port that the system chose; aiosmtpd knocks on port 0 otherwise."""

    def _trigger_server(self) -> None:
        if isinstance(self.server, Server):
            self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


class PostOffice:
    """Takes mail on a free port of loopback. Mail to the office goes to its Maildir, the rest to unit mailboxes."""

    def __init__(self, clock: WorldClock, *, mails: Path, intake: Path, intake_address: str, hostname: str) -> None:
        """Prepare; ``mails`` receives each unit mail as .eml, ``intake`` is the office's Maildir."""
        self._clock = clock
        self._mails = mails
        self._intake = intake
        box, _, domain = intake_address.lower().partition("@")
        self._is_intake = re.compile(rf"{re.escape(box)}(\+[^@]*)?@{re.escape(domain)}").fullmatch
        self._hostname = hostname
        self._lock = Lock()
        self._serial: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.refuses: set[str] = set()
        self.returns: set[str] = set()
        self.loses_line_to: set[str] = set()
        self.on_delivery: Callable[[str, Path], None] = lambda _address, _path: None
        self._controller = _AnyPort(
            self, hostname=LOOPBACK, port=0, data_size_limit=MAX_MAIL, ident="rehearsal post office"
        )

    def start(self) -> None:
        """Open the counter."""
        self._controller.start()

    def stop(self) -> None:
        """Close it."""
        self._controller.stop(no_assert=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._controller.port
        return port

    async def handle_RCPT(  # noqa: N802  aiosmtpd's name
        self, _server: SMTPServer, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Refuse the addresses that no longer exist."""
        if address.lower() in self.refuses:
            self.counts["refused"] += 1
            return "550 5.1.1 user unknown / 收件人不存在"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTPServer, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Deliver a mail to each recipient; once, hang up before saying so."""
        content = envelope.content
        raw = content if isinstance(content, bytes) else str(content or "").encode()
        for address in envelope.rcpt_tos:
            self._take(envelope.mail_from or "", address.lower(), raw)
            if address.lower() in self.loses_line_to:
                self.loses_line_to.discard(address.lower())
                self.counts["lost"] += 1
                cast("Transport", server.transport).abort()
        return "250 2.0.0 taken"

    def _take(self, envelope_from: str, address: str, raw: bytes) -> None:
        stamped = self._stamped(raw, address)
        if self._is_intake(address):
            with self._lock:
                self.counts["to_office"] += 1
                deliver(self._intake, stamped, self._clock.now)
            return
        with self._lock:
            self.counts["from_office"] += 1
            self._serial[address] += 1
            folder = self._mails / UNSAFE.sub("_", address)
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{self._serial[address]:03d}-{self._clock.now:%Y%m%dT%H%M}Z.eml"
            path.write_bytes(stamped)
        if address in self.returns:
            self._return(envelope_from, address, raw)
        else:
            self.on_delivery(address, path)

    def _stamped(self, raw: bytes, address: str) -> bytes:
        when = format_datetime(self._clock.now)
        head = f"Delivered-To: {address}\r\nReceived: from rehearsal by {self._hostname} with ESMTP; {when}\r\n"
        return head.encode() + raw

    def _return(self, envelope_from: str, address: str, raw: bytes) -> None:
        """Return a mail as RFC 3464 says, to the envelope's sender."""
        report = delivery_report(self._hostname, envelope_from, address, raw, self._clock.now)
        with self._lock:
            self.counts["returned"] += 1
            deliver(self._intake, self._stamped(b"Return-Path: <>\r\n" + report, envelope_from), self._clock.now)


def delivery_report(hostname: str, envelope_from: str, address: str, raw: bytes, at: datetime) -> bytes:
    """Return a delivery status notification (RFC 3464) for a mail that could not be delivered."""
    report = EmailMessage(policy=policy.SMTP)
    report["From"] = f"MAILER-DAEMON@{hostname}"
    report["To"] = envelope_from
    report["Subject"] = "系统退信 Undelivered Mail Returned to Sender"
    report["Date"] = format_datetime(at)
    report["Auto-Submitted"] = "auto-replied"
    boundary = "=_rehearsal_report"
    report["MIME-Version"] = "1.0"
    report["Content-Type"] = f'multipart/report; report-type=delivery-status; boundary="{boundary}"'
    head = report.as_bytes().split(b"\r\n\r\n", 1)[0]
    returned = raw.split(b"\r\n\r\n", 1)[0]
    prose = f"Content-Type: text/plain; charset=utf-8\r\n\r\n邮件未能送达 {address}：该邮箱已停用。\r\n"
    status = (
        "Content-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; {hostname}\r\n\r\n"
        f"Final-Recipient: rfc822; {address}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 mailbox disabled\r\n"
    )
    body = b"".join(f"--{boundary}\r\n{part}\r\n".encode() for part in (prose, status))
    last = f"--{boundary}\r\nContent-Type: text/rfc822-headers\r\n\r\n".encode() + returned + b"\r\n"
    return head + b"\r\n\r\n" + body + last + f"--{boundary}--\r\n".encode()
