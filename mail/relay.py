"""What is handed over, and to whom: a relay, an envelope, and the bytes as they go over the wire."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class SmtpServer:
    """A relay: where, how encrypted, as whom (by token if there is one). Timeouts in seconds.

    The certificate is verified, against ``ca_file`` alone if one is named.
    """

    host: str
    port: int
    tls: Literal["none", "starttls", "implicit"] = "starttls"
    username: str = ""
    password: str = field(default="", repr=False)
    oauth_token: str = field(default="", repr=False)
    local_hostname: str = "localhost"
    timeout_s: float = 60.0
    final_timeout_s: float = 600.0
    verify: bool = True
    ca_file: str = ""


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """A message ready to be handed over: both envelope addresses, and the bytes as they go over the wire.

    ``data`` is chunks of the message after DATA: CR LF line ends, dots stuffed, CR LF at the end, without the line
    that holds only the final dot.
    """

    id: int
    envelope_from: str
    to: str
    data: tuple[bytes, ...]
    lane: str = "default"


def wire_ready(raw: bytes) -> tuple[bytes, ...]:
    """Return any message as ``Envelope.data`` wants it."""
    lines = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not lines.endswith(b"\n"):
        lines += b"\n"
    stuffed = (b"\n" + lines).replace(b"\n.", b"\n..")[1:]
    return (stuffed.replace(b"\n", b"\r\n"),)
