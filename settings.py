"""Every knob, once. Read from the environment (``MUSTER_…``), and from ``.env`` in the project's folder."""

import json
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

HOUSE = Path(__file__).parent
PLACEHOLDER = "change-me"
MIN_SECRET = 16
MIN_PASSWORD = 12
DEFAULT_LANE = "default"


class ClockSetting(BaseModel):
    """A clock of the campaigns' own: it shows ``shows`` at the wall's ``at``, and runs ``speed`` times as fast."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shows: AwareDatetime
    at: AwareDatetime
    speed: float = Field(gt=0, le=1_000_000)


class LaneSetting(BaseModel):
    """The limits of one provider's addresses. ``per_minute`` unset: as fast as it goes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")
    domains: tuple[str, ...] = ()
    connections: int = Field(ge=1, le=200)
    messages_per_connection: int = Field(default=100, ge=1)
    per_minute: int | None = Field(default=None, ge=1)


# Cautious starting points, not published limits: the providers count connections, mails per connection and mails in
# 15 minutes, and say so only by refusing. A lane slows by itself when they do.
LANES = (
    LaneSetting(
        name="netease",
        domains=("163.com", "126.com", "yeah.net", "188.com", "vip.163.com", "vip.126.com"),
        connections=2,
        messages_per_connection=10,
        per_minute=60,
    ),
    LaneSetting(
        name="tencent",
        domains=("qq.com", "foxmail.com", "vip.qq.com", "exmail.qq.com"),
        connections=3,
        messages_per_connection=20,
        per_minute=120,
    ),
    LaneSetting(
        name="aliyun",
        domains=("aliyun.com", "alibaba-inc.com"),
        connections=3,
        messages_per_connection=20,
        per_minute=120,
    ),
    LaneSetting(
        name="sina",
        domains=("sina.com", "sina.cn", "sina.com.cn", "vip.sina.com"),
        connections=2,
        messages_per_connection=20,
        per_minute=60,
    ),
    LaneSetting(
        name="carriers",
        domains=("139.com", "189.cn", "wo.cn", "21cn.com"),
        connections=2,
        messages_per_connection=20,
        per_minute=60,
    ),
    LaneSetting(name="default", connections=40),
)
SEE = "docs/how-to/lanes.md has an example"


def read_lanes(given: object) -> tuple[LaneSetting, ...]:
    """Return the lanes as the variable gives them: JSON, or what was read from it.

    Raises:
        PydanticCustomError: they cannot be used; one sentence with the place and the remedy.

    """
    found = _from_json(given) if isinstance(given, str) else given
    if not isinstance(found, list | tuple):
        raise _faulty("", f"lanes are a list, in square brackets; {SEE}")
    lanes = tuple(_read_lane(number, one) for number, one in enumerate(found, start=1))
    _check_names(lanes)
    _check_domains(lanes)
    return lanes


def _from_json(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise _faulty(f", line {error.lineno}, column {error.colno}", f"no JSON, {error.msg}; {SEE}") from None


def _read_lane(number: int, given: Any) -> LaneSetting:  # noqa: ANN401  whatever stands in the JSON
    try:
        return LaneSetting.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(step) for step in first["loc"])
        name = given.get("name") if isinstance(given, dict) else None
        place = f", lane {number}" + (f" ({name})" if name else "")
        if first["type"] == "extra_forbidden":
            known = ", ".join(LaneSetting.model_fields)
            raise _faulty(place, f"{key} is no key of a lane; there are {known}") from None
        raise _faulty(place + (f", {key}" if key else ""), f"{first['msg']}; {SEE}") from None


def _check_names(lanes: Sequence[LaneSetting]) -> None:
    names = [lane.name for lane in lanes]
    for number, name in enumerate(names, start=1):
        if (first := names.index(name) + 1) < number:
            raise _faulty(f", lane {number}", f"the name {name} is lane {first}'s; give each a name of its own")
    if DEFAULT_LANE not in names:
        remedy = f'add {{"name": "{DEFAULT_LANE}", "connections": 40}} for the addresses that no other names'
        raise _faulty("", f"no lane is named {DEFAULT_LANE}; {remedy}")


def _check_domains(lanes: Sequence[LaneSetting]) -> None:
    lane_of: dict[str, LaneSetting] = {}
    for number, lane in enumerate(lanes, start=1):
        for domain in map(str.lower, lane.domains):
            if domain in lane_of:
                other = lane_of[domain].name
                raise _faulty(f", lane {number} ({lane.name})", f"{domain} is in {other} already; leave it in one")
            lane_of[domain] = lane


def _faulty(place: str, said: str) -> PydanticCustomError:
    return PydanticCustomError("lanes", "{sentence}", {"sentence": f"MUSTER_LANES{place}: {said}"})


