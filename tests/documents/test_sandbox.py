"""Files that mean harm end in a cause and a sentence; the reading process may die of them, we may not."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from openpyxl.utils import get_column_letter

from documents.archives import plain_name
from documents.opening import Cause, UnreadableWorkbook, open_workbook
from documents.sandbox import Sandbox
from documents.sheets import as_plain, from_plain
from documents.sniff import FileKind, sniff
from tests.documents import attacks
from tests.documents.attacks import with_named, with_parts
from tests.documents.test_forms import FILLED, opened, saved


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    box = Sandbox(workers=2)
    yield box
    box.close()


@pytest.fixture
def small() -> Iterator[Callable[..., Sandbox]]:
    boxes: list[Sandbox] = []

    def make(**limits: float) -> Sandbox:
        boxes.append(Sandbox(workers=1, **limits))  # type: ignore[arg-type]
        return boxes[-1]

    yield make
    for box in boxes:
        box.close()


def children() -> set[int]:
    living = (p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE)
    return {p.pid for p in living if "documents.child" in p.cmdline()}


def child_since(before: set[int]) -> int:
    """Return the one child that is new; on a busy machine it takes a moment to be seen under its own name."""
    ends = time.monotonic() + 5
    while not (new := children() - before) and time.monotonic() < ends:
        time.sleep(0.02)
    (child,) = new
    return child


def cause_of(box: Sandbox, content: bytes) -> Cause:
    with pytest.raises(UnreadableWorkbook) as raised:
        box.open_workbook(content)
    assert str(raised.value)
    return raised.value.cause


def test_a_book_comes_through_the_pipe_as_it_was(sandbox: Sandbox) -> None:
    book = opened(FILLED)
    book.worksheets[0]["F6"] = "=SUM(1,2)"
    book.worksheets[0]["F7"] = "甲\n“乙”\t\U0001f600"
    content = saved(book)
    here = open_workbook(content)
    assert sandbox.open_workbook(content) == here
    assert from_plain(as_plain(here)) == here
    assert here.sheets[0].formulas == {(5, 5): "=SUM(1,2)"}


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (with_parts(book=attacks.laughs()), Cause.ENTITIES),
        (with_parts(sheet=attacks.laughs()), Cause.ENTITIES),
        (with_parts(sheet=attacks.outside_entity()), Cause.ENTITIES),
        (with_parts(types=attacks.outside_entity()), Cause.ENTITIES),
        (with_named({"xl/sharedStrings.xml": attacks.laughs()}), Cause.ENTITIES),
        (with_parts(sheet=attacks.laughs().decode().encode("utf-16")), Cause.BROKEN),
        (with_parts(sheet=b""), Cause.BROKEN),
        (with_parts(book=None), Cause.BROKEN),
        (b"PK\x03\x04 broken", Cause.BROKEN),
        (b"", Cause.BROKEN),
        (bytes(31 * 1024 * 1024), Cause.TOO_LARGE),
    ],
    ids=["laughs in the book", "laughs in a sheet", "a file asked for", "in the list of parts", "in the strings",
         "laughs in UTF-16", "an empty sheet", "no book", "no zip", "nothing", "31 MB"],
)  # fmt: skip
def test_a_file_that_cannot_be_read_has_a_cause(sandbox: Sandbox, content: bytes, cause: Cause) -> None:
    assert cause_of(sandbox, content) is cause
    assert sandbox.open_workbook(FILLED).sheets


def test_a_sheet_nested_without_end_does_no_harm(sandbox: Sandbox) -> None:
    try:
        assert sandbox.open_workbook(attacks.deep_xml()).sheets[0].grid == []
    except UnreadableWorkbook as error:
        assert error.cause in Cause  # noqa: PT017  either is well
    assert sandbox.open_workbook(FILLED).sheets


def test_two_million_rows_are_too_many_and_take_no_time(sandbox: Sandbox) -> None:
    content = attacks.many_rows()
    assert sniff(content) is FileKind.XLSX
    assert cause_of(sandbox, content) is Cause.TOO_LARGE


@pytest.mark.parametrize(
    ("row", "column", "fits"), [(3_000, 1, True), (3_001, 1, False), (6, 60, True), (6, 61, False)]
)
def test_what_stands_beyond_any_form_is_not_lost_unsaid(sandbox: Sandbox, row: int, column: int, fits: bool) -> None:
    book = opened(FILLED)
    book.worksheets[0].cell(row, column, 12)
    if fits:
        assert sandbox.open_workbook(saved(book)).sheets[0].grid[row - 1][column - 1] == 12
    else:
        assert cause_of(sandbox, saved(book)) is Cause.TOO_LARGE


def test_a_file_that_wants_too_much_memory_is_too_large(small: Callable[..., Sandbox]) -> None:
    box = small(memory_mb=48)
    assert cause_of(box, attacks.many_strings()) in (Cause.TOO_LARGE, Cause.DIED)
    assert box.open_workbook(FILLED).sheets


def test_a_file_that_takes_too_long_is_given_up(small: Callable[..., Sandbox]) -> None:
    box = small(wall_s=0.3)
    box.warm()
    started = time.monotonic()
    assert cause_of(box, heavy()) is Cause.TOO_SLOW
    assert time.monotonic() - started < 5


def test_a_file_that_computes_too_long_dies_of_it(small: Callable[..., Sandbox]) -> None:
    assert cause_of(small(cpu_s=0), heavy()) is Cause.DIED


def heavy() -> bytes:
    """Return a workbook that takes some seconds: as many cells as are read at all, with formulas, so read twice."""
    row = b"".join(b'<c r="%s{n}"><f>1</f><v>1</v></c>' % get_column_letter(c).encode() for c in range(1, 61))
    rows = b"".join(b'<row r="%d">' % n + row.replace(b"{n}", b"%d" % n) + b"</row>" for n in range(61, 3_000))
    return with_parts(sheet=lambda xml: xml.replace(b"</sheetData>", rows + b"</sheetData>"))


def test_a_process_that_is_killed_in_the_middle_is_replaced(small: Callable[..., Sandbox]) -> None:
    before = children()
    box = small()
    box.warm()
    victim = child_since(before)
    with ThreadPoolExecutor(1) as pool:
        os.kill(victim, signal.SIGSTOP)
        asked = pool.submit(cause_of, box, FILLED)
        time.sleep(0.2)
        os.kill(victim, signal.SIGKILL)
        assert asked.result(10) is Cause.DIED
    assert box.open_workbook(FILLED).sheets
    assert victim not in children()


def test_a_process_that_died_while_idle_costs_no_file(small: Callable[..., Sandbox]) -> None:
    before = children()
    box = small()
    box.warm()
    victim = child_since(before)
    os.kill(victim, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(victim)] if psutil.pid_exists(victim) else [], timeout=5)
    assert box.open_workbook(FILLED).sheets


def test_many_threads_share_a_few_processes(small: Callable[..., Sandbox]) -> None:
    before = children()
    box = small()
    with ThreadPoolExecutor(8) as pool:
        books = list(pool.map(lambda _: box.open_workbook(FILLED), range(24)))
    assert len(children() - before) == 1
    assert all(book == books[0] for book in books)
    box.close()
    assert children() <= before


def test_the_reading_process_knows_no_secret(small: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_SIGNING_SECRET", "not for them")
    before = children()
    small().warm()
    (child,) = children() - before
    assert set(psutil.Process(child).environ()) <= {"PATH", "SYSTEMROOT", "LC_CTYPE"}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (attacks.bomb(), FileKind.BOMB),
        (attacks.long_directory(), FileKind.BOMB),
        (attacks.packed(*((f"{n}.txt", b"") for n in range(2_001))), FileKind.BOMB),
        (with_named({"xl/vbaProject.bin": b"x"}), FileKind.MACROS),
        (with_named({"xl/macrosheets/sheet1.xml": b"x"}), FileKind.MACROS),
        (with_parts(types=lambda xml: xml.replace(b"spreadsheetml.sheet.main", b"sheet.macroEnabled.main")),
         FileKind.MACROS),
        (attacks.encrypted_zip(), FileKind.ENCRYPTED),
        (attacks.old_office("EncryptedPackage"), FileKind.ENCRYPTED),
        (attacks.old_office("Workbook"), FileKind.XLS),
        (attacks.old_office("WordDocument"), FileKind.DOC),
        (attacks.old_office("Something"), FileKind.OLE),
        (attacks.packed(("xl/workbook.bin", b"x")), FileKind.XLSB),
        (attacks.packed(("META-INF/manifest.xml", b"x")), FileKind.ODF),
        (attacks.packed(("a/../../../etc/passwd", b"x")), FileKind.ZIP),
        (b"<html><script>alert(1)</script></html>", FileKind.HTML),
        (b"\xef\xbb\xbf <!DOCTYPE html>\n<html></html>", FileKind.HTML),
        ("<html><table>".encode("utf-16"), FileKind.HTML),
        (b"<?xml version='1.0'?><!-- a --><svg onload='alert(1)'/>", FileKind.SVG),
        (b"<?xml version='1.0'?><svg:svg/>", FileKind.SVG),
        (b"<?xml version='1.0'?><Workbook/>", FileKind.XML),
        (b"<!---->" * 580, FileKind.TEXT),  # and at once, not after years of trying
        ("单位,数量\n甲,3".encode("gbk"), FileKind.TEXT),
        (b"Rar!\x1a\x07\x00", FileKind.RAR),
        (b"7z\xbc\xaf\x27\x1c", FileKind.SEVEN_ZIP),
        (b"PK\x05\x06" + bytes(18), FileKind.ZIP),
        (b"PK\x03\x04", FileKind.UNKNOWN),
    ],
)  # fmt: skip
def test_a_file_that_means_harm_is_known_before_it_is_opened(content: bytes, kind: FileKind) -> None:
    assert sniff(content) is kind


def test_a_zip_from_windows_has_its_chinese_names_and_no_paths(sandbox: Sandbox) -> None:
    content = attacks.packed_by_windows(("材料/活动计划表.xlsx", FILLED), ("材料/照片.jpg", b"\xff\xd8\xff"))
    files = sandbox.unpack(content)
    assert [(f.name, f.content) for f in files] == [("活动计划表.xlsx", FILLED), ("照片.jpg", b"\xff\xd8\xff")]


def test_a_zip_cannot_name_a_place_and_leaves_its_rubbish_behind(sandbox: Sandbox) -> None:
    content = attacks.packed(
        ("../../etc/cron.d/x", b"1"), ("C:\\Windows\\y.dll", b"2"), ("__MACOSX/._a", b"3"), ("甲/Thumbs.db", b"4"),
        ("/", b""), ("a\r\nX-Evil: 1.txt", b"5"),
    )  # fmt: skip
    assert [f.name for f in sandbox.unpack(content)] == ["x", "y.dll", "aX-Evil 1.txt"]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (attacks.packed(*((f"{n}.txt", b"x") for n in range(41))), Cause.TOO_LARGE),
        (attacks.packed(("a", bytes(61 * 1024 * 1024))), Cause.TOO_LARGE),
        (attacks.encrypted_zip(), Cause.BROKEN),
        (b"PK\x03\x04", Cause.BROKEN),
    ],
)
def test_a_zip_that_cannot_be_unpacked_has_a_cause(sandbox: Sandbox, content: bytes, cause: Cause) -> None:
    with pytest.raises(UnreadableWorkbook) as raised:
        sandbox.unpack(content)
    assert raised.value.cause is cause


@pytest.mark.parametrize(
    ("name", "plain"), [("", "未命名"), ("..", "未命名"), ("a/b\\c.xlsx", "c.xlsx"), ("x" * 300, "x" * 200)]
)
def test_a_name_is_only_a_name(name: str, plain: str) -> None:
    assert plain_name(name) == plain
