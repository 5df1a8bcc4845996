"""Settings: documented, and safe."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from settings import Settings


def test_every_setting_is_documented(house: Path) -> None:
    page = (house / "docs" / "settings.md").read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        assert f"`MUSTER_{name.upper()}`" in page
        assert str(field.description) in page


def test_a_rehearsal_sends_to_this_machine_only() -> None:
    with pytest.raises(ValidationError, match="only ever sends to this machine"):
        Settings(rehearsal=True, smtp_host="mail.gov.example")


def test_an_unencrypted_relay_elsewhere_is_refused() -> None:
    with pytest.raises(ValidationError, match="set starttls or implicit"):
        Settings(smtp_host="mail.gov.example", smtp_tls="none")


@pytest.mark.parametrize("secret", ["change-me", "short"])
def test_a_placeholder_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="MUSTER_SIGNING_SECRET is not set"):
        _ = Settings(signing_secret=secret).secret
