"""Pages: Markdown from the templates under templates/artifacts/, in which whatever comes from outside stays text."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from documents.drawing import Drawing

MEANT = re.compile(r"([\\`*_\[\]|<>~#])")  # what Markdown would take for its own


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page that is kept current under its key; ``headline`` says it in one line."""

    key: str
    title: str
    headline: str
    markdown: str


class Markdown(str):
    """Text that is Markdown already."""

    __slots__ = ()


def plain(text: str) -> Markdown:
    """Return text as Markdown that shows it to the letter, on one line."""
    return Markdown(MEANT.sub(r"\\\1", " ".join(text.split())))


def code(text: str) -> Markdown:
    """Return text as code: a command, a path."""
    return Markdown("`" + " ".join(text.split()).replace("`", "'").replace("|", "\\|") + "`")


def linked(text: str, address: str) -> Markdown:
    """Return text that leads to an address, or the text alone where there is none."""
    return Markdown(f"[{plain(text)}]({address})") if address else plain(text)


def picture(drawing: Drawing, told: str) -> Markdown:
    """Return a drawing as part of a page; ``told`` is for those who cannot see it."""
    return Markdown(f'<img src="{drawing.address()}" width="{drawing.width}" alt="{told.replace(chr(34), "")}">')


def render(templates: Path, name: str, **known: object) -> str:
    """Return a page from its template; every text that is no Markdown yet is shown to the letter."""
    return _environment(templates).get_template(name).render(**known)


@lru_cache(maxsize=4)
def _environment(templates: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates / "artifacts"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  Markdown: `to_the_letter` keeps text from being taken for it
        finalize=to_the_letter,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"code": code, "linked": linked, "markdown": Markdown}
    return environment


def to_the_letter(value: object) -> object:
    """Return a value as a page shows it: text is kept from being taken for Markdown, unless it is meant to be."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markdown) else value
