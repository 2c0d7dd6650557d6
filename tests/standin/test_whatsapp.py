"""WhatsApp's stand-in refuses what WhatsApp refuses, and tells what it tells."""

from __future__ import annotations

import hmac
import json
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from campana.standin.config import DEMO_TEMPLATES
from campana.standin.vendors import Vendors
from campana.standin.whatsapp_request import COMMON, BadRequest, read_request

HOOK = "https://hooks.example.com/hooks/whatsapp"


@pytest.fixture
def vendors(asks) -> Vendors:
    return Vendors(asks.quick(whatsapp_hook=HOOK))


def recorded_templates(asks) -> tuple:
    pages = sorted((asks.data / "whatsapp/samples").glob("templates-page*.response.json"))
    return tuple(template for page in pages for template in json.loads(page.read_text())["data"])


def schema(asks, name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((asks.data / f"whatsapp/{name}.schema.json").read_text()))


def test_every_recorded_request_to_send_is_accepted(asks) -> None:
    config = asks.quick()
    config = config.model_copy(update={"whatsapp": config.whatsapp.model_copy(update={"templates": recorded_templates(asks)})})
    vendors = Vendors(config)
    samples = sorted((asks.data / "whatsapp/samples").glob("send*.request.json"))
    for sample in samples:
        reply = vendors.handle(asks.graph("POST", f"{asks.number}/messages", json.loads(sample.read_text())), asks.now)
        assert (sample.name, reply.response.code, reply.response.body[:300] if reply.response.code != 200 else b"") == (
            sample.name,
            200,
            b"",
        )
        schema(asks, "send-response").validate(asks.told(reply.response))
    assert len(samples) == 4


SHAPES = [
    {"type": "text", "text": {"body": "Hi"}},
    {"type": "text", "text": {"body": ""}},
    {"type": "text", "text": {"body": "x" * 4097}},
    {"type": "text", "text": {"body": "Hi", "colour": "red"}},
    {"type": "text", "text": {"body": "Hi", "preview_url": "yes"}},
    {"type": "text"},
    {"type": "text", "text": {"body": "Hi"}, "recipient_type": "group"},
    {"type": "text", "text": {"body": "Hi"}, "biz_opaque_callback_data": "x" * 513},
    {"type": "text", "text": {"body": "Hi"}, "context": {"message_id": "wamid.x"}},
    {"type": "text", "text": {"body": "Hi"}, "context": {}},
    {"type": "text", "text": {"body": "Hi"}, "to": "0015551234567"},
    {"type": "text", "text": {"body": "Hi"}, "to": 15551234567},
    {"type": "text", "text": {"body": "Hi"}, "messaging_product": "sms"},
    {"type": "image", "image": {"link": "https://a.example/x.png"}},
    {"type": "image", "image": {"link": "https://a.example/x.png", "id": "1"}},
    {"type": "interactive", "interactive": {"type": "button", "body": {"text": "?"}, "action": {"buttons": []}}},
    {"type": "nonsense", "nonsense": {}},
    {"type": "template", "template": {"name": "Visit", "language": {"code": "en_US"}}},
    {"type": "template", "template": {"name": "visit", "language": {"code": "english"}}},
    {"type": "template", "template": {"name": "visit", "language": {"code": "en", "policy": "fallback"}}},
    {"type": "template", "template": {"name": "visit", "language": {"code": "en"}, "components": []}},
    *(
        {"type": "template", "template": {"name": "visit", "language": {"code": "en"}, "components": [component]}}
        for component in (
            {"type": "body", "parameters": []},
            {"type": "body", "parameters": [{"type": "text", "text": ""}]},
            {"type": "body", "parameters": [{"type": "text", "text": "a", "parameter_name": "First"}]},
            {"type": "body", "parameters": [{"type": "date_time", "date_time": {"fallback_value": "May"}}]},
            {"type": "header", "parameters": [{"type": "image", "image": {"link": "ftp://x"}}]},
            {"type": "header", "parameters": [{"type": "image", "image": {"id": "5"}}]},
            {"type": "button", "sub_type": "url", "index": "10", "parameters": [{"type": "text", "text": "a"}]},
            {"type": "button", "sub_type": "url", "index": 3, "parameters": [{"type": "text", "text": "a"}]},
            {"type": "button", "sub_type": "copy_code", "index": 3, "parameters": [{"type": "coupon_code", "coupon_code": "a"}]},
            {"type": "footer", "parameters": [{"type": "text", "text": "a"}]},
        )
    ),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: json.dumps(shape)[:60])
def test_the_fast_path_agrees_with_the_published_schema(asks, shape) -> None:
    request = {"messaging_product": "whatsapp", "to": "+15558675310", **shape}
    lawful = schema(asks, "send-message").is_valid(request)
    code = refusal(json.dumps(request).encode())
    assert (code is None) == lawful
    assert code in (None, 100, 131008, 131009)


