"""The premises: everything an office function is handed by those who may read settings."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from ledger.engine import Ledger
from ledger.files import FileStore
from mail.mailbox import Mailbox
from mail.maildir import Maildir
from office.letters import Renderer
from office.skeletons import SkeletonCase
from rules.lanes import DEFAULT, Lane


@dataclass(frozen=True, kw_only=True)
class Premises:
    """Ledger, file store, templates, and the names under which the office sends and receives.

    ``rehearsal`` lets mail leave to any address without `go-live`.
    """

    ledger: Ledger
    files: FileStore
    templates: Path
    campaigns: Path
    reports: Path
    maildir: Path
    received_by: str
    signing: Callable[[], bytes]  # asked only where something is signed, so that looking needs no secret
    mail_domain: str
    mail_box: str
    sender_name: str = ""
    allow_list: tuple[str, ...] = ()
    rehearsal: bool = False
    lanes: tuple[Lane, ...] = (Lane(name=DEFAULT, connections=40, messages_per_connection=100),)
    connections: int = 4  # at most so many to one lane by one sender
    opening_mailbox: Callable[[], Mailbox] | None = None  # None: the Maildir

    @cached_property
    def mailbox(self) -> Mailbox:
        """The mailbox that units write to: the one on an IMAP server if there is one, else the Maildir."""
        if self.opening_mailbox is not None:
            return self.opening_mailbox()
        return Maildir(folder=self.maildir, name=self.intake_address, received_by=self.received_by)

    @cached_property
    def renderer(self) -> Renderer:
        """The mail templates, compiled once."""
        return Renderer(self.templates / "email")

    @cached_property
    def skeletons(self) -> SkeletonCase:
        """The skeletons of mails in use."""
        return SkeletonCase(self.files, self.renderer)

    @cached_property
    def finding_texts(self) -> dict[str, dict[str, str]]:
        """The sentences of findings by code: problem and remedy."""
        text = (self.templates / "findings.yaml").read_text(encoding="utf-8")
        texts: dict[str, dict[str, str]] = yaml.safe_load(text)
        return texts

    @cached_property
    def secret(self) -> bytes:
        """The signing secret."""
        return self.signing()

    @property
    def intake_address(self) -> str:
        """The bare intake address."""
        return f"{self.mail_box}@{self.mail_domain}"

    def tagged_address(self, token: str) -> str:
        """Return the intake address that carries a token."""
        return f"{self.mail_box}+{token}@{self.mail_domain}"
