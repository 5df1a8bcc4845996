"""Numbers in addresses: none that no database would look for."""

from typing import Annotated

from fastapi import Path

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
