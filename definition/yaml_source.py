"""YAML read once, as nodes that know their lines, and as the values made of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from definition.dues import TAGS
from definition.faults import Fault, FaultyCampaign

# libyaml reads a campaign seven times as fast as PyYAML by itself, which serves where libyaml is missing.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class TextDates(_Loader):  # type: ignore[misc]
    """Leaves dates as text: a 31st of June is then a fault with a line, not a crash inside the reader."""


LEFT_AS_TEXT = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool")
TextDates.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in LEFT_AS_TEXT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
# Of the words for true and false only these two: `on:` is a key of a deadline.
TextDates.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


@dataclass(frozen=True, kw_only=True)
class Source:
    """A YAML file: its name for messages, its value, and where each part of it stands."""

    name: str
    value: Any
    root: yaml.Node | None

    def line(self, *path: object) -> int | None:
        """Return the line (from 1) of the deepest part of a path that exists."""
        node, line = self.root, 1
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            line, node = found
        return line if self.root is not None else None


def _child(node: yaml.Node | None, step: object) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line + 1, node.value[step]
    return None


def read_yaml(path: Path, name: str) -> Source:
    """Read a YAML file.

    Raises:
        FaultyCampaign: it is not there, not UTF-8, or not YAML.

    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        root, value = _read(text)
    except FileNotFoundError:
        raise FaultyCampaign(
            [Fault(file=name, line=None, problem="is not there", remedy="put the file in place")]
        ) from None
    except UnicodeDecodeError:
        raise FaultyCampaign([Fault(file=name, line=None, problem="is not UTF-8", remedy="save it as UTF-8")]) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        problem = f"is not YAML: {error.problem}"
        raise FaultyCampaign(
            [Fault(file=name, line=line, problem=problem, remedy="mend the indentation or quoting")]
        ) from None
    return Source(name=name, value=value, root=root)


def _read(text: str) -> tuple[yaml.Node | None, Any]:
    loader = TextDates(text)
    try:
        root = loader.get_single_node()
        return root, None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


# What pydantic puts into a place to say which of several types it tried: no key of the file.
VARIANTS = frozenset(
    ("date", "datetime", "time", "int", "constrained-int", "literal['end']", "Event", "NamedTime", *TAGS)
)


def pydantic_faults(source: Source, errors: Sequence[Any], prefix: tuple[object, ...] = ()) -> list[Fault]:
    """Return the faults that pydantic found, with their lines."""
    faults = []
    for error in errors:
        loc = tuple(step for step in error["loc"] if not (isinstance(step, str) and step in VARIANTS))
        place = ".".join(str(step) for step in loc)
        if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            problem, remedy = f"unknown key {loc[-1]!r} in {place}", "remove it or mend its spelling"
        elif error["type"].startswith("missing"):
            problem, remedy = f"{place} is missing", "add it"
        else:
            problem, remedy = f"{place}: {error['msg'].removeprefix('Value error, ')}", f"change {error.get('input')!r}"
        fault = Fault(file=source.name, line=source.line(*prefix, *loc), problem=problem, remedy=remedy)
        if fault not in faults:
            faults.append(fault)
    return faults
