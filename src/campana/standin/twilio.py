"""A stand-in for Twilio's Messages: its REST interface, its callbacks, its opt-outs.

Vendor reference: https://www.twilio.com/docs/messaging/api/message-resource
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from campana.core.exchange import Request, Response
from campana.standin import ledger as kinds
from campana.standin.config import Receipts, StandinConfig
from campana.standin.faults import Fault
from campana.standin.ledger import Ledger, Line, Step
from campana.standin.limits import Bucket
from campana.standin.messages import Message, Refused, Reply, Sending, Words
from campana.standin.numbers import person_of
from campana.standin.segments import segments
from campana.standin.telling import Webhook
from campana.standin.twilio_form import OPT_IN, OPT_OUT, BadForm, check_form
from campana.standin.vendor import Vendor

STATUS_OF = {20001: 400, 20003: 401, 20404: 404, 20429: 429, 20500: 500, 20503: 503}
WORDS = {
    20003: "Authenticate",
    20404: "The requested resource was not found",
    20429: "Too Many Requests",
    20500: "An internal server error has occurred",
    20503: "Service unavailable",
    21211: "Invalid 'To' Phone Number",
    21602: "A text message body or media urls must be specified.",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21606: "The 'From' number is not a valid, message-capable Twilio number for this destination.",
    21610: "Attempt to send to unsubscribed recipient",
    21614: "'To' number is not a valid mobile number",
    21701: "The Messaging Service does not exist",
}
FAILED = frozenset({21610, 30001, 30002, 30010, 30036, 30410, 30500})  # never left Twilio; the other codes come from carriers
FILTERS = ("To", "From", "DateSent", "DateSent<", "DateSent>")
REFERENCE = re.compile(r"[?&]m=([^&#]*)")
PATH = re.compile(
    r"/2010-04-01/Accounts/(AC[0-9a-fA-F]{32})(?:/(Messages|IncomingPhoneNumbers)(?:/((?:SM|MM)[0-9a-fA-F]{32}))?)?\.json"
)
RETRIES = re.compile(r"(?:^|&)rc=([0-5])(?:&|$)")
POLICY = re.compile(r"(?:^|&)rp=([a-z0-9,]+)")


class Twilio(Vendor):
    """The Twilio account of a stand-in."""

    name: ClassVar[str] = "twilio"
    first_status: ClassVar[str] = "queued"

    def __init__(self, config: StandinConfig, ledger: Ledger) -> None:
        super().__init__(config, ledger)
        self.account = config.twilio
        keys = {self.account.account_sid: self.account.auth_token, **self.account.api_keys}
        self._credentials = {base64.b64encode(f"{user}:{secret}".encode()).decode() for user, secret in keys.items()}
        self.stops: set[tuple[str, str]] = set()  # person, and the number or service they stopped
        self._of_person: dict[str, list[Message]] = {}
        self._requests = Bucket(self.account.rate, burst=20)

    @property
    def senders(self) -> tuple[str, ...]:
        """The numbers of the account."""
        return self.account.numbers

    def handle(self, request: Request, now: int) -> Reply:
        """Answers one request of the REST interface."""
        try:
            return self._answer(request, now)
        except Refused as refused:
            return self.refuse(refused, now)

    def _answer(self, request: Request, now: int) -> Reply:
        url = urlsplit(request.url)
        path = PATH.fullmatch(url.path)
        scheme, _, secret = _header(request, "authorization").partition(" ")
        if scheme.lower() != "basic" or secret.strip() not in self._credentials:
            return Reply(self._error(20003))
        if not path or path[1] != self.account.account_sid:
            return Reply(self._error(20404))
        if not self._requests.take(now):
            return Reply(self._error(20429, retry_after=1))
        match request.method, path[2], path[3]:
            case "POST", "Messages", None:
                return self._create(request, now)
            case "GET", "Messages", None:
                return Reply(self._list(url.path, url.query))
            case "GET", "Messages", sid if message := self.messages.get(sid or ""):
                return Reply(self.json(200, self._resource(message)))
            case "GET", None, None:
                return Reply(self.json(200, {"sid": path[1], "friendly_name": "Stand-in", "status": "active", "type": "Full"}))
            case "GET", "IncomingPhoneNumbers", None:
                return Reply(self.json(200, self._numbers()))
        return Reply(self._error(20404))

    def _create(self, request: Request, now: int) -> Reply:
        kind = _header(request, "content-type").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise Refused(20001, self._error(20001, "Send the parameters as application/x-www-form-urlencoded."))
        pairs = parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
        form = dict(pairs)
        ref = _reference(form.get("StatusCallback", ""))
        person = person_of(form["To"]) if form.get("To") else ""
        try:
            check_form(pairs, self.account.numbers, self.account.services)
        except BadForm as bad:
            raise Refused(bad.code, self._error(bad.code, bad.details), to=person, ref=ref) from bad
        service, body = form.get("MessagingServiceSid", ""), form.get("Body", "")
        sender = form.get("From") or service
        if (person, sender) in self.stops:
            raise Refused(21610, self._error(21610), to=person, ref=ref)
        media = [value for name, value in pairs if name == "MediaUrl"]
        content = repr((body, media, form.get("ContentSid"), form.get("ContentVariables"))).encode()
        return self.send(
            Sending(
                form["To"],
                person,
                form.get("From", ""),
                ref,
                body,
                self.hash_of(content),
                form.get("StatusCallback", ""),
                service,
            ),
            now,
        )

    def _keep(self, message: Message) -> None:
        super()._keep(message)
        if message.sending.service and not message.sending.sender:
            message.status = "accepted"
        self._of_person.setdefault(message.sending.person, []).append(message)

    def _number_of(self, message: Message) -> str | None:
        """Who it comes from: a service picks its number only when the message leaves the queue."""
        sending = message.sending
        if sending.sender or message.status == "accepted":
            return sending.sender or None
        numbers = self.account.services.get(sending.service, ())
        return numbers[number_of(sending.person) % len(numbers)] if numbers else None

    def _resource(self, message: Message) -> dict[str, Any]:
        sending, sid = message.sending, message.id
        uri = f"/2010-04-01/Accounts/{self.account.account_sid}/Messages/{sid}"
        left = message.status not in ("accepted", "queued", "failed")
        return {
            "account_sid": self.account.account_sid,
            "api_version": "2010-04-01",
            "body": sending.text,
            "date_created": _date(message.at),
            "date_sent": _date(message.at + message.plan[0].after) if left else None,
            "date_updated": _date(message.updated),
            "direction": "outbound-api",
            "error_code": message.code or None,
            "error_message": WORDS.get(message.code, "Not delivered") if message.code else None,
            "from": self._number_of(message),
            "messaging_service_sid": sending.service or None,
            "num_media": "0",
            "num_segments": "0" if message.status == "accepted" else str(segments(sending.text)),
            "price": "-0.00790" if left else None,
            "price_unit": "USD" if left else None,
            "sid": sid,
            "status": message.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": sending.to,
            "uri": f"{uri}.json",
        }

    def _list(self, path: str, query: str) -> Response:
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        size, page = asked.get("PageSize", "50"), asked.get("Page", "0")
        if not (size.isdigit() and 1 <= int(size) <= 1000 and page.isdigit()):
            return self._error(20001, "PageSize goes from 1 to 1000, Page from 0.")
        start = int(page) * int(size)
        found = [message for message in self._candidates(asked) if _fits(message, asked, self._number_of(message))]
        shown = found[start : start + int(size)]
        filters: dict[str, str | int] = {name: asked[name] for name in FILTERS if name in asked}

        def address(number: int, token: str = "") -> str:
            query: dict[str, str | int] = {**filters, "PageSize": size, "Page": number}
            if token:
                query["PageToken"] = f"PA{token}"
            return f"{path}?{urlencode(query)}"

        more = len(found) > start + len(shown)
        return self.json(
            200,
            {
                "end": start + max(0, len(shown) - 1),
                "first_page_uri": address(0),
                "messages": [self._resource(message) for message in shown],
                "next_page_uri": address(int(page) + 1, shown[-1].id) if more else None,
                "page": int(page),
                "page_size": int(size),
                "previous_page_uri": address(int(page) - 1) if int(page) else None,
                "start": start,
                "uri": address(int(page)),
            },
        )

    def _candidates(self, asked: Mapping[str, str]) -> Sequence[Message]:
        """Newest first."""
        known = self._of_person.get(person_of(asked["To"]), []) if "To" in asked else list(self.messages.values())
        return known[::-1]

    def _numbers(self) -> dict[str, Any]:
        numbers = [
            {"phone_number": number, "account_sid": self.account.account_sid, "capabilities": {"sms": True, "mms": True}}
            for number in self.account.numbers
        ]
        return {"incoming_phone_numbers": numbers, "next_page_uri": None, "page": 0, "page_size": 50}

    # What the vendor tells

    def _receipt(self, message: Message, step: Step, now: int) -> Request | None:
        sending = message.sending
        form = {
            "SmsSid": message.id,
            "SmsStatus": step.status,
            "MessageStatus": step.status,
            "To": sending.to,
            "MessageSid": message.id,
            "AccountSid": self.account.account_sid,
            "From": self._number_of(message) or "",
            "ApiVersion": "2010-04-01",
        }
        if sending.service:
            form["MessagingServiceSid"] = sending.service
        if step.code:
            form["ErrorCode"] = str(step.code)
        if step.status in ("delivered", "undelivered"):
            form["RawDlrDoneDate"] = datetime.fromtimestamp(now / 1e6, UTC).strftime("%y%m%d%H%M")
        return self._signed(sending.url, form)

    def _inbound(self, words: Words, now: int) -> Request | None:
        form = {
            "ToCountry": "US",
            "SmsMessageSid": words.id,
            "NumMedia": "0",
            "SmsSid": words.id,
            "SmsStatus": "received",
            "FromCity": "",
            "Body": words.text,
            "To": words.to,
            "NumSegments": str(segments(words.text)),
            "MessageSid": words.id,
            "AccountSid": self.account.account_sid,
            "From": words.person,
            "ApiVersion": "2010-04-01",
        }
        if words.service:
            form["MessagingServiceSid"] = words.service
        word = words.text.strip().upper()
        if self.account.advanced_opt_out and (word in OPT_OUT or word in OPT_IN):
            form["OptOutType"] = "STOP" if word in OPT_OUT else "START"
        return self._signed(self.account.inbound_url or "", form)

    def _signed(self, url: str, form: dict[str, str]) -> Request | None:
        if not url:
            return None
        signature = sign(self.account.auth_token, url.partition("#")[0], form)
        headers = (
            ("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"),
            ("X-Twilio-Signature", signature),
            ("User-Agent", "TwilioProxy/1.1"),
        )
        return Request("POST", url, headers, urlencode(form).encode())

    def _heard(self, words: Words, now: int) -> None:
        word, keys = words.text.strip().upper(), {(words.person, to) for to in (words.to, words.service) if to}
        if word in OPT_OUT:
            self.stops |= keys
        elif word in OPT_IN:
            self.stops -= keys
        else:
            return
        kind = kinds.STOP if word in OPT_OUT else kinds.START
        for person, sender in sorted(keys):
            self.note(Line(kind, now, self.name, to=sender, sender=person))

    def _write(self, person: str, sending: Sending, text: str, quotes: str, at: int) -> str:
        """A person answers the number that wrote to them; of a service that is the one it picked."""
        if not sending.sender and (message := self.messages.get(quotes)):
            sending = Sending("", person, self._number_of(message) or "", "", "", "", service=sending.service)
        return super()._write(person, sending, text, quotes, at)

    def replay(self, line: Line) -> None:
        """Takes in one line of an earlier life."""
        super().replay(line)
        if line.kind == kinds.STOP:
            self.stops.add((line.sender, line.to))
        elif line.kind == kinds.START:
            self.stops.discard((line.sender, line.to))

    def _repeat_after(self, webhook: Webhook, answer: int | None) -> int | None:
        """One more try after a failed connection, unless the URL's fragment asks for more (rc) or for other cases (rp)."""
        fragment = webhook.request.url.partition("#")[2]
        tries, policy = RETRIES.search(fragment), POLICY.search(fragment)
        wanted = set(policy[1].split(",")) if policy else {"ct"}
        case = "ct" if answer is None else f"{answer // 100}xx"
        if webhook.tries > (int(tries[1]) if tries else 1) or not wanted & {case, "all"}:
            return None
        return int(1_000_000 * 2 ** (webhook.tries - 1))

    # What the vendor says

    def _accepted(self, message: Message) -> Response:
        return self.json(201, self._resource(message))

    def _error(self, code: int, details: str = "", retry_after: int | None = None) -> Response:
        status = STATUS_OF.get(code, 400)
        body = {
            "code": code,
            "message": details or WORDS.get(code, "The request cannot be carried out"),
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        }
        headers: dict[str, str] = {} if retry_after is None else {"retry-after": str(retry_after)}
        if status == 401:
            headers["www-authenticate"] = 'Basic realm="Twilio API"'
        return self.json(status, body, **headers)

    def _struck(self, fault: Fault) -> Response:
        if fault is Fault.THROTTLED:
            return self._error(20429, retry_after=self.faults.retry_after)
        return self._error(20503 if fault is Fault.BROKEN else 20500)

    def _new_id(self, seed: bytes) -> str:
        return "SM" + hashlib.blake2b(seed, digest_size=16).hexdigest()

    def _failure_status(self, code: int) -> str:
        return "failed" if code in FAILED else "undelivered"

    def _told_in_answer(self, code: int) -> bool:
        return code < 30000

    def _receipts(self) -> Receipts:
        return self.account.receipts