def refusal(body: bytes) -> int | None:
    try:
        read_request(body)
    except BadRequest as bad:
        return bad.code
    return None


def test_what_is_common_needs_no_schema(asks) -> None:
    for request in (asks.template(), asks.words()):
        COMMON.decode(request.body)


def broken(change) -> dict:
    """A send of visit_reminder, changed."""
    sent = {
        "messaging_product": "whatsapp",
        "to": "+15558675310",
        "type": "template",
        "template": {
            "name": "visit_reminder",
            "language": {"code": "en_US"},
            "components": [
                {
                    "type": "body",
                    "parameters": [
                        {"type": "text", "parameter_name": "first_name", "text": "Ana"},
                        {"type": "text", "parameter_name": "appointment_date", "text": "12 May"},
                    ],
                }
            ],
        },
    }
    change(sent, sent["template"]["components"][0]["parameters"])
    return sent


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (lambda sent, values: None, 200, None),
        (lambda sent, values: values.reverse(), 200, None),
        (lambda sent, values: values.pop(), 400, 132000),
        (lambda sent, values: sent["template"].pop("components"), 400, 132000),
        (lambda sent, values: values.append(dict(values[0], parameter_name="more")), 400, 132000),
        (lambda sent, values: values[0].update(parameter_name="name"), 400, 132012),
        (lambda sent, values: [value.pop("parameter_name") for value in values], 400, 132012),
        (lambda sent, values: values[0].update(text="a\nb"), 400, 132018),
        (lambda sent, values: values[0].update(text="a     b"), 400, 132018),
        (lambda sent, values: values[0].update(text="a    b"), 200, None),
        (lambda sent, values: values[0].update(text="  "), 400, 132018),
        (lambda sent, values: values[0].update(text="x" * 1100), 400, 132005),
        (lambda sent, values: sent["template"].update(name="nothing"), 404, 132001),
        (lambda sent, values: sent["template"]["language"].update(code="es"), 404, 132001),
        (lambda sent, values: sent.update(to="15550783881"), 400, 131021),
        (lambda sent, values: sent.update(to="abc"), 400, 131009),
        (lambda sent, values: sent.pop("to"), 400, 131008),
        (lambda sent, values: sent.pop("template"), 400, 131008),
        (lambda sent, values: sent.update(colour="red"), 400, 100),
    ],
)
def test_a_send_of_a_template_is_judged(asks, vendors, change, status, code) -> None:
    reply = vendors.handle(asks.graph("POST", f"{asks.number}/messages", broken(change)), asks.now)
    answer = asks.told(reply.response)
    assert (reply.response.code, answer.get("error", {}).get("code")) == (status, code)
    schema(asks, "error-response" if code else "send-response").validate(answer)


POSITIONAL = {"name": "fall_sale", "language": {"code": "en_US"}}


@pytest.mark.parametrize(
    ("components", "code"),
    [
        ([{"type": "body", "parameters": [{"type": "text", "text": "Ana"}, {"type": "text", "text": "F25"}]}], None),
        ([{"type": "body", "parameters": [{"type": "text", "text": "Ana"}]}], 132000),
        (
            [
                {
                    "type": "body",
                    "parameters": [{"type": "text", "text": "Ana", "parameter_name": "a"}, {"type": "text", "text": "F25"}],
                }
            ],
            132012,
        ),
        (
            [
                {"type": "header", "parameters": [{"type": "text", "text": "Ana"}]},
                {"type": "body", "parameters": [{"type": "text", "text": "Ana"}, {"type": "text", "text": "F25"}]},
            ],
            132000,
        ),
        (
            [
                {"type": "body", "parameters": [{"type": "text", "text": "Ana"}, {"type": "text", "text": "F25"}]},
                {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "x"}]},
            ],
            132000,
        ),
    ],
)
def test_a_positional_template_is_judged(asks, vendors, components, code) -> None:
    body = {
        "messaging_product": "whatsapp",
        "to": "+15558675310",
        "type": "template",
        "template": {**POSITIONAL, "components": components},
    }
    reply = vendors.handle(asks.graph("POST", f"{asks.number}/messages", body), asks.now)
    assert asks.told(reply.response).get("error", {}).get("code") == code


def test_a_media_header_and_a_url_button_must_be_filled(asks) -> None:
    config = asks.quick()
    config = config.model_copy(update={"whatsapp": config.whatsapp.model_copy(update={"templates": recorded_templates(asks)})})
    sample = json.loads((asks.data / "whatsapp/samples/send-template-media-buttons.request.json").read_text())
    codes = []
    for without in (None, 0, 3):
        sent = json.loads(json.dumps(sample))
        if without is not None:
            del sent["template"]["components"][without]
        reply = Vendors(config).handle(asks.graph("POST", f"{asks.number}/messages", sent), asks.now)
        codes.append(asks.told(reply.response).get("error", {}).get("code"))
    assert codes == [None, 132012, 132000]


