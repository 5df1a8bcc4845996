"""Every knob, once. Read from the environment (``MUSTER_…``), from ``.env`` and from secret files."""

from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

HOUSE = Path(__file__).parent
PLACEHOLDER = "change-me"
MIN_SECRET = 16
DEFAULT_LANE = "default"


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


class Settings(BaseSettings):
    """Settings of one installation; units stand in the names. A bad value stops the start and names the variable."""

    model_config = SettingsConfigDict(
        env_prefix="MUSTER_", env_file=".env", secrets_dir=None, frozen=True, extra="ignore", hide_input_in_errors=True
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
    lanes: tuple[LaneSetting, ...] = Field(
        default=LANES, description="Limits by recipients' provider, over all senders; JSON. See docs/how-to/lanes.md."
    )
    smtp_timeout_s: float = Field(default=60.0, gt=0, description="For every answer but the last.")
    smtp_final_timeout_s: float = Field(default=600.0, gt=0, description="For the answer to the final dot (RFC 5321).")
    shard_size: int = Field(
        default=500, ge=1, le=2000, description="Messages claimed at once, a task run each; more when many wait."
    )
    wake_poll_s: float = Field(default=2.0, gt=0, description="How often `muster serve` looks for new mail to send.")
    sweep_s: float = Field(default=300.0, gt=0, description="How often it sends what waits, woken or not.")
    intake_maildir: Path | None = Field(
        default=None, description="Maildir of the intake address; empty: below var_dir."
    )
    intake_received_by: str = Field(
        default="localhost", description="Our mail server's name in the Received header it puts on top."
    )

    @model_validator(mode="after")
    def _safe(self) -> Self:
        names = [lane.name for lane in self.lanes]
        if names.count(DEFAULT_LANE) != 1 or len(set(names)) < len(names):
            raise ValueError(f"MUSTER_LANES names {', '.join(names)}: each once, and one of them {DEFAULT_LANE}")
        if self.rehearsal and not is_loopback(self.smtp_host):
            raise ValueError(
                f"MUSTER_REHEARSAL is set and MUSTER_SMTP_HOST is {self.smtp_host}: "
                "a rehearsal only ever sends to this machine"
            )
        if self.smtp_tls == "none" and not is_loopback(self.smtp_host):
            raise ValueError(f"MUSTER_SMTP_TLS is none for the relay {self.smtp_host}: set starttls or implicit")
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
                "put a random value there, as from `python -c 'import secrets; print(secrets.token_urlsafe())'`"
            )
        return value.encode()


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
