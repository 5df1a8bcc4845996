"""What the office refuses a unit or staff: one sentence for staff, and one in Chinese that a clerk can act on."""

from office import wording


class NotPossible(ValueError):  # noqa: N818  what happened
    """A wish that cannot be carried out. Nothing was changed.

    Attributes:
        code: what stands in the way, a key of :data:`office.wording.NOT_POSSIBLE`.
        for_unit: the same for a unit, in Chinese.

    """

    def __init__(self, code: str, for_staff: str, **params: str) -> None:
        """Keep both sentences."""
        super().__init__(for_staff)
        self.code = code
        self.for_unit = wording.NOT_POSSIBLE[code].format(**params)
