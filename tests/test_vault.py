"""Sealed is what our key alone opens: made once, changed without a pause, refused in words when it is another's."""

from __future__ import annotations

import asyncio
import stat
import sys
from pathlib import Path

import pytest

from campana.vault import KEY_FILE, BadKey, Vault, WrongKey, open_vault

OLD, NEW = "an old key of more than 32 characters", "a new key of more than 32 characters"


def test_what_is_sealed_is_opened_again_and_tells_nothing(tmp_path: Path) -> None:
    vault = open_vault(OLD, tmp_path)
    sealed = vault.seal(b"token")
    assert vault.open(sealed) == b"token"
    assert b"token" not in sealed
    assert vault.seal(b"token") != sealed
    assert list(tmp_path.iterdir()) == []


def test_without_a_setting_a_key_file_is_made_once_for_our_eyes_only(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    sealed = open_vault(None, folder).seal(b"token")
    assert [path.name for path in folder.iterdir()] == [KEY_FILE]
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600
    assert open_vault(None, folder).open(sealed) == b"token"


async def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    code = "import sys, pathlib; from campana.vault import open_vault; v = open_vault(None, pathlib.Path(sys.argv[1]))"
    code += "; print(v.seal(b'token').decode())"
    command = (sys.executable, "-c", code, str(tmp_path / "data"))
    started = [await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE) for _ in range(4)]
    said = [(await one.communicate())[0].strip() for one in started]
    vault = open_vault(None, tmp_path / "data")
    assert [vault.open(one) for one in said] == [b"token"] * 4


def test_a_key_is_changed_step_by_step(tmp_path: Path) -> None:
    old, both, new = (open_vault(keys, tmp_path) for keys in (OLD, f"{NEW}, {OLD}", NEW))
    sealed = old.seal(b"token")
    assert both.open(sealed) == b"token"
    assert not both.is_newest(sealed)
    renewed = both.renew(sealed)
    assert both.is_newest(renewed)
    assert new.open(renewed) == b"token"
    with pytest.raises(WrongKey):
        old.open(renewed)


@pytest.mark.parametrize("sealed", [b"", b"token", Vault([NEW]).seal(b"token"), Vault([OLD]).seal(b"token")[:-4]])
def test_what_another_key_sealed_is_refused_in_words(sealed: bytes) -> None:
    with pytest.raises(WrongKey, match="CAMPANA_SECRET_KEY"):
        Vault([OLD]).open(sealed)


@pytest.mark.parametrize("keys", ["", "short", f"{OLD},", f"{OLD},short"])
def test_a_key_that_can_be_guessed_is_refused(keys: str, tmp_path: Path) -> None:
    with pytest.raises(BadKey, match="needs 32 or more"):
        open_vault(keys, tmp_path)


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    open_vault(None, tmp_path)
    (tmp_path / KEY_FILE).chmod(0o640)
    with pytest.raises(BadKey, match="chmod 600"):
        open_vault(None, tmp_path)


def test_a_key_file_that_holds_no_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_bytes(b"\xff")
    (tmp_path / KEY_FILE).chmod(0o600)
    with pytest.raises(BadKey, match="cannot be read"):
        open_vault(None, tmp_path)
