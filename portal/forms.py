"""What a browser sends: text and files, within limits, the names of files made harmless."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from ledger.submissions import keepable
from office.destination import IncomingFile
from portal.gate import FIELD
from portal.rules import PortalRules

LONGEST_NAME = 120
TEXT_LIMIT = 64 * 1024  # of one field
HARMFUL = re.compile(r"[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class BrokenFormError(Exception):
    """What came is no form, or more than one may send."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A form as it was sent."""

    text: Mapping[str, str] = field(default_factory=dict)
    files: tuple[IncomingFile, ...] = ()

    def get(self, name: str) -> str:
        """Return a field without white space around it; empty if it was not sent."""
        return self.text.get(name, "").strip()

    @property
    def typed(self) -> dict[str, str]:
        """What a person wrote: everything but our own fields and what is empty."""
        return {name: text for name, text in self.text.items() if not name.startswith("_") and text.strip()}

    @property
    def token(self) -> str:
        """The form's token."""
        return self.text.get(FIELD, "")


@dataclass(frozen=True, kw_only=True)
class Again:
    """A form that comes back: what was typed in it, and by field what is missing or wrong."""

    typed: Mapping[str, str] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)


async def read_form(request: Request, rules: PortalRules) -> Sent:
    """Read what was sent.

    Raises:
        BrokenFormError: it cannot be read, or there is too much of it.
        TooLargeError: it is larger than it may be.

    """
    try:
        async with request.form(
            max_files=rules.max_files, max_fields=rules.max_fields, max_part_size=TEXT_LIMIT
        ) as form:
            text, files = {}, []
            for name, value in form.multi_items():
                if not isinstance(value, UploadFile):
                    text[name] = keepable(value)
                elif value.filename:
                    files.append(IncomingFile(name=harmless(value.filename), content=await value.read()))
    except HTTPException as error:  # so Starlette says that the form is broken
        raise BrokenFormError(str(error.detail)) from None
    except (UnicodeDecodeError, ValueError) as error:
        raise BrokenFormError(str(error)) from None
    return Sent(text=text, files=tuple(files))


def harmless(name: str) -> str:
    """Return a file's name without a path, control characters and marks that turn text around."""
    last = re.split(r"[/\\]", name)[-1]
    return keepable(HARMFUL.sub("", last)).strip()[-LONGEST_NAME:]
