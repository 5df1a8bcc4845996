"""What the office refuses a unit or staff: one sentence for staff, and one in Chinese that a clerk can act on.

The command line says the English sentence, the page the one for units; staff who act from the run UI read
:func:`in_chinese`.
"""

from collections.abc import Mapping

from office import wording
from office.refusal_wording import OTHERWISE, REFUSED


class Mistaken(ValueError):  # noqa: N818  what happened
    """What staff named or stated does not fit. Nothing was changed.

    Attributes:
        code: what does not fit, a key of :data:`office.refusal_wording.REFUSED`.
        particulars: what that sentence names.

    """

    def __init__(self, code: str, said: str, **particulars: str) -> None:
        """Keep the English sentence, and what the Chinese one needs."""
        super().__init__(said)
        self.code = code
        self.particulars = particulars


class NotPossible(ValueError):  # noqa: N818  what happened
    """A wish that cannot be carried out. Nothing was changed.

    Attributes:
        code: what stands in the way, a key of :data:`office.wording.NOT_POSSIBLE`.
        for_unit: the same for a unit, in Chinese.
        staff: which sentence staff read in Chinese, a key of :data:`office.refusal_wording.REFUSED`.
        particulars: what the sentences name.

    """

    def __init__(self, code: str, for_staff: str, *, staff: str = "", **params: str) -> None:
        """Keep both sentences, and what the one for staff in Chinese needs."""
        super().__init__(for_staff)
        self.code = code
        self.for_unit = wording.NOT_POSSIBLE[code].format(**params)
        self.staff = staff or code
        self.particulars = params


def in_chinese(error: Exception, given: Mapping[str, str]) -> str:
    """Return why something was not done, as staff read it; ``given`` is what they had filled in, by field."""
    if isinstance(error, NotPossible):
        code, particulars = error.staff, error.particulars
    elif isinstance(error, Mistaken):
        code, particulars = error.code, error.particulars
    else:
        code, particulars = type(error).__name__, getattr(error, "particulars", {})
    sentence = REFUSED.get(code)
    if sentence is None:
        return OTHERWISE.format(said=" ".join(str(error).split()))
    return sentence.format_map(_Known({**given, **particulars}))


class _Known(dict[str, str]):
    """What is known; the rest stays empty."""

    def __missing__(self, key: str) -> str:
        """Return nothing."""
        return ""
