"""Checks our requests against the vendors' own API files: `make conformance`. Prints a sentence for each that does not fit.

The files lie in the folder that CAMPANA_VENDOR_SPECS names, else in `shared/specs` beside the project. Meta's schemas refuse
Meta's own examples, so of Meta only addresses and parameters count here and bodies are checked by our schema.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from jsonschema import Draft202012Validator

from campana.channels import infobip_sms, twilio_sms, whatsapp
from campana.channels.contract import Content, VendorTemplate
from campana.core.exchange import Hook, Request, Response
from campana.core.message import Lost, Outgoing, Unrecognized

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "tests" / "data"
ANY_GRAPH_LIST = frozenset({"fields", "limit", "after"})  # every list of the Graph API takes them; the file names few

ID = bytes(range(16))
TO = "+525511223344"
TWILIO = twilio_sms.Settings(account_sid="AC" + "0" * 32, auth_token="t")
META = whatsapp.Settings(token="t", app_secret="s", verify_token="v", waba_id="102290129340398")
INFOBIP = infobip_sms.Settings(api_key="k", base_url="https://api.infobip.com", webhook_secret="s")
TEMPLATE = VendorTemplate(
    "cita",
    "es_MX",
    "APPROVED",
    "UTILITY",
    "NAMED",
    (
        {"type": "HEADER", "format": "IMAGE"},
        {"type": "BODY", "text": "Hola {{first_name}}"},
        {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Ver", "url": "https://example.com/{{1}}"}]},
    ),
)
VALUES = {"header.image": "https://cdn.example.com/a.png", "first_name": "{{name}}", "button.0": "{{name}}"}


@dataclass(frozen=True)
class Api:
    """A vendor's API file."""

    name: str
    document: Mapping[str, Any]

    def resolve(self, found: Any) -> Any:
        """The thing itself where the file only points at it."""
        while isinstance(found, dict) and "$ref" in found:
            target: Any = self.document
            for step in found["$ref"].removeprefix("#/").split("/"):
                target = target[step.replace("~1", "/").replace("~0", "~")]
            found = target
        return found

    def operation(self, request: Request) -> tuple[str, Mapping[str, Any], Mapping[str, str]] | None:
        """The template of the address, the operation, and the values in the address."""
        path = urlsplit(request.url).path
        for template, item in self.document["paths"].items():
            names = re.findall(r"\{([^}]+)\}", template)
            fixed = [re.escape(piece) for piece in re.split(r"\{[^}]+\}", template)]
            found = re.fullmatch("([^/]+)".join(fixed), path)
            operation = item.get(request.method.lower())
            if found and operation:
                shared = item.get("parameters") or []
                whole = {**operation, "parameters": [*shared, *(operation.get("parameters") or [])]}
                return template, whole, dict(zip(names, map(unquote, found.groups()), strict=True))
        return None

    def problems(self, what: str, request: Request, more: Iterable[str] = ()) -> Iterator[str]:
        """One sentence for each thing in which the request differs from the file."""
        servers = {address_of(server) for server in self.document["servers"]}
        host = "{0.scheme}://{0.netloc}".format(urlsplit(request.url))
        if host not in servers:
            yield f"{what}: {host} is not where {self.name} is ({', '.join(sorted(servers))})."
        found = self.operation(request)
        if found is None:
            yield f"{what}: {self.name} has no {request.method} {urlsplit(request.url).path}."
            return
        template, operation, path = found
        parameters = [self.resolve(one) for one in operation["parameters"]]
        query = dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))
        for place, given in (("path", path), ("query", query)):
            schemas = {one["name"]: one for one in parameters if one["in"] == place}
            if place == "query":
                for name in given.keys() - schemas.keys() - set(more):
                    yield f"{what}: {template} takes no parameter {name!r}."
            for name, one in schemas.items():
                if name in given:
                    yield from self._value(f"{what}: {place} parameter {name}", one.get("schema", {}), given[name])
                elif one.get("required"):
                    yield f"{what}: {template} needs the {place} parameter {name!r}."
        yield from self._form(what, operation, request)

    def _form(self, what: str, operation: Mapping[str, Any], request: Request) -> Iterator[str]:
        content = self.resolve(operation.get("requestBody", {})).get("content", {})
        kind = dict(request.headers).get("Content-Type", "")
        if request.body and kind not in content:
            yield f"{what}: the body is {kind!r}, {self.name} takes {', '.join(content) or 'none'}."
        if kind != "application/x-www-form-urlencoded" or kind not in content:
            return
        schema = self.resolve(content[kind]["schema"])
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        for name in schema.get("required", []):
            if name not in form:
                yield f"{what}: the form needs {name!r}."
        for name, value in form.items():
            if name not in schema["properties"]:
                yield f"{what}: the form takes no {name!r}."
            else:
                yield from self._value(f"{what}: field {name}", schema["properties"][name], value)

    def _value(self, what: str, schema: Mapping[str, Any], value: str) -> Iterator[str]:
        schema = self.resolve(schema)
        read: Any = int(value) if schema.get("type") == "integer" and value.isdigit() else value
        read = {"true": True, "false": False}.get(value, read) if schema.get("type") == "boolean" else read
        read = value.split(",") if schema.get("type") == "array" else read
        for error in Draft202012Validator(schema).iter_errors(read):
            yield f"{what} does not fit: {error.message}."

    def body(self, what: str, request: Request) -> Iterator[str]:
        """One sentence for each thing in which a JSON body differs from the file's schema, unknown names too."""
        found = self.operation(request)
        if found is None or not request.body:
            return
        schema = self.resolve(found[1]["requestBody"])["content"]["application/json"]["schema"]
        whole = {**schema, "components": self.document["components"]}
        for error in Draft202012Validator(whole).iter_errors(json.loads(request.body)):
            yield f"{what}: the body does not fit: {error.message[:200]}."
        yield from self._names(what, schema, json.loads(request.body))

    def _names(self, what: str, schema: Mapping[str, Any], given: Any) -> Iterator[str]:
        schema = self.resolve(schema)
        if isinstance(given, list):
            for one in given:
                yield from self._names(what, schema.get("items", {}), one)
        if not isinstance(given, dict):
            return
        known = self._properties(schema)
        for name, value in given.items():
            if name not in known:
                yield f"{what}: the body takes no {name!r} in {schema.get('title', 'it')}."
            else:
                yield from self._names(f"{what}: {name}", known[name], value)

    def _properties(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        schema = self.resolve(schema)
        found = dict(schema.get("properties", {}))
        for part in (*schema.get("allOf", ()), *schema.get("oneOf", ())):
            found |= self._properties(part)
        return found


def address_of(server: Mapping[str, Any]) -> str:
    """Where a server of the file is, with its variables as the file has them."""
    url: str = server["url"]
    for name, one in server.get("variables", {}).items():
        url = url.replace(f"{{{name}}}", one["default"])
    return url


def outgoing(sender: str, content: Mapping[str, Any]) -> Outgoing:
    return Outgoing(ID, sender, TO, content, "https://hooks.example.com/hooks/x", 1_760_000_000_000_000)


def check_twilio(api: Api) -> Iterator[str]:
    """Every request of the SMS channel, and whether we can read Twilio's own answers."""
    content = twilio_sms.compile_content(Content(text="Hola {{name}}"), None)({"name": "Ana 👍"}).content
    look_up = twilio_sms.CHANNEL.look_up
    assert look_up is not None
    assert look_up.status_request is not None
    number, service = outgoing("+15017122661", content), outgoing("MG" + "0" * 32, content)
    following = f"/2010-04-01/Accounts/{TWILIO.account_sid}/Messages.json?To=%2B5&PageSize=200&Page=1&PageToken=PA1"
    requests = {
        "a text from a number": twilio_sms.build_request(TWILIO, [number]),
        "a text from a service": twilio_sms.build_request(TWILIO, [service]),
        "the check": twilio_sms.check(TWILIO),
        "the look-up by number": look_up.request(TWILIO, number),
        "the look-up by service": look_up.request(TWILIO, service),
        "the next page of a look-up": look_up.next_page(TWILIO, following),
        "the status of one message": look_up.status_request(TWILIO, "SM" + "0" * 32),
    }
    for what, request in requests.items():
        yield from api.problems(what, request)
    operation = api.document["paths"]["/2010-04-01/Accounts/{AccountSid}/Messages.json"]["post"]
    for name, example in operation["responses"]["201"]["content"]["application/json"]["examples"].items():
        (result,) = twilio_sms.parse_response(Response(201, {}, json.dumps(example["value"]).encode()), [number])
        if isinstance(result, Lost):
            yield f"the answer {name}: Twilio's example cannot be read."


def check_whatsapp(api: Api) -> Iterator[str]:
    """Every request of the WhatsApp channel; bodies by our schema."""
    sender = "106540352242922"
    text = whatsapp.compile_content(Content(text="Hola {{name}}"), None)
    template = whatsapp.compile_content(Content(template="cita", language="es_MX", values=VALUES), TEMPLATE)
    listing = whatsapp.CHANNEL.templates
    assert listing is not None
    requests = {
        "a text": whatsapp.build_request(META, [outgoing(sender, text({"name": "Ana"}).content)]),
        "a template": whatsapp.build_request(META, [outgoing(sender, template({"name": "Ana"}).content)]),
        "the check": whatsapp.check(META),
        "the list of templates": listing.request(META, None),
        "the next page of templates": listing.request(META, "MjQZD"),
    }
    schema = json.loads((SCHEMAS / "whatsapp" / "send-message.schema.json").read_text(encoding="utf-8"))
    for what, request in requests.items():
        yield from api.problems(what, request, ANY_GRAPH_LIST)
        if request.body:
            for error in Draft202012Validator(schema).iter_errors(json.loads(request.body)):
                yield f"{what}: the body does not fit our schema: {error.message[:200]}."
    yield from _webhooks(api)


def _webhooks(api: Api) -> Iterator[str]:
    """Meta's own examples of webhooks must tell us something."""
    operation = api.document["paths"].get("/whatsapp/webhooks", {}).get("post", {})
    content = api.resolve(operation.get("requestBody", {})).get("content", {}).get("application/json", {})
    for name, example in content.get("examples", {}).items():
        body = json.dumps(api.resolve(example).get("value")).encode()
        events, answer = whatsapp.CHANNEL.parse_webhook(META, Hook("POST", "https://h.example", {}, body, 1))
        for event in events:
            if isinstance(event, Unrecognized):
                yield f"the webhook {name}: {event.words}."
        if answer.code != 200 or not events:
            yield f"the webhook {name}: Meta's example tells nothing."


def check_infobip(api: Api) -> Iterator[str]:
    """Every request of the SMS channel with its bodies, and whether we can read Infobip's own answers and webhooks."""
    content = infobip_sms.compile_content(Content(text="Hola {{name}}"), None)({"name": "Ana 👍"}).content
    look_up = infobip_sms.CHANNEL.look_up
    assert look_up is not None
    assert look_up.status_request is not None
    text = outgoing("InfoSMS", content)
    letters = infobip_sms.Settings.model_validate(
        {"api_key": "k", "base_url": INFOBIP.base_url, "webhook_secret": "s", "transliteration": "NON_UNICODE", "language": "ES"}
    )
    requests = {
        "a text from a name": infobip_sms.build_request(INFOBIP, [text]),
        "texts from a number": infobip_sms.build_request(INFOBIP, [outgoing("+447860099299", content)] * 100),
        "a text with national letters": infobip_sms.build_request(letters, [text]),
        "the check": infobip_sms.check(INFOBIP),
        "the look-up": look_up.request(INFOBIP, text),
        "the next page of a look-up": look_up.next_page(INFOBIP, "abc"),
        "the status of one message": look_up.status_request(INFOBIP, ID.hex()),
    }
    for what, request in requests.items():
        yield from api.problems(what, request)
        yield from api.body(what, request)
    operation = api.document["paths"]["/sms/3/messages"]["post"]
    for name, example in operation["responses"]["200"]["content"]["application/json"]["examples"].items():
        ours = json.dumps(example["value"]).replace(example["value"]["messages"][0]["messageId"], ID.hex())
        (result,) = infobip_sms.parse_response(Response(200, {}, ours.encode()), [text])
        if isinstance(result, Lost):
            yield f"the answer {name}: Infobip's example cannot be read."
    for name in TOLD_BY_INFOBIP:
        examples = api.document["webhooks"][name]["post"]["requestBody"]["content"]["application/json"]["examples"]
        for example in examples.values():
            hook = Hook("POST", "https://h.example", {}, json.dumps(example["value"]).encode(), 1)
            events, _ = infobip_sms.CHANNEL.parse_webhook(INFOBIP, hook)
            if not events or any(isinstance(event, Unrecognized) for event in events):
                yield f"the webhook {name}: Infobip's example cannot be read."


TOLD_BY_INFOBIP = (  # all but the clicks on links that it shortens: we let it shorten none
    "receive-inbound-sms-messages",
    "receive-outbound-sms-message-reports-v3",
    "receive-outbound-sms-message-reports",
)
CHECKS = {
    "twilio": ("Twilio", check_twilio),
    "whatsapp": ("WhatsApp", check_whatsapp),
    "infobip": ("Infobip", check_infobip),
}


def main() -> int:
    """Checks all vendors; 1 when something does not fit or a file is missing. Without that folder there is nothing to check."""
    named = os.environ.get("CAMPANA_VENDOR_SPECS")
    folder = Path(named or ROOT.parent / "shared" / "specs")
    if not named and not folder.is_dir():
        sys.stdout.write(
            "The vendors' API files are not beside this clone: nothing was checked. Name them in CAMPANA_VENDOR_SPECS.\n"
        )
        return 0
    problems = []
    for vendor, (name, check) in CHECKS.items():
        file = folder / vendor / "openapi-subset.json"
        if not file.is_file():
            problems.append(f"{file} is missing. Set CAMPANA_VENDOR_SPECS to the folder of the vendors' API files.")
            continue
        found = list(check(Api(name, json.loads(file.read_text(encoding="utf-8")))))
        problems += [f"{name}, {problem}" for problem in found]
    sys.stdout.write("".join(f"{problem}\n" for problem in problems) or "Every request is one that its vendor describes.\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
