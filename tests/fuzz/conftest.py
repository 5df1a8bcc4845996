"""``pytest tests/fuzz --hypothesis-profile=long`` fuzzes for minutes instead of moments."""

from hypothesis import settings

settings.register_profile("long", max_examples=10_000)
