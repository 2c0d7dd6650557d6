"""Are these really the vendor's words? Signatures over the bytes as they came, compared in constant time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote, unquote_to_bytes

from campana.core.exchange import Hook

URL = re.compile(r"(https?)://([^/?#]*?)(?::(\d+))?([/?].*)?", re.DOTALL)
DEFAULT_PORT = {"http": "80", "https": "443"}
FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 500  # vendors send some fifty; anybody may send thousands, and has not proved yet who they are


def same(left: str, right: str) -> bool:
    """Equality that takes as long wherever they differ."""
    return hmac.compare_digest(left.encode("utf-8", "replace"), right.encode("utf-8", "replace"))


def query_of(url: str) -> list[tuple[str, str]]:
    """The parameters of a URL, blank ones kept; none when there are too many."""
    return list(_fields(url.partition("#")[0].partition("?")[2]) or ())


def form_of(body: bytes) -> list[tuple[str, str]] | None:
    """The parameters of a form, blank ones kept; None when there are too many."""
    found = _fields(body.decode("utf-8", "replace"))
    return None if found is None else list(found)


@lru_cache(maxsize=4)  # the same webhook is verified, then understood
def _fields(text: str) -> tuple[tuple[str, str], ...] | None:
    """As `urllib.parse.parse_qsl` has it, in a tenth of its time."""
    if text.count("&") >= MOST_FIELDS:
        return None
    pairs = [pair.partition("=") for pair in text.replace("+", " ").split("&") if pair]
    if "%" in text:
        return tuple([(_plain(name), _plain(value)) for name, _, value in pairs])
    return tuple([(name, value) for name, _, value in pairs])


def _plain(part: str) -> str:
    if "%" not in part:
        return part
    return unquote_to_bytes(part).decode("utf-8", "replace") if part.isascii() else unquote(part, errors="replace")


# --- Twilio: https://www.twilio.com/docs/usage/webhooks/webhooks-security ---------------------------------------------------


def twilio(hook: Hook, auth_token: str, shared_key: tuple[str, str] | None = None) -> bool:
    """True when the hook is signed with the account's token, or with the shared key (its name and secret) it names."""
    signature = hook.headers.get("x-twilio-signature", "")
    if not signature:
        return False
    key, digest = auth_token, "sha1"
    if settings := hook.headers.get("x-twilio-webhooks-signature-settings"):
        named = dict(pair.strip().partition("=")[::2] for pair in settings.split(","))
        if shared_key is None or named.get("algorithm") != "HMAC_SHA256" or named.get("key") != shared_key[0]:
            return False
        key, digest = shared_key[1], "sha256"
    parameters = _signed_parameters(hook)
    if parameters is None:
        return False
    tail = twilio_parameters(parameters)
    return any(same(twilio_signature(key, url + tail, digest), signature) for url in _spellings(hook.url))


def twilio_signature(key: str, signed: str, digest: str = "sha1") -> str:
    """The signature over the string that Twilio signs."""
    return base64.b64encode(hmac.digest(key.encode(), signed.encode("utf-8", "replace"), digest)).decode()


def twilio_parameters(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values as they are signed: sorted by code point, a doubled pair once, nothing between them."""
    return "".join(name + value for name, value in sorted(set(pairs)))


def _signed_parameters(hook: Hook) -> list[tuple[str, str]] | None:
    """What is signed beside the URL: the form; nothing of a GET, or of a body whose hash stands in the URL and is right."""
    if hook.method == "GET":
        return []
    kind = hook.headers.get("content-type", "").partition(";")[0].strip().lower()
    told = dict(query_of(hook.url)).get("bodySHA256")
    if kind == FORM or (not kind and told is None):
        return form_of(hook.body)
    return [] if told is not None and same(hashlib.sha256(hook.body).hexdigest(), told) else None


def _spellings(url: str) -> Iterator[str]:
    """The URL as it is, then without its port or with the one it leaves out: Twilio signs the one or the other."""
    bare = url.partition("#")[0]
    yield bare
    if found := URL.fullmatch(bare):
        scheme, host, port, rest = found[1], found[2], found[3], found[4] or ""
        yield f"{scheme}://{host}{'' if port else ':' + DEFAULT_PORT[scheme]}{rest}"


# --- Meta: https://developers.facebook.com/docs/graph-api/webhooks/getting-started ------------------------------------------


def meta(hook: Hook, app_secret: str) -> bool:
    """True when the raw bytes are signed with the app's secret."""
    signature = hook.headers.get("x-hub-signature-256", "")
    if not signature:
        return False
    return same("sha256=" + hmac.digest(app_secret.encode(), hook.body, "sha256").hex(), signature)


# --- Infobip: https://www.infobip.com/docs/essentials/webhook-security ------------------------------------------------------

DIGESTS = {
    "HMAC_MD5": "md5",
    "HMAC_SHA_1": "sha1",
    "HMAC_SHA_224": "sha224",
    "HMAC_SHA_256": "sha256",
    "HMAC_SHA_384": "sha384",
    "HMAC_SHA_512": "sha512",
}


def basic(hook: Hook, user: str, password: str) -> bool:
    """True when the hook carries that name and password."""
    scheme, _, given = hook.headers.get("authorization", "").partition(" ")
    made = base64.b64encode(f"{user}:{password}".encode()).decode()
    return bool(password) and scheme.lower() == "basic" and same(made, given.strip())


def infobip_timestamp(hook: Hook, key: str, algorithm: str) -> bool:
    """True when time and raw bytes are signed together.

    How old the time may be is not asked: a repeat comes hours later and may carry its first signature, and what is told twice
    changes nothing.
    """
    at = hook.headers.get("x-ib-exchange-req-timestamp", "")
    told_at = at.isascii() and at.isdigit()
    return told_at and _signed(key, at.encode() + hook.body, hook.headers.get("x-ib-exchange-req-signature", ""), algorithm)


def infobip_body(hook: Hook, key: str, algorithm: str, header: str) -> bool:
    """True when the raw bytes are signed in that header."""
    return _signed(key, hook.body, hook.headers.get(header.lower(), ""), algorithm)


def _signed(key: str, signed: bytes, signature: str, algorithm: str) -> bool:
    if not key or not signature:
        return False
    return same(hmac.digest(key.encode(), signed, DIGESTS[algorithm]).hex(), signature.strip().lower())
