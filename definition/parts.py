"""The base of all parts of a definition."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Base of all parts: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
