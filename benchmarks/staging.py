"""What the delivery benchmarks share: a campaign of any size, its ledger on either database, runs in turn, medians."""

import csv
import shutil
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from definition.loading import LoadedCampaign, load_campaign
from ledger.acts import Act
from ledger.engine import Ledger
from ledger.files import FileStore
from office.launching import launch_campaign
from office.premises import Premises
from rules.lanes import DEFAULT, Lane
from settings import HOUSE
from tests.servers import Postgres

KEY = "benchmark"
SECRET = b"a secret of the benchmarks only"
LAUNCH = datetime(2020, 5, 27, 7, tzinfo=UTC)
ACT = Act(actor="rule:benchmark", as_of=LAUNCH, wall=LAUNCH)
RUNS = 5
DEFINITION = """\
key: benchmark
title: 2020年“安全生产月”和“安全生产专题行”活动
theme: 消除事故隐患，筑牢安全防线
issuer: 区安委会办公室、区应急管理局
issued_on: 2020-05-27
opens_on: 2020-06-01
closes_on: 2020-07-10
zone: Asia/Shanghai
calendar: cn
contact: {name: 活动联络组, phone: 022-00000000, email: office@office.example, hours: 工作日 8:30–17:30}
categories: [单位]
roster: units.csv
office:
  name: 区安委会办公室
  lead: [{name: 办公室负责人, email: lead@office.example}]
deliverables:
  - {key: plan, title: 活动计划, kind: document, due: 2020-05-31, owed_by: all}
  - {key: scheme, title: 活动方案, kind: document, due: 2020-06-05, owed_by: all}
  - {key: report, title: 活动综合情况, kind: document, due: 2020-06-30, owed_by: all}
  - {key: progress, title: 活动进展情况, kind: document, due: 2020-06-30, owed_by: all}
timetable:
  send_at: "09:00"
  launch: 2020-05-27 15:00
  reminders: {before: [2], on_due_day: true, after: [1]}
  escalation: [{after: 2, audience: office, notice: escalation_digest}]
  close: 2020-07-10 17:00
"""


def campaign_of(folder: Path, units: int, *, attachment: int = 0) -> LoadedCampaign:
    """Write a campaign of so many units, four documents due from each, and load it; an attachment of some octets."""
    folder.mkdir(parents=True, exist_ok=True)
    text = DEFINITION
    if attachment:
        # A PDF's bytes do not matter to mail, only their number; they must not compress to nothing anywhere.
        (folder / "circular.pdf").write_bytes(b"%PDF-1.7\n" + bytes((i * 7919) % 251 for i in range(attachment - 9)))
        text += "attachments:\n  - {file: circular.pdf, title: 通知原文}\n"
    (folder / "campaign.yaml").write_text(text, encoding="utf-8")
    with (folder / "units.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("code", "name", "category", "superior", "duty_email", "duty_phone"))
        for number in range(1, units + 1):
            code = f"U{number:06d}"
            writer.writerow((code, f"第{number}街道办事处", "单位", "OFFICE", f"{code.lower()}@unit.example", "022-0"))
    return load_campaign(folder, calendars=HOUSE / "campaigns" / "calendar", notices=HOUSE / "templates" / "email")


def premises_of(folder: Path, url: str, *, connections: int = 20, durability: str = "NORMAL") -> Premises:
    """Return premises over a ledger at a URL, with one lane wide enough for two senders."""
    ledger = Ledger(url, durability=durability)
    ledger.migrate()
    return Premises(
        ledger=ledger,
        files=FileStore(folder / "files"),
        templates=HOUSE / "templates",
        campaigns=HOUSE / "campaigns",
        reports=folder / "reports",
        maildir=folder / "intake",
        received_by="mx.office.example",
        signing=lambda: SECRET,
        mail_domain="office.example",
        mail_box="muster",
        rehearsal=True,
        lanes=(Lane(name=DEFAULT, connections=connections * 4, messages_per_connection=1_000_000),),
        connections=connections,
    )


def launched(folder: Path, url: str, loaded: LoadedCampaign) -> Premises:
    """Freeze a campaign into the ledger at a URL; nothing is planned yet."""
    house = premises_of(folder, url)
    with house.ledger.writing() as session:
        launch_campaign(session, house, ACT, loaded)
    return house


@dataclass(frozen=True, kw_only=True)
class Copies:
    """Fresh copies of one prepared ledger, so that every run begins from the same state."""

    folder: Path
    url: str
    server: Postgres | None = None

    def fresh(self) -> str:
        """Return the URL of a new copy."""
        if self.server is not None:
            return self.server.copy(self.url)
        target = self.folder / "run.db"
        for path in self.folder.glob("run.db*"):
            path.unlink()
        shutil.copy(self.folder / "ledger.db", target)
        return f"sqlite:///{target}"


@contextmanager
def prepared(folder: Path, loaded: LoadedCampaign, server: Postgres | None = None) -> Iterator[Copies]:
    """Launch a campaign once, on SQLite or on a Postgres server, and give copies of it."""
    url = server() if server is not None else f"sqlite:///{folder / 'ledger.db'}"
    house = launched(folder, url, loaded)
    with house.ledger.engine.connect() as connection:
        if server is None:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            connection.exec_driver_sql("ANALYZE")
            connection.commit()
    house.ledger.close()
    yield Copies(folder=folder, url=url, server=server)


def in_turn(runs: int, *measures: Callable[[], float]) -> list[list[float]]:
    """Run measures in turn, so that what else the machine does meets all of them; return the figures of each."""
    figures: list[list[float]] = [[] for _ in measures]
    for _ in range(runs):
        for index, measure in enumerate(measures):
            figures[index].append(measure())
    return figures


def median(figures: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(figures)


def spread(figures: Sequence[float]) -> str:
    """Return least and greatest, for the eye."""
    return f"{min(figures):.0f}–{max(figures):.0f}"


def is_quick() -> bool:
    """Whether ``--quick`` was asked for."""
    return "--quick" in sys.argv[1:]


def opened(stack: ExitStack, *contexts: object) -> None:
    """Enter contexts for as long as a stack is open."""
    for context in contexts:
        stack.enter_context(context)  # type: ignore[arg-type]
