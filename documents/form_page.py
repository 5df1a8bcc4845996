"""A page of documentation made from a form: what is asked, what may be written, what is checked."""

from collections.abc import Iterator, Sequence

from rules.expressions import read_expression
from rules.forms import Check, Column, Constraints, FieldType, Form, Row

TYPES = {
    FieldType.STRING: "文字",
    FieldType.INTEGER: "整数",
    FieldType.NUMBER: "数字",
    FieldType.DATE: "日期（如 2020-06-16）",
}
SEVERITY = {"must": "强制", "query": "核实", "info": "提示"}


def write_form_page(form: Form) -> str:
    """Return the page, in Markdown."""
    return "\n".join(_page(form)).rstrip() + "\n"


def _page(form: Form) -> Iterator[str]:
    yield from (f"# {form.title}", "", f"第 {form.version} 版。{_rows_text(form)}", "")
    yield from (f"- {note}" for note in form.notes)
    yield from ("", "## 填写的栏目", "")
    yield from _table(
        ("栏目", "填什么", "要求", "说明"),
        [(c.title, TYPES[c.type], _limits(c.constraints), c.note) for c in form.entry_columns],
    )
    if form.rows:
        yield from ("", "## 项目", "")
        yield from _table(("项目", "计量单位", "与上表不同之处"), [_row(form, r) for r in form.rows])
    if form.checks:
        yield from ("", "## 数字之间的核对", "")
        yield from (f"- {_check(form, check)}" for check in form.checks)


def _rows_text(form: Form) -> str:
    if form.free is None:
        return f"共 {len(form.rows)} 个项目，行已印好，请勿增删。"
    return f"每项填一行，{form.free.at_least} 至 {form.free.at_most} 行。"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _line(head)
    yield _line(["---"] * len(head))
    yield from (_line(row) for row in rows)


def _line(values: Sequence[str]) -> str:
    return "| " + " | ".join(v.replace("|", "\\|").replace("\n", " ") for v in values) + " |"


def _limits(limits: Constraints) -> str:
    said = ["必填"] if limits.required else []
    said += [f"不小于 {limits.minimum:.15g}"] if limits.minimum is not None else []
    said += [f"不大于 {limits.maximum:.15g}"] if limits.maximum is not None else []
    said += [f"至少 {limits.minLength} 个字"] if limits.minLength is not None else []
    said += [f"最多 {limits.maxLength} 个字"] if limits.maxLength is not None else []
    said += [f"格式 `{limits.pattern}`"] if limits.pattern is not None else []
    said += [f"选填：{'、'.join(limits.enum)}"] if limits.enum else []
    return "；".join(said) or "可不填"


def _row(form: Form, row: Row) -> tuple[str, str, str]:
    return form.row_name(row), row.unit, "；".join(_departures(form, row))


def _departures(form: Form, row: Row) -> Iterator[str]:
    titles = {c.key: c for c in form.columns}
    for key, entry in row.entries.items():
        column: Column = titles[key]
        said = [TYPES[entry.type]] if entry.type is not None else []
        said += [_limits(entry.constraints)] if entry.constraints is not None else []
        said += [entry.note] if entry.note else []
        yield f"{column.title}：{'，'.join(said)}"


def _check(form: Form, check: Check) -> str:
    names = {r.key: form.row_name(r) for r in form.rows} or {c.key: c.title for c in form.columns}
    expression = read_expression(check.expr)
    severity = SEVERITY[check.severity]
    if check.message:
        return f"{check.message}（{severity}；`{check.expr}`）"
    if expression.pair:
        left, right = (names[n] for n in expression.pair)
        return f"“{left}”不应大于“{right}”（{severity}）"
    left, right = (names[n] for n in expression.together or ())
    return f"“{left}”与“{right}”应同时为零或同时大于零（{severity}）"
