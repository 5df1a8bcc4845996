"""A campaign folder: loaded whole, or refused with every fault at once."""

import shutil
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from definition.calendars import load_calendar
from definition.loading import Report, check_campaign, load_campaign
from definition.models import Campaign
from definition.renew_calendar import year_as_yaml
from definition.roster import read_roster

Edit = Callable[[Path], None]


@pytest.fixture
def folder(house: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(house / "campaigns" / "safety-month-2020", tmp_path / "campaign"))


def report_on(folder: Path, house: Path) -> Report:
    return check_campaign(folder, calendars=house / "campaigns" / "calendar", notices=house / "templates" / "email")


def replace(name: str, old: str, new: str) -> Edit:
    def edit(folder: Path) -> None:
        path = folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return edit


def test_the_shipped_campaign_has_57_units_and_no_fault(house: Path) -> None:
    report = report_on(house / "campaigns" / "safety-month-2020", house)
    assert report.faults == ()
    assert report.loaded is not None
    assert len(report.loaded.units) == 57
    campaign = report.loaded.campaign
    assert Campaign.model_validate(campaign.dump()) == campaign
    assert Campaign.model_validate(campaign.dump()).digest() == campaign.digest()


def test_a_folder_among_the_campaigns_is_called_as_its_key(house: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(house / "campaigns" / "safety-month-2020", tmp_path / "copy"))
    shutil.copytree(house / "campaigns" / "calendar", tmp_path / "calendar")
    [fault] = check_campaign(copy, calendars=tmp_path / "calendar", notices=house / "templates" / "email").faults
    assert (fault.file, fault.line) == ("campaign.yaml", 2)
    assert "'safety-month-2020', and the folder is called 'copy'" in fault.problem
    named = copy.rename(tmp_path / "safety-month-2020")
    assert check_campaign(named, calendars=tmp_path / "calendar", notices=house / "templates" / "email").faults == ()


def test_where_there_are_no_calendars_it_is_said_what_to_copy(folder: Path, house: Path) -> None:
    found = check_campaign(folder, calendars=folder / "none", notices=house / "templates" / "email").faults
    assert [f.remedy for f in found] == [f"copy the shipped campaigns/calendar to {folder / 'none'}"]


