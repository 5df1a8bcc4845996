"""While a workbook is opened, others may write."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy.orm import Session

from documents.sandbox import Sandbox
from ledger.engine import Ledger
from rules.obligations import Standing
from tests.office.test_office import Desk, desk, loaded, local  # noqa: F401  fixtures of ours too

NOON = local(6, 1, 12)


@pytest.mark.parametrize("packed", [False, True])
def test_no_file_is_opened_under_the_pen(desk: Desk, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:  # noqa: F811
    pens, asked = [False], []
    write, ask = Ledger.writing, Sandbox._ask

    @contextmanager
    def writing(self: Ledger) -> Iterator[Session]:
        with write(self) as session:
            pens.append(True)
            try:
                yield session
            finally:
                pens.pop()

    def asking(self: Sandbox, what: bytes, data: bytes) -> dict[str, object]:
        asked.append(pens[-1])
        return ask(self, what, data)

    content, name = desk.form_of("BH001", "plan"), "附件2.xlsx"
    if packed:
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as archive:
            archive.writestr("附件2.xlsx", content)
        content, name = held.getvalue(), "材料.zip"
    monkeypatch.setattr(Ledger, "writing", writing)
    monkeypatch.setattr(Sandbox, "_ask", asking)
    desk.receive(NOON, "BH001", name, content)
    assert desk.standings("BH001")["plan"] is Standing.ACCEPTED
    assert asked
    assert not any(asked)
