"""A letter ready to be sent, and its bytes."""

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

POLICY = SMTP.clone(max_line_length=76)


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file sent along."""

    file_name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One mail to one address. ``date`` is aware; ``message_id`` is in angle brackets."""

    sender_name: str
    sender_address: str
    to_name: str
    to_address: str
    reply_to: str
    message_id: str
    date: datetime
    subject: str
    text: str
    html: str
    attachments: tuple[Attachment, ...] = ()
    in_reply_to: str = ""


def compose(letter: Letter) -> bytes:
    """Return the mail's bytes, lines ended by CR LF.

    Raises:
        ValueError: a header would carry a line break; the message names the field.

    """
    for name in ("sender_name", "sender_address", "to_name", "to_address", "reply_to", "message_id", "subject"):
        if any(c in getattr(letter, name) for c in "\r\n\0"):
            raise ValueError(f"{name} carries a line break, which would forge headers")
    for attachment in letter.attachments:
        if any(c in attachment.file_name for c in "\r\n\0"):
            raise ValueError("an attachment's name carries a line break, which would forge headers")
    message = EmailMessage(policy=POLICY)
    message["From"] = _address(letter.sender_name, letter.sender_address)
    message["To"] = _address(letter.to_name, letter.to_address)
    message["Reply-To"] = letter.reply_to
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(letter.date)
    message["Message-ID"] = letter.message_id
    if letter.in_reply_to:
        message["In-Reply-To"] = letter.in_reply_to
        message["References"] = letter.in_reply_to
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message["Content-Language"] = "zh-CN"
    message.set_content(letter.text, cte="base64")
    message.add_alternative(letter.html, subtype="html", cte="base64")
    for attachment in letter.attachments:
        maintype, _, subtype = attachment.media_type.partition("/")
        message.add_attachment(
            attachment.content, maintype=maintype, subtype=subtype, filename=attachment.file_name, cte="base64"
        )
        part = list(message.iter_attachments())[-1]
        # Outlook and Foxmail look at the type's name too.
        part.set_param("name", attachment.file_name, header="Content-Type", charset="utf-8", replace=True)
    return message.as_bytes()


def _address(name: str, address: str) -> Address:
    return Address(display_name=name, addr_spec=address)