def test_a_second_campaign_with_a_gbk_roster_loads(house: Path) -> None:
    loaded = load_campaign(
        house / "tests" / "campaigns" / "flood-season-2023",
        calendars=house / "campaigns" / "calendar",
        notices=house / "templates" / "email",
    )
    assert [u.name for u in loaded.units] == ["桐溪镇", "桐溪水库", "岭脚水库"]


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (replace("units.csv", "BH002,天津港保税区安委会,开发区", "BH002,天津港保税区安委会,开发区域"),
         "units.csv:3: BH002: unknown category '开发区域' — use one of 开发区、成员单位、街镇、有关单位"),
        (replace("units.csv", "BH003,", "BH002,"),
         "units.csv:4: code BH002 stands on line 3 already — give each unit a code of its own"),
        (replace("units.csv", "街镇,BH025,lead.bh036", "街镇,BH999,lead.bh036"),
         "units.csv:37: BH036: superior 'BH999' does not exist — give a unit's code or OFFICE"),
        (replace("units.csv", "成员单位,OFFICE,lead.bh025", "成员单位,BH036,lead.bh025"),
         "units.csv:26: BH025: its superiors go round in a circle — let one of them end at OFFICE"),
        (replace("campaign.yaml", "due: 2020-06-05", "due: 2020-05-01"),
         "campaign.yaml:35: scheme: deadline 2020-05-01 is before the circular's date 2020-05-27 — mend it"),
        (replace("campaign.yaml", "due: 2020-06-05", "due: 2020-08-01"),
         "campaign.yaml:35: scheme: deadline 2020-08-01 is after the close 2020-07-10 — mend it, or close later"),
        (replace("campaign.yaml", "audience: office,", "audience: unit,"),
         "campaign.yaml:45: the ladder ends at nobody of the office: a silent unit would be forgotten"
         " — let its last rung have audience: office or campaign, which always exist"),
        (replace("campaign.yaml", "- {after: 2,",
                 "- {after: 1, audience: office, notice: escalation_digest}\n    - {after: 2,"),
         "campaign.yaml:47: rung 2 goes back down to unit — let the ladder rise"),
        (replace("campaign.yaml", "audience: office,", "audience: campaign,"),
         "campaign.yaml:48: rung 3: the notice 'escalation_digest' does not speak to campaign"
         " — let it be escalation_bulletin"),
        (replace("campaign.yaml", "audience: office,", "audience: office, acknowledge: true,"),
         "campaign.yaml:48: rung 3: nobody of office has anything to promise"),
        (replace("campaign.yaml", "on_due_day: true, after: [1]", "after: [1], responsible: {from: on}"),
         "campaign.yaml:44: plan: the responsible person is to hear from 'on' on, which is no reminder"
         " — name one of before:2、after:1"),
        (replace("campaign.yaml", "roster: units.csv", "roster: units.csv\ndepartments: {街镇: BH999}"),
         "campaign.yaml: departments: 街镇 → BH999: there is no such category or unit"),
        (replace("campaign.yaml", "before: [2]", "before: [-1]"),
         "campaign.yaml:44: plan: a “before” reminder of -1 days falls on or after its deadline"
         " — give days before it, from 1; use on_due_day for the day itself"),
        (replace("campaign.yaml", "notice: escalation, ", "notice: thunder, "),
         "campaign.yaml:46: notice 'thunder' has no subject.txt, body.txt, body.html"
         " — add templates/email/thunder/ or mend the name"),
        (replace("campaign.yaml", "theme: ", "themes: "),
         "campaign.yaml:4: unknown key 'themes' in themes — remove it or mend its spelling"),
        (replace("campaign.yaml", "send_at: ", "sendat: "),
         "campaign.yaml:41: unknown key 'sendat' in timetable.sendat — remove it or mend its spelling"),
        (replace("campaign.yaml", "due: 2020-06-05", "due: 2020-06-31"),
         "campaign.yaml:35: deliverables.2.due: "),
        (replace("campaign.yaml", "zone: Asia/Shanghai", "zone: Asia/Shangri-La"),
         "campaign.yaml:10: unknown zone 'Asia/Shangri-La' — give an IANA name, as Asia/Shanghai"),
        (replace("campaign.yaml", "calendar: cn", "calendar: xx"),
         "campaign.yaml:11: unknown calendar 'xx' — use one of cn"),
        (replace("campaign.yaml", "forms/annex2.yaml", "forms/annex9.yaml"),
         "campaign.yaml:33: plan: form forms/annex9.yaml is not there — add it or mend the path"),
        (replace("campaign.yaml", "填报说明.docx", "没有.docx"),
         "campaign.yaml:55: attachment attachments/没有.docx is not there — add it or mend the path"),
        (replace("forms/annex4.yaml", "expr: hazards_fixed <=", "expr: hazards_mixed <="),
         "forms/annex4.yaml:71: check names unknown row 'hazards_mixed' — mend the key"),
        (replace("forms/annex4.yaml", "hazards_fixed <= hazards_found", "open(1) <= hazards_found"),
         "forms/annex4.yaml:71: check 'open(1) <= hazards_found': only sum(a, b, …) may be called"
         " — mend the expression"),
        (replace("forms/annex4.yaml", "hazards_fixed <= hazards_found", "hazards_fixed <="),
         "forms/annex4.yaml:71: check 'hazards_fixed <=': invalid syntax;"
         " write it like hazards_fixed <= hazards_found — mend the expression"),
        (replace("forms/annex4.yaml", "hazards_fixed <= hazards_found", "hazards_fixed <= 2 * hazards_found"),
         "forms/annex4.yaml:71: check 'hazards_fixed <= 2 * hazards_found' has no message — say in `message:`"),
        (replace("forms/annex4.yaml", "hazards_found, column: quantity", "hazards_found, column: amount"),
         "forms/annex4.yaml:71: check names unknown column 'amount' — give `column:`"),
        (replace("forms/annex3.yaml", "pattern: '[^@", "pattern: '([^@"),
         "is no regular expression: missing ), unterminated subpattern"),
        (replace("campaign.yaml", "key: safety-month-2020", "key: [safety"),
         "campaign.yaml:3: is not YAML: "),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_file_line_and_remedy(folder: Path, house: Path, edit: Edit, line: str) -> None:
    edit(folder)
    report = report_on(folder, house)
    assert report.loaded is None
    assert any(line in str(fault) for fault in report.errors), "\n".join(map(str, report.faults))


