"""The page of documentation made from a form."""

from documents.form_page import write_form_page
from rules.forms import Check, Column, Constraints, Entry, FieldType, Form, Row, Severity
from tests.documents.test_forms import ALL, PROGRESS


def test_the_page_names_every_column_row_and_check() -> None:
    for form in ALL:
        page = write_form_page(form)
        assert page.startswith(f"# {form.title}\n")
        assert all(f"| {c.title} |" in page for c in form.entry_columns)
        assert all(f"| {form.row_name(r)} |" in page for r in form.rows)
    page = write_form_page(PROGRESS)
    assert "| 数量 | 整数 | 必填；不小于 0；不大于 100000000 |  |" in page
    assert "- “排查整治进行时 完成整改”不应大于“排查整治进行时 发现隐患”（核实）" in page
    assert "- “启动仪式 参加”与“启动仪式 组织收看或举办”应同时为零或同时大于零（核实）" in page
    assert "数量：文字，必填；最多 500 个字，写明活动名称，一至两项" in page
    assert page.count("\n- “") == len(PROGRESS.checks)


def test_a_message_stands_as_it_is_and_a_bar_breaks_no_table() -> None:
    form = Form(
        key="f", title="登记表", version=2,
        columns=(Column(key="what", title="项目", label=True), Column(key="is", title="填写|内容")),
        rows=(Row(key="a", labels={"what": "总数"}, entries={"is": Entry(type=FieldType.INTEGER)}),
              Row(key="b", labels={"what": "其中"}, entries={"is": Entry(constraints=Constraints(required=True))})),
        checks=(Check(expr="a >= 2 * b", column="is", severity=Severity.MUST, message="总数至少是其中的两倍"),),
    )  # fmt: skip
    page = write_form_page(form)
    assert "| 填写\\|内容 | 文字 | 可不填 |  |" in page
    assert "- 总数至少是其中的两倍（强制；`a >= 2 * b`）" in page
