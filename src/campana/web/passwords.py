"""Passwords: which are good enough, and how they are kept and checked without keeping the event loop waiting."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from campana.core.access import email_key

SHORTEST, LONGEST = 10, 200
HASHER = PasswordHasher()
# Each takes 64 MiB for a twentieth of a second: no more than two at once, whoever asks.
POOL = ThreadPoolExecutor(2, thread_name_prefix="password")


def trouble(password: str, email: str) -> str:
    """What is wrong with a new password, as a word for the page; "" when nothing is."""
    plain = password.casefold()
    if len(password) < SHORTEST:
        return "password_short"
    if len(password) > LONGEST:
        return "password_long"
    name = email_key(email).partition("@")[0]
    guessable = (
        len(set(plain)) < 5 or (len(name) > 3 and name in plain) or plain in "abcdefghijklmnopqrstuvwxyz 01234567890123456789"
    )
    return "password_guessable" if guessable or "password" in plain or "campana" in plain else ""


async def hashed(password: str) -> str:
    """What is kept of a password."""
    return await asyncio.get_running_loop().run_in_executor(POOL, HASHER.hash, password)


async def is_right(password: str, kept: str | None) -> bool:
    """Whether a password is the one that was kept. It takes as long where none was: nobody learns who has an account."""
    right = await asyncio.get_running_loop().run_in_executor(POOL, _matches, password[: 4 * LONGEST], kept)
    return right and kept is not None


@lru_cache(1)
def _nobodys() -> str:
    """A hash whose password nobody knows."""
    return HASHER.hash(secrets.token_hex(16))


def _matches(password: str, kept: str | None) -> bool:
    try:
        return HASHER.verify(kept or _nobodys(), password)
    except (Argon2Error, InvalidHashError):
        return False
