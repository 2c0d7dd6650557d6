"""A stand-in for WhatsApp's Cloud API: sends, templates, numbers and webhooks.

Vendor reference: https://developers.facebook.com/docs/whatsapp/cloud-api
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

from campana.core.exchange import Request, Response
from campana.standin import ledger as kinds
from campana.standin.config import Receipts, StandinConfig
from campana.standin.faults import Fault, draws
from campana.standin.ledger import Ledger, Line, Step
from campana.standin.limits import Bucket
from campana.standin.messages import Message, Notice, Refused, Reply, Sending, Words
from campana.standin.numbers import person_of, wa_id_of
from campana.standin.telling import Webhook
from campana.standin.vendor import Vendor
from campana.standin.whatsapp_request import BadRequest, read_request
from campana.standin.whatsapp_templates import Shape, fill, shape_of
from campana.standin.whatsapp_words import HREF, STATUS_OF, WORDS

PATH = re.compile(r"/v\d{1,3}\.\d{1,2}/([0-9]+)(?:/([a-z_]+))?")
WINDOW = 24 * 3600 * 1_000_000
PAIR_GAP = 6.0  # seconds
WEEK = 7 * 24 * 3600 * 1_000_000
HOUR = 3600 * 1_000_000
NOT_SENDABLE = {"PAUSED": 132015, "DISABLED": 132016}
# Most failures come by webhook; these are told at once.
IN_ANSWER = frozenset(
    {0, 1, 2, 3, 4, 10, 33, 100, 190, 80007, 130429, 131005, 131008, 131009, 131016, 131021, 131030, 131051, 131056, 131057}
)


class WhatsApp(Vendor):
    """The WhatsApp Business account of a stand-in."""

    name: ClassVar[str] = "whatsapp"
    first_status: ClassVar[str] = "accepted"

    def __init__(self, config: StandinConfig, ledger: Ledger) -> None:
        super().__init__(config, ledger)
        self.account = config.whatsapp
        self.subscribed, self.callback = self.account.subscribed, self.account.callback_url or ""
        self.templates: dict[tuple[str, str], dict[str, Any]] = {
            (str(template["name"]), str(template["language"])): dict(template) for template in self.account.templates
        }
        self._shapes: dict[tuple[str, str], Shape] = {key: shape_of(template) for key, template in self.templates.items()}
        self.windows: dict[str, int] = {}  # person -> when they last wrote
        self.stopped: set[str] = set()  # no marketing, please
        self._rates = {number: Bucket(self.account.rate, self.account.rate or 1) for number in self.account.phone_numbers}
        self._pairs: dict[str, Bucket] = {}

    @property
    def senders(self) -> tuple[str, ...]:
        """The phone number ids of the account."""
        return tuple(self.account.phone_numbers)

    def handle(self, request: Request, now: int) -> Reply:
        """Answers one request of the Graph API."""
        url = urlsplit(request.url)
        path = PATH.fullmatch(url.path)
        scheme, _, token = _header(request, "authorization").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self.account.token.encode()):
            return Reply(self._error(190))
        if not path:
            return Reply(self._error(100, f"Unknown path components: {url.path}"))
        account, number = path[1] == self.account.waba_id, path[1] in self.account.phone_numbers
        match request.method, path[2]:
            case "POST", "messages" if number:
                return self._create(path[1], request, now)
            case "GET", None if number:
                return Reply(self.json(200, self._number(path[1])))
            case "GET", "phone_numbers" if account:
                return Reply(self.json(200, {"data": [self._number(each) for each in self.account.phone_numbers]}))
            case "GET", "message_templates" if account:
                return Reply(self._list(request.url, parse_qs(url.query)))
            case "GET" | "POST" as method, "subscribed_apps" if account:
                return Reply(self._subscribe(method, request, now))
        return Reply(self._error(33, f"Object with ID '{path[1]}' does not exist, or does not support this operation"))

    def _create(self, number: str, request: Request, now: int) -> Reply:
        sent: dict[str, Any] = {}
        try:
            if _header(request, "content-type").partition(";")[0].strip().lower() != "application/json":
                raise BadRequest(100, "Invalid parameter: send application/json")
            sent = read_request(request.body)
            sending = self._understand(number, sent, now)
        except BadRequest as bad:
            refused = sent or _guess(request.body)
            to, ref = refused.get("to"), refused.get("biz_opaque_callback_data")
            named = Refused(
                bad.code,
                self._error(bad.code, bad.details),
                to=person_of(to) if isinstance(to, str) else "",
                ref=ref if isinstance(ref, str) else "",
            )
            return self.refuse(named, now)
        if limit := self._limited(number, sending.person, now):
            return self._throttle(limit, sending, now)
        return self.send(sending, now)

    def _understand(self, number: str, sent: Mapping[str, Any], now: int) -> Sending:
        to, kind = str(sent["to"]), str(sent["type"])
        person = person_of(to)
        if person == person_of(self.account.phone_numbers[number]):
            raise BadRequest(131021, "Sender and recipient phone number is the same")
        text, category, fails = "", "", 0
        if kind == "template":
            text, category = self._template(sent["template"])
            fails = 131050 if category == "MARKETING" and person in self.stopped else 0
        else:
            text = str(sent["text"]["body"]) if kind == "text" else json.dumps(sent[kind], ensure_ascii=False)
            last = self.windows.get(person)
            fails = 131047 if last is None or now - last > WINDOW / self.config.time_scale else 0
        content = msgspec.json.encode([kind, sent[kind]], order="sorted")
        ref = str(sent.get("biz_opaque_callback_data", ""))
        return Sending(to, person, number, ref, text, self.hash_of(content), category=category, fails=fails)

    def _template(self, sent: Mapping[str, Any]) -> tuple[str, str]:
        key = (sent["name"], sent["language"]["code"])
        template = self.templates.get(key)
        if template and template["status"] in NOT_SENDABLE:
            raise BadRequest(NOT_SENDABLE[template["status"]], f"template {key[0]} ({key[1]}) is {template['status'].lower()}")
        if not template or template["status"] != "APPROVED":
            raise BadRequest(132001, f"template name ({key[0]}) does not exist in {key[1]}")
        return fill(self._shapes[key], sent.get("components", ())), str(template.get("category", ""))

    def _limited(self, number: str, person: str, now: int) -> int:
        if not self._rates[number].take(now):
            return 130429
        if not (burst := self.account.pair_burst):
            return 0
        pair = self._pairs.setdefault(f"{number}>{person}", Bucket(self.config.time_scale / PAIR_GAP, burst))
        return 0 if pair.take(now) else 131056

    def _throttle(self, code: int, sending: Sending, now: int) -> Reply:
        """Not a refusal of the person: the same may be sent again a little later."""
        self.note(Line(kinds.FAULT, now, self.name, to=sending.person, ref=sending.ref, fault=Fault.THROTTLED, code=code))
        return Reply(self._error(code))

    # What can be asked

    def _number(self, number: str) -> dict[str, Any]:
        return {
            "id": number,
            "display_phone_number": "+" + self.account.phone_numbers[number],
            "verified_name": "Stand-in",
            "status": "CONNECTED",
            "quality_rating": "GREEN",
            "code_verification_status": "VERIFIED",
            "messaging_limit_tier": "TIER_UNLIMITED",
            "throughput": {"level": "STANDARD"},
        }

    def _list(self, url: str, asked: Mapping[str, list[str]]) -> Response:
        limit, after = asked.get("limit", ["25"])[0], asked.get("after", [""])[0]
        start = _place(after)
        if not limit.isdigit() or not 1 <= int(limit) <= 1000 or start is None:
            return self._error(100, "Invalid parameter: limit or after")
        wanted = {name: asked[name][0] for name in ("status", "name", "language", "category") if name in asked}
        found = [each for each in self.templates.values() if all(each.get(name) == value for name, value in wanted.items())]
        fields = asked["fields"][0].split(",") if "fields" in asked else None
        shown = found[start : start + int(limit)]
        end = start + len(shown)
        paging: dict[str, Any] = {"cursors": {"before": _cursor(start), "after": _cursor(end)}}
        if end < len(found):
            query = {**{name: values[0] for name, values in asked.items()}, "after": _cursor(end)}
            paging["next"] = f"{url.partition('?')[0]}?{urlencode(query)}"
        data = [{name: each[name] for name in (*fields, "id") if name in each} if fields else each for each in shown]
        return self.json(200, {"data": data, **({"paging": paging} if shown else {})})

    def _subscribe(self, method: str, request: Request, now: int) -> Response:
        if method == "GET":
            apps = [{"whatsapp_business_api_data": {"id": "1", "name": "Campana"}}] if self.subscribed else []
            return self.json(200, {"data": apps})
        asked = _guess(request.body)
        url = str(asked.get("override_callback_uri", ""))
        if url and asked.get("verify_token") != self.account.verify_token:
            return self._error(100, "Invalid parameter: verify_token")
        self.subscribed, self.callback = True, url or self.callback
        self.note(Line(kinds.SUBSCRIBED, now, self.name, url=url))
        return self.json(200, {"success": True})

    # What the vendor tells

    def set_template(self, name: str, language: str, status: str, now: int, reason: str = "NONE") -> None:
        """A template's status changes, and the vendor tells so. KeyError when there is no such template."""
        template = self.templates[name, language]
        self._mark(name, language, status)
        self.note(Line(kinds.TEMPLATE, now, self.name, name=name, language=language, status=status, reason=reason))
        value = {
            "event": status,
            "message_template_id": int(template.get("id", 0)),
            "message_template_name": name,
            "message_template_language": language,
            "reason": reason,
            "message_template_category": template.get("category", "UTILITY"),
        }
        self.announce(self._entry("message_template_status_update", value, now), now)

    def _mark(self, name: str, language: str, status: str) -> None:
        if template := self.templates.get((name, language)):
            template["status"] = status

    def prefer(self, person: str, number: str, stop: bool, now: int) -> None:
        """A person asks WhatsApp for no more marketing of this business, or for it again."""
        (self.stopped.add if stop else self.stopped.discard)(person)
        self.note(Line(kinds.STOP if stop else kinds.START, now, self.name, to=number, sender=person))
        wish = {
            "wa_id": self._wa_id(person),
            "detail": f"User requested to {'stop' if stop else 'resume'} marketing messages",
            "category": "marketing_messages",
            "value": "stop" if stop else "resume",
            "timestamp": now // 1_000_000,
        }
        value = {**self._head(number), "contacts": [self._contact(person)], "user_preferences": [wish]}
        self.announce(self._entry("user_preferences", value, now), now)

    def _receipt(self, message: Message, step: Step, now: int) -> Request | None:
        sending = message.sending
        status: dict[str, Any] = {
            "id": message.id,
            "status": step.status,
            "timestamp": str(now // 1_000_000),
            "recipient_id": self._wa_id(sending.person),
        }
        if sending.ref:
            status["biz_opaque_callback_data"] = sending.ref
        if step.code:
            words = WORDS.get(step.code, "Message failed")
            status["errors"] = [
                {"code": step.code, "title": words, "message": words, "error_data": {"details": words}, "href": HREF}
            ]
        elif step.status != "read":
            kind = (sending.category or "service").lower()
            status["conversation"] = {"id": message.id[-32:], "origin": {"type": kind}}
            status["pricing"] = {"billable": bool(sending.category), "pricing_model": "PMP", "type": "regular", "category": kind}
        return self._signed(self._entry("messages", {**self._head(sending.sender), "statuses": [status]}))

    def _inbound(self, words: Words, now: int) -> Request | None:
        said: dict[str, Any] = {
            "from": self._wa_id(words.person),
            "id": words.id,
            "timestamp": str(now // 1_000_000),
            "type": "text",
            "text": {"body": words.text},
        }
        if words.quotes:
            said["context"] = {"from": self.account.phone_numbers.get(words.to, ""), "id": words.quotes}
        value = {**self._head(words.to), "contacts": [self._contact(words.person)], "messages": [said]}
        return self._signed(self._entry("messages", value))

    def _notice(self, notice: Notice) -> Request | None:
        return self._signed(notice.body)

    def _head(self, number: str) -> dict[str, Any]:
        metadata = {"display_phone_number": self.account.phone_numbers.get(number, ""), "phone_number_id": number}
        return {"messaging_product": "whatsapp", "metadata": metadata}

    def _contact(self, person: str) -> dict[str, Any]:
        return {"profile": {"name": "Somebody"}, "wa_id": self._wa_id(person)}

    def _entry(self, field: str, value: dict[str, Any], now: int | None = None) -> dict[str, Any]:
        entry: dict[str, Any] = {"id": self.account.waba_id, "changes": [{"value": value, "field": field}]}
        if now is not None:
            entry["time"] = now // 1_000_000
        return {"object": "whatsapp_business_account", "entry": [entry]}

    def _signed(self, body: dict[str, Any]) -> Request | None:
        if not self.callback or not self.subscribed:
            return None
        raw = json.dumps(body, separators=(",", ":")).encode()  # non-ASCII leaves as \uXXXX, as Meta sends it
        signature = "sha256=" + hmac.digest(self.account.app_secret.encode(), raw, "sha256").hex()
        headers = (
            ("Content-Type", "application/json"),
            ("X-Hub-Signature-256", signature),
            ("User-Agent", "facebookexternalua"),
        )
        return Request("POST", self.callback, headers, raw)

    def _wa_id(self, person: str) -> str:
        differs = wa_id_of(person)
        if differs == person[1:] or draws(self.config.seed, "wa_id", person)[0] < self.account.wa_id_differs:
            return differs
        return person[1:]

    def _heard(self, words: Words, now: int) -> None:
        self.windows[words.person] = now

    def _timeout(self) -> int:
        return 10_000_000

    def _repeat_after(self, webhook: Webhook, answer: int | None) -> int | None:
        """Anything but 2xx: again, ever more seldom, for about a week."""
        wait = min(HOUR, 5_000_000 * 2 ** min(webhook.tries - 1, 20))
        return None if webhook.tries > WEEK // HOUR else wait

    def replay(self, line: Line) -> None:
        """Takes in one line of an earlier life."""
        super().replay(line)
        if line.kind == kinds.INBOUND:
            self.windows[line.sender] = line.at
        elif line.kind == kinds.TEMPLATE:
            self._mark(line.name, line.language, line.status)
        elif line.kind == kinds.STOP:
            self.stopped.add(line.sender)
        elif line.kind == kinds.START:
            self.stopped.discard(line.sender)
        elif line.kind == kinds.SUBSCRIBED:
            self.subscribed, self.callback = True, line.url or self.callback

    # What the vendor says

    def _accepted(self, message: Message) -> Response:
        sending = message.sending
        return self.json(
            200,
            {
                "messaging_product": "whatsapp",
                "contacts": [{"input": sending.to, "wa_id": self._wa_id(sending.person)}],
                "messages": [{"id": message.id, "message_status": "accepted"}],
            },
        )

    def _error(self, code: int, details: str = "", retry_after: int | None = None) -> Response:
        words = WORDS.get(code, "Something went wrong")
        error: dict[str, Any] = {"message": f"(#{code}) {words}", "type": "OAuthException", "code": code}
        if code == 190:
            error["error_subcode"] = 463
        elif code == 2:
            error["is_transient"] = True
        else:
            error["error_data"] = {"messaging_product": "whatsapp", "details": details or words}
        error["fbtrace_id"] = "AXsgnV2Cm3ZMGF3dF_cfYIn"
        headers = {} if retry_after is None else {"retry-after": str(retry_after)}
        return self.json(STATUS_OF.get(code, 400), {"error": error}, **headers)

    def _struck(self, fault: Fault) -> Response:
        if fault is Fault.THROTTLED:
            return self._error(130429, retry_after=self.faults.retry_after)
        if fault is Fault.BROKEN:
            return self._error(2)
        return Response(502, {"content-type": "text/html"}, b"<html><title>502 Bad Gateway</title></html>")

    def _new_id(self, seed: bytes) -> str:
        return "wamid." + base64.b64encode(b"\x1d\x18" + hashlib.blake2b(seed, digest_size=31).digest()).decode()

    def _failure_status(self, code: int) -> str:
        return "failed"

    def _told_in_answer(self, code: int) -> bool:
        return code in IN_ANSWER or 132000 <= code <= 132999

    def _receipts(self) -> Receipts:
        return self.account.receipts


def _header(request: Request, name: str) -> str:
    return next((value for key, value in request.headers if key.lower() == name), "")


def _guess(body: bytes) -> dict[str, Any]:
    """What can be read of a body that may be anything."""
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
    return found if isinstance(found, dict) else {}


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(f"at{place}".encode()).decode().rstrip("=")


def _place(cursor: str) -> int | None:
    if not cursor:
        return 0
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError:
        return None
    return int(text[2:]) if text.startswith("at") and text[2:].isdigit() else None
