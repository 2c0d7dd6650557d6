"""Sealing: credentials lie in the database encrypted, under a key that is kept elsewhere, so that a copy of it betrays nobody."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_FILE = "secret.key"
SETTING = "CAMPANA_SECRET_KEY"
SHORTEST = 32  # characters of a key: what is shorter can be guessed
PURPOSE = b"campana credentials"


class BadKey(ValueError):
    """The key cannot be used; the sentence says what to do."""


class WrongKey(RuntimeError):
    """What is sealed was sealed with another key; the sentence says where to look for it."""


class Vault:
    """Seals with the first of its keys, opens with any of them. `source` says where the keys come from."""

    def __init__(self, keys: Sequence[str], source: str = SETTING) -> None:
        self._key = keys[0].encode()
        boxes = [Fernet(_derived(key)) for key in keys]
        self._first, self._all = boxes[0], MultiFernet(boxes)
        self.source = source

    def seal(self, plain: bytes) -> bytes:
        """The same, readable only with our key."""
        return self._all.encrypt(plain)

    def open(self, sealed: bytes) -> bytes:
        """What was sealed; raises WrongKey when it was not with any of ours."""
        try:
            return self._all.decrypt(sealed)
        except InvalidToken as error:
            raise WrongKey(
                f"The credentials in this database are sealed with another key than the one in {self.source}. Start with the key "
                f"that sealed them: the {SETTING} of before or of the other processes, or the file {KEY_FILE} of the data folder "
                "that went with this database. If it is lost, `campana forget-credentials` makes room to enter them anew."
            ) from error

    def secret(self, purpose: str) -> str:
        """A secret for another purpose, the same in every process that seals with our first key."""
        return HKDF(SHA256(), 32, None, f"campana {purpose}".encode()).derive(self._key).hex()

    def holds(self, sealed: bytes, plain: bytes) -> bool:
        """Whether `sealed` is `plain`, sealed with one of our keys."""
        try:
            return self._all.decrypt(sealed) == plain
        except InvalidToken:
            return False

    def is_newest(self, sealed: bytes) -> bool:
        """Whether it is sealed with our first key, so that no other is needed for it."""
        try:
            self._first.decrypt(sealed)
        except InvalidToken:
            return False
        return True

    def renew(self, sealed: bytes) -> bytes:
        """The same, sealed with our first key."""
        return self.seal(self.open(sealed))


def open_vault(secret_key: str | None, folder: Path) -> Vault:
    """The vault of this installation: with the keys of the setting (comma separated), else with that of a file in `folder`, which
    is made when there is none. Raises BadKey."""
    if secret_key is None:
        path = folder / KEY_FILE
        return Vault([_checked(_key_of(path), str(path))], str(path))
    keys = [key.strip() for key in secret_key.split(",")]
    return Vault([_checked(key, SETTING) for key in keys])


def _derived(key: str) -> bytes:
    """32 even bytes of a key of any form."""
    return base64.urlsafe_b64encode(HKDF(SHA256(), 32, None, PURPOSE).derive(key.encode()))


def _checked(key: str, source: str) -> str:
    if len(key) >= SHORTEST:
        return key
    raise BadKey(
        f"{source} holds a key of {len(key)} characters; it needs {SHORTEST} or more. `openssl rand -hex 32` makes a good one. "
        "Several keys are separated by commas: the first one seals, the others only open."
    )


def _key_of(path: Path) -> str:
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            raise BadKey(f"The key in {path} can be read by other users. Run: chmod 600 {path}")
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadKey(f"The key in {path} cannot be read: {error}. Mend that, or set {SETTING}.") from error


def _make(path: Path) -> None:
    """There is a key file, whole and on the disk, whoever of several processes made it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # unlike a rename, this leaves a key that another process made meanwhile
        except FileExistsError:
            return
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        draft.unlink()
