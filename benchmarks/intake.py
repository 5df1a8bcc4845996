"""Drain a mailbox of 1,000 mails, a filled form in each, against only reading and parsing them.

``python -m benchmarks.intake [--quick]``. Draining is what `muster serve` and `collect` do: fetched, kept, matched,
checked, recorded with findings and figures, the receipt planned; from a Maildir into SQLite. Reading is the mail
parsed and the cells of its workbook read, nothing kept. Medians of runs in turn.
"""

import itertools
import random
import shutil
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from benchmarks.staging import ACT, SECRET, in_turn, is_quick, launched, median, spread
from definition.loading import LoadedCampaign, load_campaign
from documents.reading import read_workbook
from ledger.campaigns import find_campaign, find_party
from mail.maildir import deliver, read_new
from mail.parsing import parse_mail
from mail.tokens import sign
from office.enclosures import empty_form
from office.intake import drain_intake, fetch_mail
from office.premises import Premises
from office.rulebook import Rulebook
from rehearsal.clerk import Manner, fill_form
from rehearsal.envelopes import Outgoing, build
from settings import HOUSE

CAMPAIGN = "safety-month-2020"
MAILS, RUNS, GOAL = 1000, 3, 0.5
FORM = "plan"


def main() -> int:
    """Measure, print, and say whether the goal was met."""
    count, runs = (200, 3) if is_quick() else (MAILS, RUNS)
    loaded = load_campaign(
        HOUSE / "campaigns" / CAMPAIGN,
        calendars=HOUSE / "campaigns" / "calendar",
        notices=HOUSE / "templates" / "email",
    )
    with tempfile.TemporaryDirectory(prefix="muster-intake-") as name:
        folder = Path(name)
        mails = folder / "mails"
        _write(mails, folder, loaded, count)
        numbers = itertools.count()
        reading, draining = in_turn(
            runs,
            lambda: count / _read(mails, loaded),
            lambda: count / _drain(mails, folder / f"run{next(numbers)}", loaded, count),
        )
    ratio = median(draining) / median(reading)
    print(f"reading and parsing: {median(reading):.0f} mails/s ({spread(reading)})")
    print(f"drained:             {median(draining):.0f} mails/s ({spread(draining)})")
    print(f"ratio {ratio:.2f}, goal {GOAL}: {'met' if ratio >= GOAL else 'MISSED'}")
    return 0 if ratio >= GOAL else 1


def _opened(folder: Path, loaded: LoadedCampaign) -> Premises:
    folder.mkdir(parents=True, exist_ok=True)
    return launched(folder, f"sqlite:///{folder / 'ledger.db'}", loaded)


def _write(maildir: Path, folder: Path, loaded: LoadedCampaign, count: int) -> None:
    """Write the mails of all units in turn; every form is filled with figures of its own."""
    house = _opened(folder / "first", loaded)
    book = Rulebook(loaded.campaign)
    template = empty_form(loaded.campaign.digest(), FORM, book)
    with house.ledger.reading() as session:
        campaign_id = find_campaign(session, CAMPAIGN).id
        tokens = [sign("p", find_party(session, campaign_id, unit.code).id, SECRET) for unit in loaded.units]
    for number in range(count):
        unit, token = loaded.units[number % len(loaded.units)], tokens[number % len(tokens)]
        form = fill_form(template.fill(unit_name=unit.name, token=token), random.Random(number), Manner.RIGHT)
        mail = Outgoing(
            sender=f"{unit.code.lower()}@unit.example",
            to=f"muster+{token}@office.example",
            subject="回复：通知",
            text="请查收",
            message_id=f"<{number}@unit.example>",
            date=ACT.as_of,
            file_name="附件2活动计划表.xlsx",
            content=form,
        )
        deliver(maildir, build(mail), ACT.as_of + timedelta(seconds=number))
    house.ledger.close()


def _read(maildir: Path, loaded: LoadedCampaign) -> float:
    """Return the seconds that only reading the mails and their cells takes."""
    forms = list(loaded.campaign.forms.values())
    began = time.perf_counter()
    for fetched in read_new(maildir, received_by="mx.office.example"):
        for attachment in parse_mail(fetched.raw).attachments:
            read_workbook(attachment.content, forms)
    return time.perf_counter() - began


def _drain(mails: Path, folder: Path, loaded: LoadedCampaign, count: int) -> float:
    """Return the seconds that taking them in takes."""
    house = _opened(folder, loaded)
    shutil.copytree(mails, house.maildir)
    began = time.perf_counter()
    fetched = fetch_mail(house, ACT)
    done = drain_intake(house, ACT, CAMPAIGN)
    took = time.perf_counter() - began
    if fetched != count or done.mails.get("hand_in") != count:
        raise SystemExit(f"of {count} mails {fetched} were fetched, and taken in: {dict(done.mails)}")
    house.ledger.close()
    return took


if __name__ == "__main__":
    sys.exit(main())
