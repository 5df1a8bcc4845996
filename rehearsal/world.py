"""The world outside: units, their post office, and the clock that moves them all."""

import hashlib
import heapq
import itertools
import random
import smtplib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from mail.parsing import parse_mail
from rehearsal.clerk import Manner, another_workbook, fill_form, write_document
from rehearsal.clock import WorldClock
from rehearsal.envelopes import FILE_NAME_STYLES, Outgoing, Style, build
from rehearsal.post_office import LOOPBACK, PostOffice
from rehearsal.temperaments import Temperament
from rehearsal.units import Act, SimulatedUnit

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cfc0000000030001018dd8db0000000049454e44ae426082"
)


@dataclass(frozen=True, kw_only=True)
class SentFile:
    """A file that a unit handed in, kept for the recount."""

    code: str
    title: str
    manner: Manner
    at: datetime
    sha256: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class Call:
    """A unit reports by telephone: staff hand in for it."""

    code: str
    title: str
    at: datetime
    file: Path


class World:
    """Everything outside the office. Moved only by :meth:`advance_to`; the same seed gives the same month."""

    def __init__(
        self, *, out: Path, start: datetime, zone: ZoneInfo, intake: Path, intake_address: str, seed: int
    ) -> None:
        """Prepare; mails and files go below ``out``."""
        self.clock = WorldClock(now=start)
        self.post_office = PostOffice(
            self.clock, mails=out / "mails", intake=intake, intake_address=intake_address, hostname="mx.office.example"
        )
        self.post_office.on_delivery = self._delivered
        self.sent: list[SentFile] = []
        self.calls: list[Call] = []
        self._files = out / "handed-in"
        self._zone = zone
        self._seed = seed
        self._units: dict[str, SimulatedUnit] = {}
        self._by_address: dict[str, SimulatedUnit] = {}
        self._unread: list[tuple[datetime, str, Path]] = []
        self._agenda: list[tuple[datetime, int, SimulatedUnit, Act]] = []
        self._serial = itertools.count(1)
        self._smtp: smtplib.SMTP | None = None

    def start(self) -> None:
        """Open the post office."""
        self.post_office.start()

    def stop(self) -> None:
        """Close it."""
        if self._smtp is not None:
            self._smtp.close()
        self.post_office.stop()

    def add_unit(self, code: str, name: str, addresses: tuple[str, ...], temperament: Temperament) -> None:
        """Let a unit exist; its first address is the one that may be broken."""
        unit = SimulatedUnit(
            code=code,
            name=name,
            addresses=addresses,
            temperament=temperament,
            rng=random.Random(f"{self._seed}:{code}"),
            zone=self._zone,
        )
        self._units[code] = unit
        self._by_address |= dict.fromkeys(addresses, unit)
        if temperament is Temperament.BOUNCING:
            self.post_office.returns.add(addresses[0])
        elif temperament is Temperament.REFUSED:
            self.post_office.refuses.add(addresses[0])

    def lose_the_line_to(self, code: str) -> None:
        """Let the post office take the next mail to a unit, and hang up before it says so: one mail to settle."""
        self.post_office.loses_line_to.add(self._units[code].addresses[0])

    @property
    def temperaments(self) -> Mapping[str, Temperament]:
        """The temperaments by unit code."""
        return {code: unit.temperament for code, unit in self._units.items()}

    def _delivered(self, address: str, path: Path) -> None:
        self._unread.append((self.clock.now, address, path))

    def advance_to(self, moment: datetime) -> None:
        """Let the units read what arrived and do all they mean to do until a moment."""
        self._read_mail()
        while self._agenda and self._agenda[0][0] <= moment:
            at, _, unit, act = heapq.heappop(self._agenda)
            self.clock.now = max(at, self.clock.now)
            self._do(unit, act)
        self.clock.now = moment

    def _read_mail(self) -> None:
        # Several connections deliver at once; sorted, the month does not depend on which was faster.
        unread, self._unread = sorted(self._unread, key=lambda u: (u[0], u[1], u[2])), []
        for at, address, path in unread:
            unit = self._by_address.get(address)
            if unit is None:
                continue  # the office's own people read theirs without answering
            for act in unit.read(parse_mail(path.read_bytes()), at):
                heapq.heappush(self._agenda, (act.at, next(self._serial), unit, act))

    def _do(self, unit: SimulatedUnit, act: Act) -> None:
        match act.kind:
            case "auto_reply":
                self._mail(unit, act, subject=f"自动回复：{unit.subject}", automatic=True)
            case "picture":
                self._mail(unit, act, subject=f"{unit.name}活动照片", file_name="活动现场.png", content=PIXEL)
            case "wrong_file":
                content = another_workbook()
                self._mail(unit, act, subject=f"回复：{unit.subject}", file_name="新建工作表.xlsx", content=content)
            case _:
                self._hand_in(unit, act)

    def _hand_in(self, unit: SimulatedUnit, act: Act) -> None:
        unit.handed_in.add(act.title)
        form = unit.form_of(act.title)
        if form is not None:
            file_name, content = form[0], fill_form(form[1], unit.rng, act.manner, mailbox=unit.addresses[-1])
        else:
            file_name, content = f"{unit.name}{act.title}.docx", write_document(act.title, unit.name)
        path = self._keep(unit, act, file_name, content)
        if unit.temperament is Temperament.BY_TELEPHONE:
            self.calls.append(Call(code=unit.code, title=act.title, at=act.at, file=path))
            return
        subject = f"回复：{unit.subject}"
        self._mail(unit, act, subject=subject, file_name=file_name, content=content)
        if unit.temperament is Temperament.DUPLICATE:
            self._mail(unit, act, subject=subject, file_name=file_name, content=content)

    def _keep(self, unit: SimulatedUnit, act: Act, file_name: str, content: bytes) -> Path:
        folder = self._files / unit.code
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{len(list(folder.iterdir())) + 1:02d}-{file_name}"
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        self.sent.append(
            SentFile(code=unit.code, title=act.title, manner=act.manner, at=act.at, sha256=sha256, path=path)
        )
        return path

    def _mail(
        self,
        unit: SimulatedUnit,
        act: Act,
        *,
        subject: str,
        file_name: str = "",
        content: bytes = b"",
        automatic: bool = False,
    ) -> None:
        serial = next(self._serial)
        style = Style.MODERN
        if unit.temperament is Temperament.GBK_MAIL:
            style = Style.GBK
        elif unit.temperament is Temperament.FILE_NAMES:
            style = FILE_NAME_STYLES[serial % len(FILE_NAME_STYLES)]
        sender = unit.addresses[-1]
        raw = build(
            Outgoing(
                sender=sender,
                to=unit.reply_to,
                subject=subject,
                text=f"{unit.name}报送，请查收。",
                message_id=f"<{self._seed}.{serial}.{unit.code.lower()}@unit.example>",
                date=act.at,
                in_reply_to="" if automatic else unit.reply_id,
                file_name=file_name,
                content=content,
                style=style,
                automatic=automatic,
            )
        )
        self._post(sender, unit.reply_to, raw)

    def _post(self, sender: str, to: str, raw: bytes) -> None:
        if self._smtp is None:
            self._smtp = smtplib.SMTP(LOOPBACK, self.post_office.port, local_hostname="unit.example", timeout=30)
        self._smtp.sendmail(sender, [to], raw)
