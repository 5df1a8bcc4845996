"""Delivery reports: RFC 3464 where the mail server writes them, and the words of Chinese ones where it does not."""

import re
from dataclasses import dataclass
from email import message_from_bytes
from enum import StrEnum

from mail.parsing import IncomingMail, new_part

RETURN_SUBJECT = re.compile(
    r"退信|系统退信|投递失败|无法投递|undeliver|delivery (?:status|failure)|returned mail|failure notice", re.IGNORECASE
)
STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
HARD_WORDS = re.compile(
    r"不存在|无此用户|没有此用户|user unknown|no such user|mailbox unavailable|invalid recipient", re.IGNORECASE
)
MACHINES = ("mailer-daemon@", "postmaster@")


class BounceKind(StrEnum):
    """How final a report is."""

    HARD = "hard"  # the address is at fault
    SOFT = "soft"  # full mailbox, size, policy: the address is not at fault
    DELAYED = "delayed"  # still trying; no bounce


@dataclass(frozen=True, kw_only=True)
class Bounce:
    """What a report says."""

    kind: BounceKind
    recipient: str = ""
    status: str = ""
    diagnostic: str = ""


def read_bounce(mail: IncomingMail, raw: bytes) -> Bounce | None:
    """Return what a delivery report says; None if the mail is none."""
    report = _delivery_status(raw)
    if report is not None:
        return report
    machine = mail.null_return_path or mail.from_address.startswith(MACHINES)
    if not machine or not RETURN_SUBJECT.search(new_part(mail.subject)):
        return None
    status = STATUS.search(mail.text)
    hard = HARD_WORDS.search(mail.text) is not None or (status is not None and status.group(1).startswith("5.1."))
    return Bounce(
        kind=BounceKind.HARD if hard else BounceKind.SOFT,
        status=status.group(1) if status else "",
        diagnostic=mail.text.strip()[:300],
    )


def _delivery_status(raw: bytes) -> Bounce | None:
    """Read the per-recipient fields of a message/delivery-status part."""
    if b"delivery-status" not in raw:
        return None
    for part in message_from_bytes(raw).walk():
        if part.get_content_type() != "message/delivery-status":
            continue
        blocks = part.get_payload()
        for block in blocks if isinstance(blocks, list) else []:
            action = str(block.get("Action", "")).strip().lower()  # type: ignore[union-attr]
            if not action:
                continue
            status = str(block.get("Status", "")).strip()  # type: ignore[union-attr]
            return Bounce(
                kind=_kind(action, status),
                recipient=str(block.get("Final-Recipient", "")).rpartition(";")[2].strip().lower(),  # type: ignore[union-attr]
                status=status,
                diagnostic=str(block.get("Diagnostic-Code", "")).strip()[:300],  # type: ignore[union-attr]
            )
    return None


def _kind(action: str, status: str) -> BounceKind:
    if action != "failed":
        return BounceKind.DELAYED
    # 5.1.x bad address, 5.2.1 mailbox disabled, 5.0.0 the server says no more; a full mailbox (5.2.2) is soft
    return BounceKind.HARD if status.startswith(("5.1.", "5.0.")) or status == "5.2.1" else BounceKind.SOFT
