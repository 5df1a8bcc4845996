"""What every task needs: the premises built from settings, and the act in whose name it writes."""

import atexit
from datetime import UTC, datetime
from functools import lru_cache

from ledger.acts import Act
from ledger.engine import Ledger
from ledger.files import FileStore
from mail.imap import ImapMailbox, ImapServer
from mail.mailbox import Mailbox
from mail.maildir import Maildir
from office.premises import Premises
from rules.clock import Clock
from rules.lanes import Lane
from rules.timetable import utc
from settings import Settings, settings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REAL = Clock(shows=EPOCH, at=EPOCH, speed=1.0)


def premises() -> Premises:
    """Return the premises of this process, opened (and migrated) once per settings."""
    return _open(settings())


@lru_cache(maxsize=4)
def _open(config: Settings) -> Premises:
    for folder in (config.var_dir, *(config.maildir / part for part in ("new", "cur", "tmp"))):
        folder.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(config.ledger, durability=config.ledger_durability)
    ledger.migrate()
    atexit.register(ledger.close)  # SQLite then moves what stands in the write-ahead log into the file
    return Premises(
        ledger=ledger,
        files=FileStore(config.var_dir / "files"),
        templates=config.templates_dir,
        campaigns=config.campaigns_dir,
        reports=config.var_dir / "reports",
        maildir=config.maildir,
        received_by=config.intake_received_by,
        signing=lambda: config.secret,
        mail_domain=config.mail_domain,
        mail_box=config.mail_box,
        sender_name=config.sender_name,
        allow_list=config.allow_list,
        rehearsal=config.rehearsal,
        lanes=tuple(Lane(**lane.model_dump()) for lane in config.lanes),
        connections=config.smtp_connections,
        portal_url=config.portal_url,
        link_days=config.portal_link_days,
        opening_mailbox=lambda: _mailbox(config),
    )


def _mailbox(config: Settings) -> Mailbox:
    """Return the intake mailbox that settings name; it is opened when it is looked into."""
    largest = config.intake_max_mb * 1024 * 1024
    if not config.imap_host:
        name = f"{config.mail_box}@{config.mail_domain}"
        return Maildir(folder=config.maildir, name=name, received_by=config.intake_received_by, largest=largest)
    server = ImapServer(
        host=config.imap_host,
        port=config.imap_port,
        tls=config.imap_tls,
        user=config.imap_user,
        password=config.imap_password.get_secret_value(),
        folder=config.imap_folder,
        ca_file=config.imap_ca_file,
        timeout_s=config.imap_timeout_s,
    )
    return ImapMailbox(server, largest=largest)


def act_of(actor: str, as_of: datetime) -> Act:
    """Return the act of the current flow run; the moment of the campaign is the run's, the wall's is now."""
    from prefect.runtime import flow_run  # noqa: PLC0415  commands that only read the ledger need no Prefect

    run_id = flow_run.id
    return Act(actor=actor, as_of=as_of, wall=datetime.now(UTC), flow_run_id=str(run_id) if run_id else None)


def moment_of(as_of: datetime | None) -> datetime:
    """Resolve a run's moment once: what was given, or now.

    Raises:
        ValueError: the moment given has no zone.

    """
    return now() if as_of is None else utc(as_of)


def now() -> datetime:
    """Return the moment it is for the campaigns, UTC: the wall's, but in a rehearsal with a clock of its own."""
    return clock().moment(datetime.now(UTC))


def clock() -> Clock:
    """Return the clock the campaigns run by."""
    own = settings().clock
    return Clock(shows=own.shows, at=own.at, speed=own.speed) if own is not None else REAL
