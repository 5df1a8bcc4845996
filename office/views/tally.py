"""A run's own page, and the same in one line and in the sentences of its log."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from office import wording
from office.run_report import Named, Report
from office.views.pages import Markdown, linked, plain, render

IN_LOG = 5  # names in a sentence


def tally_page(templates: Path, report: Report) -> str:
    """Return the page of a run."""
    return render(templates, "tally.md", report=report, named=_named, rates=_rates(report))


def in_one_line(report: Report) -> str:
    """Return a run in one line: what it wrote and took in, and whether anything needs a person."""
    parts = [f"{letters.notice}{letters.count}封" for letters in report.letters]
    parts += [_counted(report.mails, "封")] if report.mails else []
    needs = sum(1 for _ in _needs(report))
    return f"{report.step}：{'，'.join(parts) or '没有需要办理的事项'}" + (
        f"；{needs}件事需要人工处理" if needs else ""
    )


def in_sentences(report: Report) -> Iterator[str]:
    """Yield what a run did, for whom, what it passed over and why, and what needs a person."""
    for letters in report.letters:
        names = "、".join(one.name for one in letters.first[:IN_LOG])
        more = "等" if letters.count > IN_LOG else ""
        fates = "，".join(f"{word}{count}封" for word, count in letters.fates)
        yield f"{letters.notice}{letters.count}封（{fates}）：{names}{more}。"
    if report.mails:
        yield f"收到来信：{_counted(report.mails, '封')}。"
    if not report.letters and not report.mails:
        yield "本次没有需要办理的事项。"
    if report.unsent:
        yield f"没有发出：{_counted(report.unsent, '封')}。"
    for passed in report.passed:
        names = "、".join(f"{one.name}《{one.said}》" for one in passed.first[:IN_LOG])
        yield f"没有写信——{passed.reason}：{passed.count}项" + (
            f"（{names}{'等' if passed.count > IN_LOG else ''}）。" if names else "。"
        )
    yield from _needs(report)
    yield "名单、邮件号和当时的全貌，见本页 Artifacts 一栏。"


def _needs(report: Report) -> Iterator[str]:
    needs = report.needs
    if needs.fenced:
        yield f"尚未放行：{needs.fenced}封邮件在等待放行。"
    for stop in needs.stops:
        yield f"暂停发信——{stop}。"
    if needs.unreached:
        yield f"需要人工处理：{len(needs.unreached)}家单位没有可用邮箱，请电话联系。"
    if needs.unmatched:
        yield f"需要人工处理：无法对应单位的来信{needs.unmatched}封。"


def _counted(counts: Sequence[tuple[str, int]], unit: str) -> str:
    return "，".join(f"{word}{count}{unit}" for word, count in counts)


def _named(one: Named) -> Markdown:
    """Return a unit with what is said of it, as a link where there is a page."""
    return Markdown(plain(one.name) + "（" + linked(one.said, one.address) + "）")


def _rates(report: Report) -> dict[str, str | int]:
    totals = report.totals
    return {
        "owed": totals.owed,
        "reported": totals.reported,
        "on_time": totals.on_time,
        "returned": totals.returned,
        "missing": totals.missing,
        "report_rate": wording.rate_text(totals.report_rate),
        "on_time_rate": wording.rate_text(totals.on_time_rate),
    }
