"""Uploads of a filled 附件4 through the portal, against a bare endpoint that only saves the file and reads its cells.

``python -m benchmarks.portal [--quick]``. Sixteen clients at once, each upload another unit's and other bytes; both
servers are processes of their own on loopback, run in turn; medians. The portal checks, records and plans the receipt.
"""

import asyncio
import io
import random
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

import httpx
import openpyxl
import uvicorn
from fastapi import FastAPI, UploadFile
from sqlalchemy import func, select

from benchmarks.staging import SECRET, is_quick, launched, premises_of
from definition.loading import LoadedCampaign, load_campaign
from ledger.facts import party_names
from ledger.files import FileStore
from ledger.tables import CampaignRow, MessageRow, SubmissionRow
from mail.tokens import sign
from office.enclosures import empty_form
from office.links import link_text
from office.rulebook import Rulebook
from portal.app import create_app
from portal.rules import PortalRules
from rehearsal.clerk import Manner, fill_form
from settings import HOUSE

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = 16
UPLOADS, QUICK = 320, 96
RUNS = 3
NOW = datetime(2020, 6, 29, 8, tzinfo=UTC)
FREELY = PortalRules(posts_per_minute=10**9, requests_per_minute=10**9)
Upload = tuple[str, bytes]  # path below the server, content


def bare(folder: Path) -> FastAPI:
    """Return the endpoint to be compared with: the file kept, and its cells read by openpyxl."""
    app, store = FastAPI(), FileStore(folder / "bare")

    @app.post("/upload")
    def upload(files: UploadFile) -> dict[str, int]:
        content = files.file.read()
        store.put(content)
        book = openpyxl.load_workbook(io.BytesIO(content), data_only=True, read_only=True)
        return {"cells": sum(cell is not None for s in book for row in s.iter_rows(values_only=True) for cell in row)}

    @app.get("/healthz")
    def health() -> str:
        return "ok"

    return app


def serve(kind: str, folder: Path, port: int) -> None:
    """Be one of the two servers."""
    began = time.monotonic()
    if kind == "bare":
        app = bare(folder)
    else:
        house = premises_of(folder, f"sqlite:///{folder / 'ledger.db'}")
        app = create_app(
            lambda: house, lambda: NOW.fromtimestamp(NOW.timestamp() + time.monotonic() - began, UTC), FREELY
        )
    uvicorn.run(app, port=port, log_level="warning", access_log=False, lifespan="off")


@contextmanager
def running(kind: str, folder: Path, port: int) -> "Iterator[str]":
    """Run a server in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.portal", "serve", kind, str(folder), str(port)]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(words, cwd=HOUSE) as process:  # noqa: S603  our own words
        try:
            for _ in range(400):
                try:
                    httpx.get(f"{url}/healthz")
                    break
                except httpx.TransportError:
                    time.sleep(0.05)
            yield url
        finally:
            process.terminate()


def prepare(folder: Path, loaded: LoadedCampaign, count: int) -> list[Upload]:
    """Launch the campaign, and return an upload for each of so many hand-ins, spread over all its units."""
    house = launched(folder, f"sqlite:///{folder / 'ledger.db'}", loaded)
    book = Rulebook(loaded.campaign)
    with house.ledger.reading() as session:
        row = session.scalars(select(CampaignRow)).one()
        parties = [p for p in party_names(session, row.id).values() if p.kind == "unit"]
    empty = empty_form(row.digest, "progress", book)
    uploads = []
    for number in range(count):
        party = parties[number % len(parties)]
        blank = empty.fill(unit_name=party.name, token=sign("p", party.id, SECRET))
        content = fill_form(blank, random.Random(number), Manner.RIGHT)
        uploads.append((f"/u/{link_text(house, book, party.id, 0)}/upload", content))
    house.ledger.close()
    return uploads


async def send_all(url: str, uploads: list[Upload], *, portal: bool) -> tuple[float, list[float]]:
    """Send every upload, so many at a time; return the seconds, and those of each."""
    waiting, took = list(reversed(uploads)), []
    tokens: dict[str, str] = {}
    async with httpx.AsyncClient(base_url=url, timeout=120) as client:
        if portal:
            for path in {path for path, _ in uploads}:
                text = (await client.get(path)).text
                tokens[path] = text.split('name="_csrf" value="')[1][:64]

        async def one() -> None:
            while waiting:
                path, content = waiting.pop()
                began = time.perf_counter()
                files = {"files": ("附件4.xlsx", content)}
                data = {"_csrf": tokens[path]} if portal else {}
                response = await client.post(path if portal else "/upload", data=data, files=files)
                took.append(time.perf_counter() - began)
                if response.status_code != (303 if portal else 200):
                    raise RuntimeError(f"{response.status_code}: {response.text[:300]}")

        began = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(CLIENTS)))
        return time.perf_counter() - began, took


def recorded(folder: Path) -> tuple[int, int]:
    """Return how many versions were recorded, and how many answers were planned."""
    house = premises_of(folder, f"sqlite:///{folder / 'ledger.db'}")
    with house.ledger.reading() as session:
        versions = session.scalar(select(func.count(SubmissionRow.id))) or 0
        answers = session.scalar(select(func.count(MessageRow.id)).where(MessageRow.notice == "receipt")) or 0
    house.ledger.close()
    return versions, answers


def main() -> None:
    """Measure both in turn, and print rates, ratio and how long the slowest waited."""
    count = QUICK if is_quick() else UPLOADS
    loaded = load_campaign(
        HOUSE / "campaigns" / "safety-month-2020",
        calendars=HOUSE / "campaigns" / "calendar",
        notices=HOUSE / "templates" / "email",
    )
    rates: dict[str, list[float]] = {"bare": [], "portal": []}
    slowest: dict[str, list[float]] = {"bare": [], "portal": []}
    for run in range(1 if is_quick() else RUNS):
        for number, kind in enumerate(rates):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                uploads = prepare(folder, loaded, count)
                with running(kind, folder, 8650 + 2 * run + number) as url:
                    asyncio.run(send_all(url, uploads[:CLIENTS], portal=kind == "portal"))  # warm both alike
                    seconds, took = asyncio.run(send_all(url, uploads[CLIENTS:], portal=kind == "portal"))
                rates[kind].append(len(took) / seconds)
                slowest[kind].append(quantiles(took, n=100)[98])
                if kind == "portal" and recorded(folder) != (count, count):
                    raise SystemExit(f"of {count} uploads {recorded(folder)} were recorded and answered")
    for kind, found in rates.items():
        print(f"{kind:7} {median(found):7.1f} uploads/s, p99 {median(slowest[kind]) * 1000:5.0f} ms")
    print(f"ratio {median(rates['portal']) / median(rates['bare']):.2f} (wanted: at least 0.60)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