def sign(token: str, url: str, form: Mapping[str, str]) -> str:
    """X-Twilio-Signature of a form sent to `url`, as Twilio makes it."""
    text = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()


def number_of(text: str) -> int:
    """The same number for the same text, in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def _reference(callback: str) -> str:
    """What the sender calls the message: `m` in the query of its StatusCallback."""
    found = REFERENCE.search(callback)
    return found[1] if found else ""


def _header(request: Request, name: str) -> str:
    return next((value for key, value in request.headers if key.lower() == name), "")


def _date(at: int) -> str:
    return _date_of_second(at // 1_000_000)


@lru_cache(1024)
def _date_of_second(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC))


def _fits(message: Message, asked: Mapping[str, str], sender: str | None) -> bool:
    if "To" in asked and message.sending.to != asked["To"]:
        return False
    if "From" in asked and sender != asked["From"]:
        return False
    days = {name: asked[name][:10] for name in FILTERS[2:] if name in asked}
    if not days:
        return True
    if message.status in ("accepted", "queued", "failed"):
        return False  # never sent, so it has no such date
    day = datetime.fromtimestamp((message.at + message.plan[0].after) / 1e6, UTC).date().isoformat()
    return days.get("DateSent", day) == day and day <= days.get("DateSent<", day) and day >= days.get("DateSent>", day)
