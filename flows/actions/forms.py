"""Forms: what a verb asks of staff, as Prefect is shown it, and what they filled in, read again.

Prefect builds a form from a signature, and takes help from defaults alone and titles from their extra schema; so the
signature it is shown carries there what the verb says in its annotations. It does not read what is filled in
(``validate_parameters=False``): a date that is none ends in a sentence of ours, not of Prefect's.
"""

import inspect
from collections.abc import Callable, Mapping
from datetime import date, datetime
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from flows.actions.fields import Campaign, RequestedBy
from office.refusals import Mistaken

BY, WHY, WHERE = "requested_by", "reason", "campaign"
EMPTY = inspect.Parameter.empty
READ = ConfigDict(str_strip_whitespace=True)
FAULTS = ((datetime, "bad_moment"), (date, "bad_date"), (int, "bad_number"))  # a datetime is a date too
MISSING = {BY: "no_asker", WHY: "no_grounds"}


class Form:
    """The fields of an action, in the order in which staff see them."""

    def __init__(self, verb: Callable[..., object]) -> None:
        """Take the fields of a verb; whoever asks, and the campaign, are fields of every form."""
        _desk, *own = inspect.signature(verb, eval_str=True).parameters.values()
        reason = own.pop()
        self.fields = (_asks(WHERE, Campaign, ""), *own, _asks(BY, RequestedBy), reason)
        columns: dict[str, Any] = {
            p.name: (p.annotation, ... if p.default is EMPTY else p.default) for p in self.fields
        }
        self._model: type[BaseModel] = create_model(verb.__name__, __config__=READ, **columns)

    def signature(self) -> inspect.Signature:
        """Return the signature from which Prefect makes the form."""
        return inspect.Signature([self._shown(p) for p in self.fields])

    def _shown(self, field: inspect.Parameter) -> inspect.Parameter:
        """Return a field as Prefect is shown it; one that may stay empty as text: a choice of types puzzles people."""
        info = self._model.model_fields[field.name]
        if NoneType in get_args(info.annotation):
            return field.replace(annotation=str, default=_help(info, field.name, ""))
        default = PydanticUndefined if field.default is EMPTY else field.default
        return field.replace(default=_help(info, field.name, default))

    def read(self, filled_in: Mapping[str, object]) -> dict[str, Any]:
        """Return what was filled in, as the verb takes it; what was left empty is as the form has it.

        Raises:
            Mistaken: something that is needed is empty, or something is not what its field asks for.

        """
        said = {name: value for name, value in filled_in.items() if not _is_empty(value)}
        try:
            read = self._model.model_validate(said)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise self._mistake(str(first["loc"][0]), first["type"], first["input"]) from None
        return {p.name: getattr(read, p.name) for p in self.fields}

    def _mistake(self, name: str, kind: str, given: object) -> Mistaken:
        info = self._model.model_fields[name]
        field = info.title or name
        if kind == "missing":
            return Mistaken(MISSING.get(name, "needed"), f"{name} is needed", field=field)
        return Mistaken(
            _fault_of(info.annotation), f"{given!r} does not fit {name}", field=field, value=str(given)[:80]
        )


def _help(info: FieldInfo, name: str, default: object) -> FieldInfo:
    title: dict[str, Any] = {"title": info.title or name}
    return FieldInfo(default=default, description=info.description, json_schema_extra=title)


def _asks(name: str, annotation: object, default: object = EMPTY) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _is_empty(value: object) -> bool:
    return value is None or value is PydanticUndefined or (isinstance(value, str) and not value.strip())


def _fault_of(annotation: object) -> str:
    """Return what is wrong with a value that does not fit a field of some type."""
    types = [annotation, *get_args(annotation)]
    for type_, code in FAULTS:
        if type_ in types:
            return code
    return "bad_text" if str in types else "bad_choice"