@pytest.mark.parametrize(
    ("status", "code"), [("APPROVED", None), ("PAUSED", 132015), ("DISABLED", 132016), ("REJECTED", 132001), ("PENDING", 132001)]
)
def test_only_an_approved_template_is_sent_and_a_change_is_told(asks, vendors, status, code) -> None:
    vendors.whatsapp.set_template("visit_reminder", "en_US", status, asks.now)
    (hook,) = vendors.due(asks.now)
    schema(asks, "webhook").validate(json.loads(hook.request.body))
    assert json.loads(hook.request.body)["entry"][0]["changes"][0]["value"]["event"] == status
    assert asks.told(vendors.handle(asks.template(), asks.now).response).get("error", {}).get("code") == code


@pytest.mark.parametrize(
    ("to", "wa_id", "person"),
    [
        ("+525511223344", "5215511223344", "+525511223344"),
        ("5215511223344", "5215511223344", "+525511223344"),
        ("+541123456789", "5491123456789", "+541123456789"),
        ("+5491123456789", "5491123456789", "+541123456789"),
        ("+5511987654321", "551187654321", "+5511987654321"),
        ("551187654321", "551187654321", "+5511987654321"),
        ("+551133334444", "551133334444", "+551133334444"),
        ("+16505551234", "16505551234", "+16505551234"),
    ],
)
def test_the_wa_id_differs_where_it_does(asks, vendors, to, wa_id, person) -> None:
    reply = vendors.handle(asks.template(to=to), asks.now)
    (hook, *_) = vendors.due(asks.now + 1)
    recipient = json.loads(hook.request.body)["entry"][0]["changes"][0]["value"]["statuses"][0]["recipient_id"]
    assert (asks.told(reply.response)["contacts"], recipient, vendors.ledger.lines[0].to) == (
        [{"input": to, "wa_id": wa_id}],
        wa_id,
        person,
    )


def statuses(vendors, now) -> list[tuple[str, int | None]]:
    """What is told of messages until `now`, each webhook answered 200."""
    seen = []
    while hooks := vendors.due(now):
        for hook in hooks:
            value = json.loads(hook.request.body)["entry"][0]["changes"][0]["value"]
            seen += [(each["status"], each.get("errors", [{}])[0].get("code")) for each in value.get("statuses", ())]
            vendors.done(hook, 200, now)
    return seen


def test_free_text_needs_a_message_of_the_person_within_a_day(asks, vendors) -> None:
    day = 24 * 3600 * 1_000_000
    seen = []
    for now, writes in ((asks.now, False), (asks.now + 1, True), (asks.now + day, False), (asks.now + day + 2, False)):
        if writes:
            vendors.whatsapp.hear("+15558675310", asks.number, "hello", now)
            vendors.due(now)
        assert vendors.handle(asks.words(), now).response.code == 200
        seen.append(statuses(vendors, now))
    arrives = [("sent", None), ("delivered", None)]
    assert seen == [[("failed", 131047)], arrives, arrives, [("failed", 131047)]]


def test_who_stopped_marketing_gets_none_but_still_what_is_useful(asks, vendors) -> None:
    vendors.whatsapp.prefer("+15558675310", asks.number, True, asks.now)
    (notice,) = vendors.due(asks.now)
    schema(asks, "webhook").validate(json.loads(notice.request.body))
    parameters = [{"type": "text", "text": "Ana"}, {"type": "text", "text": "F25"}]
    marketing = {
        "messaging_product": "whatsapp",
        "to": "+15558675310",
        "type": "template",
        "template": {**POSITIONAL, "components": [{"type": "body", "parameters": parameters}]},
    }
    vendors.handle(asks.graph("POST", f"{asks.number}/messages", marketing), asks.now)
    first = statuses(vendors, asks.now)
    vendors.handle(asks.template(), asks.now)
    assert (first, statuses(vendors, asks.now)) == ([("failed", 131050)], [("sent", None), ("delivered", None)])


def test_webhooks_are_signed_over_bytes_without_any_beyond_ascii(asks, vendors) -> None:
    vendors.whatsapp.hear("+15558675310", asks.number, "Sí, mañana 👍", asks.now)
    (hook,) = vendors.due(asks.now)
    schema(asks, "webhook").validate(json.loads(hook.request.body))
    expected = hmac.new(asks.whatsapp_config.app_secret.encode(), hook.request.body, "sha256").hexdigest()
    assert dict(hook.request.headers)["X-Hub-Signature-256"] == f"sha256={expected}"
    assert b"S\\u00ed, ma\\u00f1ana \\ud83d\\udc4d" in hook.request.body


