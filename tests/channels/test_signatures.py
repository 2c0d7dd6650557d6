"""Signatures: the published vectors, the good ones and the forged."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campana.channels import infobip_sms, signatures, twilio_sms, whatsapp
from campana.channels.contract import Channel, Settings
from campana.core.exchange import Hook
from campana.core.message import Unrecognized

DATA = Path(__file__).parents[1] / "data"
VECTORS = json.loads((DATA / "vectors" / "signatures.json").read_text(encoding="utf-8"))
FORM = "application/x-www-form-urlencoded"


def names(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def twilio_hook(vector: dict[str, Any], url: str | None = None) -> Hook:
    raw = vector.get("raw_body")
    body = raw.encode() if raw is not None else urlencode([tuple(pair) for pair in vector["params"]]).encode()
    kind = "application/json" if raw is not None else f"{FORM}; charset=UTF-8"
    headers = {"x-twilio-signature": vector["signature"], "content-type": kind}
    return Hook("POST", url or vector["url_signed"], headers, body, 1)


def twilio_settings(token: str, **more: str) -> twilio_sms.Settings:
    return twilio_sms.Settings.model_validate({"account_sid": "AC" + "0" * 32, "auth_token": token, **more})


def meta_settings(secret: str) -> whatsapp.Settings:
    return whatsapp.Settings.model_validate({"token": "t", "app_secret": secret, "verify_token": "v", "waba_id": "1"})


def infobip_settings(secret: str, security: str = "basic", **more: str) -> infobip_sms.Settings:
    facts = {"api_key": "k", "base_url": "https://x.api.infobip.com", "webhook_secret": secret, "webhook_security": security}
    return infobip_sms.Settings.model_validate({**facts, **more})


@pytest.mark.parametrize("vector", VECTORS["twilio"], ids=names)
def test_twilio_signature_vectors(vector: dict[str, Any]) -> None:
    assert twilio_sms.verify(twilio_settings(vector["auth_token"]), twilio_hook(vector)) is vector["valid"]


@pytest.mark.parametrize("vector", VECTORS["twilio"], ids=names)
def test_twilio_vectors_sign_the_same_string(vector: dict[str, Any]) -> None:
    signed = vector["url_signed"] + signatures.twilio_parameters([tuple(pair) for pair in vector["params"]])
    assert signed == vector["signed_string"]
    assert signatures.twilio_signature(vector["auth_token"], signed) == vector["signature"]


GOOD = [vector for vector in VECTORS["twilio"] if vector["valid"]]


@pytest.mark.parametrize("vector", GOOD, ids=names)
def test_another_token_body_or_address_is_refused(vector: dict[str, Any]) -> None:
    hook, settings = twilio_hook(vector), twilio_settings(vector["auth_token"])
    assert not twilio_sms.verify(twilio_settings("another"), hook)
    assert not twilio_sms.verify(settings, replace(hook, url=hook.url.replace("://", "://x.")))
    assert not twilio_sms.verify(settings, replace(hook, body=hook.body + b"&a=b"))
    assert not twilio_sms.verify(settings, replace(hook, headers={**hook.headers, "x-twilio-signature": ""}))
    assert not twilio_sms.verify(settings, replace(hook, headers={"content-type": hook.headers["content-type"]}))


@pytest.mark.parametrize(
    ("url", "valid"),
    [
        ("https://mycompany.com/myapp.php?foo=1&bar=2", True),
        ("https://mycompany.com:443/myapp.php?foo=1&bar=2", True),
        ("https://mycompany.com/myapp.php?foo=1&bar=2#rc=5&rp=all", True),
        ("http://mycompany.com/myapp.php?foo=1&bar=2", False),
        ("https://mycompany.com/myapp.php?bar=2&foo=1", False),
    ],
)
@pytest.mark.parametrize("name", ["form post", "signed with the default port"])
def test_the_port_may_be_signed_or_not_and_the_fragment_never_is(name: str, url: str, valid: bool) -> None:
    vector = next(vector for vector in VECTORS["twilio"] if vector["name"] == name)
    assert twilio_sms.verify(twilio_settings(vector["auth_token"]), twilio_hook(vector, url)) is valid


def test_a_get_is_signed_by_its_address_alone() -> None:
    url = "https://hooks.example.com/hooks/sms?Body=&From=%2B1"
    hook = Hook("GET", url, {"x-twilio-signature": signatures.twilio_signature("12345", url)}, b"", 1)
    assert twilio_sms.verify(twilio_settings("12345"), hook)
    assert not twilio_sms.verify(twilio_settings("12345"), replace(hook, url=url + "&x=1"))


def test_a_body_that_is_no_form_needs_its_hash_in_the_address() -> None:
    url = "https://hooks.example.com/hooks/sms"
    headers = {"x-twilio-signature": signatures.twilio_signature("12345", url), "content-type": "application/json"}
    assert not twilio_sms.verify(twilio_settings("12345"), Hook("POST", url, headers, b"{}", 1))


def test_a_form_is_signed_with_its_parameters_though_a_hash_stands_in_the_address() -> None:
    vector = next(vector for vector in GOOD if vector["name"].startswith("json body"))
    hook = twilio_hook(vector)
    assert not twilio_sms.verify(twilio_settings("12345"), replace(hook, headers={**hook.headers, "content-type": FORM}))


@pytest.mark.parametrize(
    ("settings_header", "digest", "valid"),
    [
        ("key=ours,algorithm=HMAC_SHA256", "sha256", True),
        ("algorithm=HMAC_SHA256, key=ours", "sha256", True),
        ("key=ours,algorithm=HMAC_SHA256", "sha1", False),
        ("key=theirs,algorithm=HMAC_SHA256", "sha256", False),
        ("key=ours,algorithm=HMAC_MD5", "md5", False),
        ("key=ours,algorithm=HMAC_SHA1", "sha1", False),
        ("key=ours", "sha256", False),
        ("nonsense", "sha256", False),
    ],
)
def test_a_shared_key_signs_with_sha_256_only(settings_header: str, digest: str, valid: bool) -> None:
    url = "https://hooks.example.com/hooks/sms"
    signature = base64.b64encode(hmac.digest(b"shared", (url + "a1").encode(), digest)).decode()
    headers = {
        "x-twilio-signature": signature,
        "x-twilio-webhooks-signature-settings": settings_header,
        "content-type": FORM,
    }
    hook = Hook("POST", url, headers, b"a=1", 1)
    assert twilio_sms.verify(twilio_settings("t", webhook_key="ours", webhook_key_secret="shared"), hook) is valid
    assert not twilio_sms.verify(twilio_settings("shared"), hook)


@pytest.mark.parametrize(("fields", "valid"), [(500, True), (501, False), (21_000, False)])
def test_a_form_of_more_fields_than_a_vendor_sends_is_nobodys(fields: int, valid: bool) -> None:
    url = "https://hooks.example.com/hooks/sms"
    body = "&".join(f"a{number}=" for number in range(fields))
    signed = url + signatures.twilio_parameters([(f"a{number}", "") for number in range(fields)])
    headers = {"x-twilio-signature": signatures.twilio_signature("12345", signed), "content-type": FORM}
    hook = Hook("POST", url, headers, body.encode(), 1)
    assert twilio_sms.verify(twilio_settings("12345"), hook) is valid
    bare = {**headers, "x-twilio-signature": signatures.twilio_signature("12345", url)}
    assert not twilio_sms.verify(twilio_settings("12345"), replace(hook, headers=bare))
    (event,), _ = twilio_sms.parse_webhook(twilio_settings("12345"), hook)
    assert isinstance(event, Unrecognized)


@pytest.mark.parametrize(
    ("channel", "settings"),
    [
        (twilio_sms.CHANNEL, twilio_settings("t")),
        (whatsapp.CHANNEL, meta_settings("s")),
        (infobip_sms.CHANNEL, infobip_settings("s")),
        (infobip_sms.CHANNEL, infobip_settings("s", "hmac_timestamp")),
        (infobip_sms.CHANNEL, infobip_settings("s", "hmac_header")),
    ],
)
def test_what_is_not_signed_is_not_read(channel: Channel, settings: Settings) -> None:
    class Unread(bytes):
        def decode(self, *_: Any, **__: Any) -> str:
            raise AssertionError("it was read")

    assert not channel.verify(settings, Hook("POST", "https://h.example", {"content-type": FORM}, Unread(b"a=&a="), 1))


def test_the_longest_webhook_of_each_channel() -> None:
    assert (twilio_sms.CHANNEL.max_hook, whatsapp.CHANNEL.max_hook) == (64 * 1024, 3 * 1024 * 1024)
    assert infobip_sms.CHANNEL.max_hook == 3 * 1024 * 1024  # two thousand reports


@pytest.mark.parametrize("vector", VECTORS["meta"], ids=names)
def test_meta_signature_vectors(vector: dict[str, Any]) -> None:
    body = (DATA / vector["body_file"]).read_bytes() if "body_file" in vector else vector["body"].encode()
    hook = Hook("POST", "https://h.example", {"x-hub-signature-256": vector["header"]}, body, 1)
    settings = meta_settings(vector["app_secret"])
    assert whatsapp.verify(settings, hook) is vector["valid"]
    assert not whatsapp.verify(meta_settings("another"), hook)
    assert not whatsapp.verify(settings, replace(hook, body=body + b" "))
    assert not whatsapp.verify(settings, replace(hook, headers={}))
    assert not whatsapp.verify(settings, replace(hook, headers={"x-hub-signature-256": vector["header"].upper()}))


def test_meta_challenge_vector() -> None:
    vector = VECTORS["meta_challenge"]
    settings = whatsapp.Settings(token="t", app_secret="s", verify_token=vector["verify_token"], waba_id="1")
    answer = whatsapp.challenge(settings, Hook("GET", f"https://h.example/?{vector['query']}", {}, b"", 1))
    assert answer is not None
    assert (answer.code, answer.body.decode()) == (vector["answer"]["status"], vector["answer"]["body"])
    assert answer.content_type.startswith(vector["answer"]["content_type"])


MODE = {
    "timestamp scheme": "hmac_timestamp",
    "body scheme, configured header": "hmac_header",
    "timestamp signature replayed as body signature": "hmac_timestamp",
}


def infobip_hook(vector: dict[str, Any]) -> Hook:
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    return Hook("POST", "https://h.example", headers, vector["raw_body"].encode(), 1)


@pytest.mark.parametrize("vector", VECTORS["infobip"], ids=names)
def test_infobip_signature_vectors(vector: dict[str, Any]) -> None:
    settings, hook = infobip_settings(vector["key"], MODE[vector["name"]]), infobip_hook(vector)
    assert infobip_sms.verify(settings, hook) is vector["valid"]
    assert not infobip_sms.verify(infobip_settings("another", MODE[vector["name"]]), hook)
    assert not infobip_sms.verify(settings, replace(hook, body=hook.body + b" "))
    assert not infobip_sms.verify(settings, replace(hook, headers={}))
    assert infobip_sms.verify(infobip_settings(vector["key"]), hook) is False  # pinned to another way of proof


def signed(security: str, body: bytes, algorithm: str, key: bytes = b"k3y") -> dict[str, str]:
    digest = algorithm.removeprefix("HMAC_").replace("_", "").lower()
    if security == "hmac_header":
        return {"x-proof": hmac.digest(key, body, digest).hex()}
    made = hmac.digest(key, b"1667951050990" + body, digest).hex()
    return {"x-ib-exchange-req-timestamp": "1667951050990", "x-ib-exchange-req-signature": made}


@pytest.mark.parametrize("algorithm", list(signatures.DIGESTS))
@pytest.mark.parametrize("security", ["hmac_timestamp", "hmac_header"])
def test_infobip_signs_by_the_algorithm_that_was_chosen(security: str, algorithm: str) -> None:
    def verified(chosen: str, headers: dict[str, str]) -> bool:
        settings = infobip_settings("k3y", security, webhook_algorithm=chosen, webhook_header="X-Proof")
        return infobip_sms.verify(settings, Hook("POST", "https://h.example", headers, b"{}", 1))

    headers = signed(security, b"{}", algorithm)
    assert verified(algorithm, headers)
    assert verified(algorithm, {name: value.upper() for name, value in headers.items()})
    assert [other for other in signatures.DIGESTS if verified(other, headers)] == [algorithm]


@pytest.mark.parametrize(
    ("security", "headers"),
    [
        ("hmac_timestamp", signed("hmac_timestamp", b"{}", "HMAC_SHA_256", b"") | {"x-ib-exchange-req-timestamp": ""}),
        ("hmac_timestamp", {"x-ib-exchange-req-signature": hmac.digest(b"k3y", b"{}", "sha256").hex()}),  # of no time
        ("hmac_timestamp", {"x-ib-exchange-req-timestamp": "1667951050990"}),
        ("hmac_timestamp", signed("hmac_header", b"{}", "HMAC_SHA_256")),
        ("hmac_header", {"x-proof": ""}),
        ("hmac_header", signed("hmac_timestamp", b"{}", "HMAC_SHA_256")),
        ("basic", {}),
        ("basic", {"authorization": "Basic"}),
        ("basic", {"authorization": "Bearer Y2FtcGFuYTprM3k="}),
        ("basic", {"authorization": "Basic Y2FtcGFuYTo="}),  # no password
        ("basic", {"authorization": "Basic bm9ib2R5OmszeQ=="}),  # nobody's name
        ("basic", signed("hmac_header", b"{}", "HMAC_SHA_256")),
    ],
)
def test_infobip_proves_itself_in_the_one_way_that_was_chosen(security: str, headers: dict[str, str]) -> None:
    settings = infobip_settings("k3y", security, webhook_header="X-Proof")
    assert infobip_sms.verify(settings, Hook("POST", "https://h.example", headers, b"{}", 1)) is False


@pytest.mark.parametrize("scheme", ["Basic", "basic"])
def test_infobip_proves_itself_by_name_and_password(scheme: str) -> None:
    hook = Hook("POST", "https://h.example", {"authorization": f"{scheme} Y2FtcGFuYTprM3k="}, b"{}", 1)
    assert infobip_sms.verify(infobip_settings("k3y"), hook)
    assert not infobip_sms.verify(infobip_settings("k3z"), hook)


@pytest.mark.parametrize("check", [signatures.infobip_timestamp, signatures.infobip_body])
def test_without_a_secret_nothing_is_infobips(check: Any) -> None:
    headers = signed("hmac_timestamp", b"{}", "HMAC_SHA_256", b"") | signed("hmac_header", b"{}", "HMAC_SHA_256", b"")
    hook = Hook("POST", "https://h.example", {**headers, "authorization": "Basic Og=="}, b"{}", 1)
    assert not check(hook, "", "HMAC_SHA_256", *(["X-Proof"] if check is signatures.infobip_body else []))
    assert not signatures.basic(hook, "", "")


def test_a_repeat_with_its_first_signature_is_taken_whatever_its_age() -> None:
    hook = Hook("POST", "https://h.example", signed("hmac_timestamp", b"{}", "HMAC_SHA_256"), b"{}", 2_000_000_000_000_000)
    assert infobip_sms.verify(infobip_settings("k3y", "hmac_timestamp"), hook)


@given(st.text(alphabet="ab=&+%2Cé \0;", max_size=40))
def test_a_form_is_read_as_the_standard_library_reads_it(text: str) -> None:
    assert signatures.form_of(text.encode()) == parse_qsl(text, keep_blank_values=True)