def test_a_unit_without_industry_department_is_named_where_a_rung_is_for_departments(folder: Path, house: Path) -> None:
    replace("campaign.yaml", "audience: superior,", "audience: department,")(folder)
    replace("campaign.yaml", "roster: units.csv", "roster: units.csv\ndepartments: {成员单位: BH025, 街镇: OFFICE}")(
        folder
    )
    warnings = [str(f) for f in report_on(folder, house).faults]
    named = [line for line in warnings if "has no industry department" in line]
    assert any(line.startswith("units.csv:2: BH001 ") for line in named)
    assert not any("BH025" in line or "BH036" in line for line in named)


def test_every_fault_is_found_at_once(folder: Path, house: Path) -> None:
    replace("units.csv", "BH003,", "BH002,")(folder)
    replace("campaign.yaml", "zone: Asia/Shanghai", "zone: Nowhere/Here")(folder)
    replace("campaign.yaml", "calendar: cn", "calendar: xx")(folder)
    assert len(report_on(folder, house).errors) == 3


def test_a_bad_or_missing_address_is_a_warning_and_no_stop(folder: Path, house: Path) -> None:
    replace("units.csv", "duty.bh001@unit.example", "duty.bh001 at unit")(folder)
    replace("units.csv", "lead.bh002@unit.example,duty.bh002@unit.example", ",")(folder)
    report = report_on(folder, house)
    assert report.loaded is not None
    assert [str(f) for f in report.loaded.warnings] == [
        "units.csv:2: BH001 天津经济技术开发区安委会: duty address 'duty.bh001 at unit' is no e-mail address"
        " — mend it; mails to it cannot leave",
        "units.csv:3: BH002 天津港保税区安委会 has no working address — add one, or be ready to telephone",
    ]


def test_a_roster_may_be_a_workbook(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["代码", "单位名称", "类别", "主管单位", "联络员邮箱"])
    sheet.append(["A1", "甲", "乡镇", "OFFICE", "a@x.example"])
    book.save(tmp_path / "units.xlsx")
    units, faults = read_roster(tmp_path / "units.xlsx", "units.xlsx")
    assert (units[0].code, units[0].contacts[0].address, faults) == ("A1", "a@x.example", [])


def test_a_year_without_holidays_warns_with_the_way_to_renew(house: Path) -> None:
    days, warnings = load_calendar(house / "campaigns" / "calendar", "cn", [2020, 2039])
    assert days.years == (2020,)
    assert "renew_calendar 2039" in str(warnings[0])


@pytest.mark.parametrize("year", range(2019, 2027))
def test_the_shipped_holidays_are_those_of_their_source(house: Path, year: int) -> None:
    stored = (house / "campaigns" / "calendar" / "cn" / f"{year}.yaml").read_text(encoding="utf-8")
    fresh = year_as_yaml(year)
    assert stored.split("\nyear:")[1] == fresh.split("\nyear:")[1]


ACTS = "rows: {liaison: liaison}\n  columns: {name: name, address: email, phone: mobile}"


@pytest.mark.parametrize(
    ("rows", "columns", "problem"),
    [
        ("{chief: liaison}", "{address: email}", "acts_as names unknown row 'chief'"),
        ("{liaison: boss}", "{address: email}", "acts_as: 'boss' is no role of a contact"),
        ("{liaison: liaison}", "{address: mail}", "acts_as names unknown column 'mail'"),
        ("{liaison: liaison}", "{name: name}", "acts_as does not say which column has the address"),
        ("{liaison: liaison}", "{address: email, post: post}", "acts_as: a contact has no 'post'"),
    ],
)
def test_how_a_form_acts_is_checked_with_its_line(
    folder: Path, house: Path, rows: str, columns: str, problem: str
) -> None:
    replace("forms/annex3.yaml", ACTS, f"rows: {rows}\n  columns: {columns}")(folder)
    [fault] = report_on(folder, house).faults
    assert fault.problem == problem
    assert fault.file == "forms/annex3.yaml"
    assert fault.line == 21


def test_free_materials_owe_no_sealed_original(folder: Path, house: Path) -> None:
    replace("campaign.yaml", "kind: free, owed_by", "kind: free, original: true, owed_by")(folder)
    [fault] = report_on(folder, house).faults
    assert "sealed original" in fault.problem
