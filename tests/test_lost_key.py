"""A key that is lost: what it sealed is emptied on demand, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from campana.cli import credentials
from campana.engine.launch import Refused
from campana.settings import Settings
from campana.store import integrations
from campana.vault import KEY_FILE, WrongKey
from campana.wiring import open_installation

TWILIO = {"kind": "twilio_sms", "account_sid": "AC" + "0" * 32, "auth_token": "s3cret-token"}


def settings_in(folder: Path, **more: object) -> Settings:
    return Settings(database=f"sqlite:///{folder / 'campana.db'}", data=folder, port=0, **more)


async def names_after_start(settings: Settings) -> list[str]:
    async with open_installation(settings) as installation:
        return sorted(account.name for account in installation.house.accounts.values())


async def test_what_the_lost_key_sealed_is_forgotten_and_those_of_the_settings_come_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_in(tmp_path, integrations={"sms": TWILIO})
    async with open_installation(settings) as installation:
        house, workspace_id = installation.house, installation.workspace_id
        await house.db.run(integrations.add, workspace_id, "shop", "twilio_sms", b"sealed with the key", house.clock.now())
    with pytest.raises(Refused, match="Nothing is lost"):
        await credentials.forget(settings)
    (tmp_path / KEY_FILE).unlink()
    with pytest.raises(WrongKey):
        await names_after_start(settings)
    assert await credentials.forget(settings) == 0
    assert "2 integrations" in capsys.readouterr().err
    assert await names_after_start(settings) == ["sms"]