class Settings(BaseSettings):
    """Settings of one installation; units stand in the names. A bad value stops the start and names the variable."""

    model_config = SettingsConfigDict(
        env_prefix="MUSTER_", env_file=HOUSE / ".env", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    var_dir: Path = Field(default=HOUSE / "var", description="Where the ledger, files and reports are kept.")
    campaigns_dir: Path = Field(default=HOUSE / "campaigns", description="Where campaign folders lie.")
    templates_dir: Path = Field(default=HOUSE / "templates", description="Templates of mails and findings.")
    ledger_url: str = Field(default="", repr=False, description="SQLAlchemy URL; empty: SQLite below var_dir.")
    ledger_durability: Literal["NORMAL", "FULL"] = Field(
        default="NORMAL",
        description="NORMAL survives the death of any process; FULL a power cut too, for a disk flush each.",
    )
    signing_secret: SecretStr = Field(
        default=SecretStr(PLACEHOLDER), description="Signs the tokens in addresses, subjects and workbooks."
    )
    rehearsal: bool = Field(
        default=False, description="Set by `muster rehearse`: the fence is open, the relay must be loopback."
    )
    clock: ClockSetting | None = Field(
        default=None,
        description="A clock of the campaigns' own, in rehearsals only: JSON with shows, at (instants) and speed.",
    )
    allow_list: tuple[str, ...] = Field(
        default=(), description="Addresses (or @domains) that may be written to before `muster go-live`."
    )
    mail_domain: str = Field(default="office.example", description="Domain of Reply-To, Message-ID and bounces.")
    mail_box: str = Field(default="muster", description="Local part of the intake address, before +token.")
    sender_name: str = Field(default="", description="Shown as the sender; empty: the campaign's office.")
    smtp_host: str = Field(default="127.0.0.1", description="The relay.")
    smtp_port: int = Field(default=25, description="The relay's port.")
    smtp_tls: Literal["none", "starttls", "implicit"] = Field(
        default="starttls", description="`none` is refused for a relay that is not on this machine."
    )
    smtp_username: str = Field(default="", description="Empty: no authentication.")
    smtp_password: SecretStr = Field(default=SecretStr(""), description="Password for the relay.")
    smtp_oauth_token: SecretStr = Field(
        default=SecretStr(""), description="XOAUTH2 access token; instead of the password."
    )
    smtp_ca_file: str = Field(default="", description="Certificates to trust instead of the system's, as a PEM file.")
    smtp_connections: int = Field(
        default=10, ge=1, le=50, description="Connections that one sender opens to the relay at most, per lane."
    )
    lanes: Annotated[tuple[LaneSetting, ...], NoDecode] = Field(
        default=LANES, description="Limits by recipients' provider, over all senders; JSON. See docs/how-to/lanes.md."
    )
    smtp_timeout_s: float = Field(default=60.0, gt=0, description="For every answer but the last.")
    smtp_final_timeout_s: float = Field(default=600.0, gt=0, description="For the answer to the final dot (RFC 5321).")
    shard_size: int = Field(default=500, ge=1, le=2000, description="Messages claimed at once; more when many wait.")
    wake_poll_s: float = Field(default=2.0, gt=0, description="How often `muster serve` looks for new mail to send.")
    alarm_webhook_block: str = Field(
        default="", description="Name of a Webhook block in Prefect that is called too when a run breaks or is late."
    )
    sweep_s: float = Field(default=300.0, gt=0, description="How often `muster serve` sends what waits, woken or not.")
    reconcile_s: float = Field(
        default=180.0, ge=1, description="How often the deployed reconcile flow looks for what is due and was not done."
    )
    intake_maildir: Path | None = Field(
        default=None, description="Maildir of the intake address; empty: below var_dir."
    )
    intake_received_by: str = Field(
        default="localhost", description="Our mail server's name in the Received header it puts on top of a Maildir's."
    )
    intake_max_mb: int = Field(
        default=50, ge=1, le=1000, description="Of a larger mail only the head is fetched, and the unit is told."
    )
    imap_host: str = Field(default="", description="IMAP server of the intake mailbox; empty: the Maildir.")
    imap_port: int = Field(default=993, ge=1, le=65535, description="The IMAP server's port.")
    imap_tls: Literal["none", "starttls", "implicit"] = Field(
        default="implicit", description="`none` is refused for a server that is not on this machine."
    )
    imap_user: str = Field(default="", description="User of the intake mailbox.")
    imap_password: SecretStr = Field(default=SecretStr(""), description="Password (at 163 and QQ: the 授权码).")
    imap_folder: str = Field(default="INBOX", description="Folder that is fetched.")
    imap_ca_file: str = Field(default="", description="Certificates to trust instead of the system's, as a PEM file.")
    imap_timeout_s: float = Field(default=60.0, gt=0, description="For every answer of the IMAP server.")
    imap_poll_s: float = Field(
        default=20.0, gt=0, le=1500, description="How often `muster serve` looks for new mail, IMAP or Maildir."
    )

    portal_url: str = Field(
        default="", description="Address of the units' pages, as mails print it; empty: no pages, no links."
    )
    portal_host: str = Field(default="127.0.0.1", description="Where the pages are served; a proxy stands before it.")
    portal_port: int = Field(default=8420, ge=1, le=65535, description="The pages' port.")
    portal_proxies: str = Field(
        default="127.0.0.1", description="Proxies whose X-Forwarded-For is believed; addresses, comma between."
    )
    portal_max_mb: int = Field(default=50, ge=1, le=2000, description="All files of one upload together.")
    portal_max_files: int = Field(default=10, ge=1, le=100, description="Files in one upload.")
    portal_bodies: int = Field(
        default=32, ge=1, le=1000, description="Uploads and forms read at once, of all visitors; the others wait."
    )
    portal_looking_threads: int = Field(
        default=6, ge=1, le=100, description="Threads for pages that are looked at; they never wait behind uploads."
    )
    portal_link_days: int = Field(
        default=60, ge=1, le=3650, description="A link holds so many days after the campaign's close."
    )

    prefect_port: int = Field(
        default=4200,
        ge=1,
        le=65535,
        description="Port of the Prefect server of `muster up`, on loopback; not named and taken: another.",
    )
    prefect_auth: SecretStr = Field(
        default=SecretStr(""), description="Closes that server's API to strangers: user:password; empty: open."
    )
    prefect_url: str = Field(
        default="", description="Where browsers reach its pages through a proxy; empty: only on this machine."
    )
    prefect_poll_s: float = Field(
        default=1.0, ge=0.5, le=60, description="How often its worker asks for runs that are due."
    )
    dev_mailbox: bool = Field(
        default=False,
        description="All mail goes to a mailbox with a web page on this machine, run by `muster up`, and no relay.",
    )
    dev_mailbox_port: int = Field(default=1080, ge=1, le=65535, description="Port of that mailbox's page.")
    dev_mailbox_smtp_port: int = Field(default=1025, ge=1, le=65535, description="Port where that mailbox takes mail.")

    @model_validator(mode="before")
    @classmethod
    def _lanes(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Read the lanes ourselves: whoever has mistyped a page of JSON is to hear where."""
        return {**given, "lanes": read_lanes(given["lanes"])} if "lanes" in given else given

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if self.rehearsal and not is_loopback(self.smtp_host):
            raise ValueError(
                f"MUSTER_REHEARSAL is set and MUSTER_SMTP_HOST is {self.smtp_host}: "
                "a rehearsal only ever sends to this machine"
            )
        if self.clock is not None and not self.rehearsal:
            raise ValueError("MUSTER_CLOCK is set and MUSTER_REHEARSAL is not: real campaigns run by the real time")
        if self.portal_url and (fault := _fault_in_url(self.portal_url)):
            raise ValueError(f"MUSTER_PORTAL_URL is {self.portal_url}: {fault}")
        if self.smtp_tls == "none" and not is_loopback(self.smtp_host):
            raise ValueError(f"MUSTER_SMTP_TLS is none for the relay {self.smtp_host}: set starttls or implicit")
        if fault := _fault_in_auth(self.prefect_auth.get_secret_value()):
            raise ValueError(f"MUSTER_PREFECT_AUTH {fault}")
        if self.prefect_url and (fault := _fault_in_url(self.prefect_url)):
            raise ValueError(f"MUSTER_PREFECT_URL is {self.prefect_url}: {fault}")
        if self.imap_host and self.imap_tls == "none" and not is_loopback(self.imap_host):
            raise ValueError(f"MUSTER_IMAP_TLS is none for the server {self.imap_host}: set starttls or implicit")
        if self.imap_host and not self.imap_user:
            raise ValueError(f"MUSTER_IMAP_HOST is {self.imap_host} and MUSTER_IMAP_USER is not set: name the mailbox")
        return self

    @property
    def ledger(self) -> str:
        """SQLAlchemy URL of the ledger."""
        return self.ledger_url or f"sqlite:///{self.var_dir / 'ledger.db'}"

    @property
    def maildir(self) -> Path:
        """Maildir of the intake address."""
        return self.intake_maildir or self.var_dir / "intake"

    @property
    def secret(self) -> bytes:
        """The signing secret.

        Raises:
            ValueError: it is the placeholder or too short, and this is no rehearsal.

        """
        value = self.signing_secret.get_secret_value()
        if value == PLACEHOLDER or len(value) < MIN_SECRET:
            raise ValueError(
                f"MUSTER_SIGNING_SECRET is not set (or shorter than {MIN_SECRET} characters): "
                "put a random value there, as from `python3 -c 'import secrets; print(secrets.token_urlsafe())'`"
            )
        return value.encode()


def _fault_in_auth(auth: str) -> str:
    user, _, password = auth.partition(":")
    if not auth:
        return ""
    if not user or not password:
        return "is not written like user:password"
    return "has a password shorter than 12 characters" if len(password) < MIN_PASSWORD else ""


def _fault_in_url(url: str) -> str:
    parsed = urlsplit(url)
    if parsed.scheme not in ("https", "http") or not parsed.hostname or parsed.query or parsed.fragment:
        return "write it like https://report.office.gov"
    if parsed.path not in ("", "/"):
        return "the pages stand at the root of a host name of their own; leave the path out"
    if parsed.scheme == "http" and not is_loopback(parsed.hostname):
        return "links would travel in the clear; use https"
    return ""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process, read once."""
    return Settings()