def test_every_receipt_fits_the_published_shape(asks, vendors) -> None:
    vendors.handle(asks.template(ref="our-ref"), asks.now)
    for _ in range(2):
        (hook,) = vendors.due(asks.now + 1)
        body = json.loads(hook.request.body)
        schema(asks, "webhook").validate(body)
        assert body["entry"][0]["changes"][0]["value"]["statuses"][0]["biz_opaque_callback_data"] == "our-ref"
        vendors.done(hook, 200, asks.now + 1)
    assert vendors.next_due() is None


def test_what_is_not_heard_is_told_for_a_week_ever_more_seldom(asks, vendors) -> None:
    vendors.whatsapp.hear("+15558675310", asks.number, "hello", asks.now)
    now, waits = asks.now, []
    while hooks := vendors.due(now):
        vendors.done(hooks[0], 503, now)
        upcoming = vendors.next_due()
        if upcoming is None:
            break
        waits.append(upcoming - now)
        now = upcoming
    assert waits == sorted(waits)
    assert 6 < (now - asks.now) / 86_400_000_000 < 8


def test_templates_are_listed_page_by_page(asks, vendors) -> None:
    names, url = [], f"http://api/v23.0/{asks.whatsapp_config.waba_id}/message_templates?limit=2&fields=name,status"
    while url:
        page = asks.told(vendors.handle(replace(asks.graph("GET", ""), url=url), asks.now).response)
        names.append([template["name"] for template in page["data"]])
        url = page["paging"].get("next")
    assert names == [["visit_reminder", "fall_sale"], ["recordatorio_cita"]]
    assert len(DEMO_TEMPLATES) == 3


def test_only_templates_of_the_asked_status_are_listed(asks, vendors) -> None:
    vendors.whatsapp.set_template("fall_sale", "en_US", "PAUSED", asks.now)
    path = f"{asks.whatsapp_config.waba_id}/message_templates?status=APPROVED"
    page = asks.told(vendors.handle(asks.graph("GET", path), asks.now).response)
    assert [template["name"] for template in page["data"]] == ["visit_reminder", "recordatorio_cita"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "{number}", 200, None),
        ("GET", "{waba}/phone_numbers", 200, None),
        ("POST", "{waba}/subscribed_apps", 200, None),
        ("GET", "{waba}/subscribed_apps", 200, None),
        ("GET", "{waba}/message_templates?limit=0", 400, 100),
        ("POST", "999/messages", 400, 33),
        ("DELETE", "{number}", 400, 33),
    ],
)
def test_what_can_be_asked_is_answered(asks, vendors, method, path, status, code) -> None:
    path = path.format(number=asks.number, waba=asks.whatsapp_config.waba_id)
    reply = vendors.handle(asks.graph(method, path), asks.now)
    assert (reply.response.code, asks.told(reply.response).get("error", {}).get("code")) == (status, code)


def test_a_stranger_is_turned_away(asks, vendors) -> None:
    reply = vendors.handle(replace(asks.template(), headers=(("Authorization", "Bearer wrong"),)), asks.now)
    assert (reply.response.code, asks.told(reply.response)["error"]["code"]) == (401, 190)


def test_nothing_is_told_before_the_app_subscribes(asks) -> None:
    config = asks.quick(whatsapp_hook=HOOK)
    config = config.model_copy(update={"whatsapp": config.whatsapp.model_copy(update={"subscribed": False})})
    vendors = Vendors(config)
    told = []
    for _ in range(2):
        vendors.whatsapp.hear("+15558675310", asks.number, "hello", asks.now)
        told.append(len(vendors.due(asks.now)))
        vendors.handle(asks.graph("POST", f"{asks.whatsapp_config.waba_id}/subscribed_apps"), asks.now)
    assert told == [0, 1]


def test_rate_and_pair_limits(asks) -> None:
    config = asks.quick()
    limits = {"rate": 80, "pair_burst": 45}
    vendors = Vendors(config.model_copy(update={"whatsapp": config.whatsapp.model_copy(update=limits)}))

    def codes(count: int, now: int, to: str = "+1555867{:04}") -> list[int]:
        replies = [vendors.handle(asks.template(to=to.format(place)), now).response for place in range(count)]
        return [asks.told(reply).get("error", {}).get("code", 200) for reply in replies]

    number = codes(100, asks.now)
    pair = codes(50, asks.now + 60_000_000, "+15558679999")
    after = codes(2, asks.now + 66_000_001, "+15558679999")
    assert (number.count(200), number.count(130429)) == (80, 20)
    assert (pair.count(200), pair.count(131056)) == (45, 5)
    assert after == [200, 131056]
