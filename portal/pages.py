"""Pages: templates told what to say, and the answers made of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

STYLE = "portal.css"
OCTETS = "application/octet-stream"


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page to be shown. One with ``forms`` needs the cookie that its forms' tokens are bound to."""

    template: str
    context: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    forms: bool = False


@dataclass(frozen=True, kw_only=True)
class GoTo:
    """Where to look next, below the unit's link; what a POST answers with."""

    path: str


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file, given only as an attachment."""

    name: str
    content: bytes
    media_type: str = OCTETS


Shown = Page | GoTo | Download


@lru_cache(maxsize=4)
def _environment(folder: Path) -> Environment:
    """Return the templates of a folder, compiled once a process and again when a file changes."""
    return Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


class Pages:
    """The templates of a folder."""

    def __init__(self, folder: Path) -> None:
        """Read templates; an undefined name is an error, everything is escaped."""
        self._templates = _environment(folder)
        self.style = (folder / STYLE).read_bytes()

    def show(self, page: Page, common: Mapping[str, Any]) -> HTMLResponse:
        """Return a page as an answer."""
        text = self._templates.get_template(page.template).render({**common, **page.context})
        return HTMLResponse(text, status_code=page.status)


def go_to(base: str, where: GoTo) -> Response:
    """Return the redirect after a POST."""
    return RedirectResponse(f"{base}{where.path}", status_code=303)


def hand_out(file: Download) -> Response:
    """Return a file as an attachment, whatever it is."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in file.name)[-80:]
    named = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}"
    return Response(file.content, media_type=file.media_type, headers={"Content-Disposition": named})
