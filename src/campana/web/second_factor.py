"""Codes of a second factor (TOTP): which moment a code is of, the picture that an app takes the secret from, and the codes
for who has lost the app."""

from __future__ import annotations

import hashlib
import hmac
import io
import secrets

import pyotp
import segno

from campana.core.durations import SECOND
from campana.core.ids import Id
from campana.vault import Vault

STEP = 30  # seconds that a code is shown
AROUND = (0, -1, 1)  # clocks of phones are a little off
SIGNS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is taken for another when it is copied by hand
RECOVERY_CODES = 10


def new_secret() -> str:
    """A secret for an app."""
    return pyotp.random_base32()


def sealed(vault: Vault, secret: str) -> bytes:
    """The secret as the database keeps it."""
    return vault.seal(secret.encode())


def opened(vault: Vault, kept: bytes) -> str:
    """The secret of what the database keeps."""
    return vault.open(kept).decode()


def step_of(secret: str, code: str, now: int) -> int | None:
    """The moment that a code belongs to; None when it is none of the secret's just now."""
    given = "".join(code.split())
    totp = pyotp.TOTP(secret)
    for step in (now // SECOND // STEP + offset for offset in AROUND):
        if hmac.compare_digest(totp.generate_otp(step).encode(), given.encode()):
            return step
    return None


def picture(secret: str, email: str) -> str:
    """The secret as a QR code, in SVG without styles or scripts."""
    address = pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="Campana")
    out = io.BytesIO()
    segno.make(address, error="m").save(out, kind="svg", xmldecl=False, svgns=False, omitsize=True, nl=False, light="#fff")
    return out.getvalue().decode()


def new_recovery_codes() -> list[str]:
    """Codes that each work once without the app: 79 bits each, so that a plain hash of one tells nothing."""
    return ["-".join("".join(secrets.choice(SIGNS) for _ in range(4)) for _ in range(4)) for _ in range(RECOVERY_CODES)]


def recovery_hash(user_id: Id, code: str) -> bytes:
    """What is kept of a recovery code, however it was typed."""
    plain = "".join(sign for sign in code.casefold() if sign.isalnum())
    return hashlib.sha256(b"recovery " + user_id + plain.encode()).digest()
