"""Arguments that do not fit, in one plain sentence: which one, what it is for, and where to read more."""

import re
from inspect import Parameter as Kind
from inspect import getdoc
from typing import TYPE_CHECKING

from cyclopts.exceptions import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

if TYPE_CHECKING:
    from cyclopts.argument import Argument


def in_plain_words(error: CycloptsError) -> str:
    """Say what does not fit about the words of a command."""
    command = " ".join(("muster", *(error.command_chain or ())))
    fault = _of_an_argument(error, command) if error.argument is not None else _of_the_words(error, command)
    return f"{fault}; `{command} --help` says more"


def _of_an_argument(error: CycloptsError, command: str) -> str:
    assert error.argument is not None  # noqa: S101  for the type checker: it was asked
    name = _name(error.argument) + _use(error, error.argument)
    match error:
        case CoercionError():
            given = error.token.value if error.token is not None else ""
            return f"{given!r} is no {'whole number' if error.target_type is int else 'fit value'} for {name}"
        case MissingArgumentError():
            return f"`{command}` needs {name}"
    return _in_its_own_words(error)


def _of_the_words(error: CycloptsError, command: str) -> str:
    match error:
        case UnknownOptionError():
            names = [one.name for one in error.argument_collection if _is_option(one)]
            has = f"it has {', '.join(names)}" if names else "it has none"
            return f"`{command}` has no option {error.token.keyword or error.token.value}; {has}"
        case UnusedCliTokensError():
            rest = " ".join(error.unused_tokens or ())
            return (
                f"`{command}` has no use for {rest!r}: name the option it belongs to, and quote what has blanks in it"
            )
        case UnknownCommandError():
            return f"there is no command {(error.unused_tokens or [''])[0]!r}"
    return _in_its_own_words(error)


def _in_its_own_words(error: CycloptsError) -> str:
    error.verbose = False
    return str(error).rstrip(".")


def _is_option(argument: "Argument") -> bool:
    return argument.field_info.kind is Kind.KEYWORD_ONLY


def _name(argument: "Argument") -> str:
    return argument.name if _is_option(argument) else argument.field_info.name.upper()


def _use(error: CycloptsError, argument: "Argument") -> str:
    """Return what an argument is for, as the command's own help says it."""
    told = re.search(rf"^ +{argument.field_info.name}: (.+?)\.?$", getdoc(error.target) or "", re.MULTILINE)
    return f" ({told[1]})" if told else ""
