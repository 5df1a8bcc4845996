"""Write the holidays of a year as data: ``python -m definition.renew_calendar 2027 [FOLDER]``.

The source is the chinesecalendar package (a development dependency), which follows the State Council's yearly notice.
"""

import sys
from collections import defaultdict
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path

import chinese_calendar

FOLDER = Path(__file__).parent.parent / "campaigns" / "calendar" / "cn"
HEAD = """\
# Holidays and make-up working days of {year}, as announced by the State Council.
# Source: chinesecalendar {version}. To renew: pip install -U chinesecalendar, then
#   python -m definition.renew_calendar {year}
# The Saturdays and Sundays within a holiday are listed too: a deadline may move past these and not past others.
"""
WEEKEND = 5


def year_as_yaml(year: int) -> str:
    """Return the file of a year.

    Raises:
        NotImplementedError: the package does not know the year yet.

    """
    holidays: dict[str, list[date]] = defaultdict(list)
    makeup: dict[str, list[date]] = defaultdict(list)
    day = date(year, 1, 1)
    while day.year == year:
        off, name = chinese_calendar.get_holiday_detail(day)
        if off and name:
            holidays[str(name)].append(day)
        elif not off and day.weekday() >= WEEKEND:
            makeup[str(name)].append(day)
        day += timedelta(days=1)
    lines = [HEAD.format(year=year, version=_version()), f"year: {year}"]
    for title, found in (("holidays", holidays), ("makeup_days", makeup)):
        lines.append(f"{title}:" if found else f"{title}: {{}}")
        lines += [f"  {name}: [{', '.join(d.isoformat() for d in days)}]" for name, days in found.items()]
    return "\n".join(lines) + "\n"


def _version() -> str:

    return version("chinesecalendar")


def main(arguments: list[str]) -> int:
    """Write the file of the year named first into the folder named second."""
    if not arguments or not arguments[0].isdigit():
        sys.stderr.write("usage: python -m definition.renew_calendar YEAR [FOLDER]\n")
        return 2
    year, folder = int(arguments[0]), Path(arguments[1]) if len(arguments) > 1 else FOLDER
    try:
        text = year_as_yaml(year)
    except NotImplementedError:
        sys.stderr.write(f"chinesecalendar does not know {year} yet; upgrade it, or wait for the announcement\n")
        return 1
    path = folder / f"{year}.yaml"
    path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
