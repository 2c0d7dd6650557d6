"""What proves Infobip's webhooks: a security profile of the account."""

from __future__ import annotations

import base64
import hmac

from campana.standin.config import InfobipConfig

ALGORITHMS = {"HMAC_MD5": "md5", "HMAC_SHA_1": "sha1", "HMAC_SHA_256": "sha256", "HMAC_SHA_512": "sha512"}


def proof(account: InfobipConfig, raw: bytes, at: int) -> tuple[tuple[str, str], ...]:
    """The headers that prove a webhook, as the account's security profile wants them. `at` is in milliseconds."""
    digest, key = ALGORITHMS[account.algorithm], account.signing_key.encode()
    match account.security:
        case "basic":
            pair = base64.b64encode(f"{account.username}:{account.password}".encode()).decode()
            return (("Authorization", f"Basic {pair}"),)
        case "hmac_timestamp":
            made = hmac.digest(key, str(at).encode() + raw, digest).hex()
            return (("X-Ib-Exchange-Req-Timestamp", str(at)), ("X-Ib-Exchange-Req-Signature", made))
        case "hmac_header":
            return ((account.signature_header, hmac.digest(key, raw, digest).hex()),)
    return ()
