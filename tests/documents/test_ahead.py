"""What is opened before the ledger is held: once, and a file that cannot be opened fails then as it would have."""

import io
from typing import Any

import openpyxl
import pytest

from documents.opening import UnreadableWorkbook
from documents.sandbox import Sandbox


def test_a_workbook_opened_ahead_is_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    openpyxl.Workbook().save(buffer)
    sandbox = Sandbox(workers=1)
    asked: list[bytes] = []
    ask = sandbox._ask

    def counted(what: bytes, data: bytes) -> dict[str, Any]:
        asked.append(what)
        return ask(what, data)

    monkeypatch.setattr(sandbox, "_ask", counted)
    sandbox.open_ahead(buffer.getvalue())
    first = sandbox.open_workbook(buffer.getvalue())
    assert len(asked) == 1
    assert sandbox.open_workbook(buffer.getvalue()) == first
    assert len(asked) == 2  # nothing is kept once it was given
    sandbox.close()


def test_what_cannot_be_opened_fails_when_it_is_asked_for() -> None:
    sandbox = Sandbox(workers=1)
    sandbox.open_ahead(b"PK\x03\x04 and no more")
    with pytest.raises(UnreadableWorkbook):
        sandbox.open_workbook(b"PK\x03\x04 and no more")
    sandbox.close()
