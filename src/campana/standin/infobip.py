"""A stand-in for Infobip SMS: sends in batches, delivery reports, logs, previews, and messages of people.

Vendor reference: https://www.infobip.com/docs/api/channels/sms
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from campana.core.exchange import Request, Response
from campana.standin import infobip_words as say
from campana.standin import ledger as kinds
from campana.standin.config import Receipts, StandinConfig
from campana.standin.faults import ACCEPTS, Fault, Strike, draws, microseconds, strike
from campana.standin.infobip_logs import by_id, named, numbered, read_query, wanted
from campana.standin.infobip_proof import proof
from campana.standin.infobip_request import (
    Destination,
    Envelope,
    Platform,
    SmsMessage,
    Violations,
    guess,
    read_envelope,
    read_preview,
)
from campana.standin.infobip_text import measured, preview, written
from campana.standin.ledger import Ledger, Line, Step
from campana.standin.limits import Bucket
from campana.standin.messages import Message, Notice, Reply, Sending, Words
from campana.standin.numbers import person_of
from campana.standin.telling import Webhook
from campana.standin.vendor import Vendor

STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"})
START = frozenset({"START", "UNSTOP"})
MINUTE = 60_000_000
HOUR = 60 * MINUTE
MOST_REPEATS = 20
LOGS_REACH = 48 * HOUR


class _Asked(NamedTuple):
    """One recipient of a request."""

    sending: Sending
    refused: int  # the status that says what is wrong with it; 0: nothing


class Infobip(Vendor):
    """The Infobip account of a stand-in."""

    name: ClassVar[str] = "infobip"
    first_status: ClassVar[str] = "accepted"

    def __init__(self, config: StandinConfig, ledger: Ledger) -> None:
        super().__init__(config, ledger)
        self.account = config.infobip
        self.stops: set[tuple[str, str]] = set()  # person, and the sender they stopped
        self._fresh: dict[str, Message] = {}  # their reports wait for somebody who asks
        self._plan = self.account.receipts.model_copy(update={"read_share": 0.0})  # SMS tells nobody what was read
        self._requests = Bucket(self.account.rate, burst=20)
        per_second = self.account.logs_per_minute and self.account.logs_per_minute * config.time_scale / 60
        self._askings = Bucket(per_second, burst=self.account.logs_per_minute or 1)

    @property
    def senders(self) -> tuple[str, ...]:
        """The numbers of the account; nobody can write to a name."""
        return tuple(sender for sender in self.account.senders if sender.isdigit())

    def handle(self, request: Request, now: int) -> Reply:
        """Answers one request of the interface."""
        url = urlsplit(request.url)
        newer = url.path.startswith("/sms/3/") and self.account.envelope == "ApiError"
        scheme, _, key = _header(request, "authorization").partition(" ")
        if scheme.lower() != "app" or not hmac.compare_digest(key.strip().encode(), self.account.api_key.encode()):
            return Reply(self._refusal(401, newer))
        try:
            return self._route(request, url.path, url.query, newer, now)
        except Violations as bad:
            return Reply(self._refusal(400, newer, bad.found))

    def _route(self, request: Request, path: str, query: str, newer: bool, now: int) -> Reply:
        asked = parse_qs(query, keep_blank_values=True)
        match request.method, path:
            case "POST", "/sms/3/messages":
                return self._create(request, newer, now)
            case "GET", "/sms/3/logs":
                return Reply(self._logs(asked, newer, now) if self._askings.take(now) else self._refusal(429, newer))
            case "GET", "/sms/3/reports":
                return Reply(self._reports(asked, now))
            case "POST", "/sms/1/preview":
                return Reply(self.json(200, preview(read_preview(request.body))))
            case "GET", "/account/1/balance":
                return Reply(self.json(200, {"balance": self.account.balance, "currency": "EUR"}))
        return Reply(self._refusal(404, newer))

    # Taking messages

    def _create(self, request: Request, newer: bool, now: int) -> Reply:
        if not self._requests.take(now):
            return Reply(self._refusal(429, newer, retry_after=1))
        try:
            if _header(request, "content-type").partition(";")[0].strip().lower() != "application/json":
                raise Violations.at("Content-Type", "must be application/json")
            envelope = read_envelope(request.body, self.account.most_destinations)
        except Violations as bad:
            for to, ref in guess(request.body):
                self.note(Line(kinds.REFUSED, now, self.name, to=person_of(to) if to else "", ref=ref, code=400))
            return Reply(self._refusal(400, newer, bad.found))
        bulk = envelope.options.schedule.bulkId or self._new_id(f"bulk|{now}|{len(self.messages)}".encode())
        return self._send(envelope, bulk, now)

    def _send(self, envelope: Envelope, bulk: str, now: int) -> Reply:
        """One answer for all, and in it a status for each; a fault that strikes one recipient strikes the request."""
        asked = [self._understand(message, to, bulk) for message in envelope.messages for to in message.destinations]
        strikes = [self._strike(one.sending.person, place) for place, one in enumerate(asked)]
        fault = next((struck.fault for _, struck, _ in strikes if struck.fault), None)
        delay = microseconds(self.faults.latency, strikes[0][2][1])
        if fault:
            for (sending, _), (call, _, _) in zip(asked, strikes, strict=True):
                self.note(Line(kinds.FAULT, now, self.name, to=sending.person, ref=sending.ref, call=call, fault=fault))
            if fault not in ACCEPTS:
                return self._reply_to_strike(fault, self._struck(fault), delay)
        counted = envelope.options.includeSmsCountInResponse
        told = [
            self._settle_one(one, call, struck._replace(fault=fault), lots, counted, now)
            for one, (call, struck, lots) in zip(asked, strikes, strict=True)
        ]
        taken = any(one["status"]["id"] == say.ACCEPTED for one in told)
        body = {**({"bulkId": bulk} if taken else {}), "messages": told}
        return self._reply_to_strike(fault, self.json(200, body), delay)

    def _understand(self, message: SmsMessage, to: Destination, bulk: str) -> _Asked:
        content, options, hooks = message.content, message.options, message.webhooks
        sender = message.sender or next(iter(self.account.senders), "")
        person = person_of(to.to) if to.to else ""
        text = written(content.text, content.transliteration)
        parts = measured(text, content.language.languageCode).segments
        more: dict[str, Any] = {"bulkId": bulk, "parts": parts}
        more |= {"platform": msgspec.to_builtins(options.platform)} if options.platform != Platform() else {}
        more |= {"campaignReferenceId": options.campaignReferenceId} if options.campaignReferenceId else {}
        more |= {"callbackData": hooks.callbackData} if hooks.callbackData else {}
        more |= {"intermediate": True} if hooks.delivery.intermediateReport else {}
        url = hooks.delivery.url if hooks.delivery.notify else ""
        fails = say.STOPPED if (person, sender) in self.stops else 0
        return _Asked(
            Sending(to.to, person, sender, to.messageId, text, self.hash_of(text.encode()), url, fails=fails, more=more),
            self._flaw(to.to, sender, parts),
        )

    def _flaw(self, to: str, sender: str, parts: int) -> int:
        if not to:
            return say.MISSING
        if not (to.isascii() and to.isdigit() and 8 <= len(to) <= 15 and to[0] != "0"):
            return say.INVALID
        if sender not in self.account.senders:
            return say.SOURCE
        return say.TOO_LONG if self.account.most_parts and parts > self.account.most_parts else 0

    def _strike(self, person: str, place: int) -> tuple[int, Strike, tuple[float, ...]]:
        """The odds are of the request, so its first recipient draws for all; rules are looked up for each."""
        call = self.calls.get(person, 0)
        self.calls[person] = call + 1
        lots = draws(self.config.seed, self.name, person, call)
        return call, strike(self.faults, self.name, person, call, self.config.seed, 1.0 if place else lots[0]), lots

    def _settle_one(
        self, one: _Asked, call: int, struck: Strike, lots: tuple[float, ...], counted: bool, now: int
    ) -> dict[str, Any]:
        """What the answer says of one recipient."""
        sending = one.sending
        refused = say.DUPLICATE if sending.ref in self.messages else one.refused or _told_at_once(struck)
        if refused:
            key = sending.ref or self._id_of(sending, f"{sending.person}|{call}".encode())
            self.note(Line(kinds.REFUSED, now, self.name, to=sending.person, ref=sending.ref, call=call, code=refused))
            return {"messageId": key, "status": say.status(refused), "destination": sending.to}
        message = self._take(sending, call, struck, lots, now)
        answer = {"messageId": message.id, "status": say.status(say.ACCEPTED), "destination": sending.to}
        return {**answer, "details": {"messageCount": (sending.more or {})["parts"]}} if counted else answer

    def _id_of(self, sending: Sending, seed: bytes) -> str:
        return sending.ref or self._new_id(seed)

    def _failing(self, code: int, status: int) -> Step | None:
        return say.failing(code, status)

    # What can be asked

    def _logs(self, asked: Mapping[str, Sequence[str]], newer: bool, now: int) -> Response:
        query = read_query(asked, logs=True)
        scale = self.config.time_scale
        oldest, newest = now - int(LOGS_REACH / scale), now - int(self.account.logs_after * 1_000_000 / scale)
        known = by_id(self.messages, query)
        recent = takewhile(lambda one: one.at >= oldest, known)
        found = [one for one in recent if one.at <= newest and wanted(one, query)]
        start, limit = numbered(query, "cursor", 0), numbered(query, "limit", 50)
        shown = found[start : start + limit]
        cursor: dict[str, Any] = {"limit": limit}
        if named(query, "useCursor") == "true" and start + limit < len(found):
            cursor["nextCursor"] = str(start + limit)
        return self.json(200, {"results": [say.log(one) for one in shown], "cursor": cursor})

    def _reports(self, asked: Mapping[str, Sequence[str]], now: int) -> Response:
        query = read_query(asked, logs=False)
        found = [one for one in self._fresh.values() if wanted(one, query)][: numbered(query, "limit", 50)]
        for one in found:
            del self._fresh[one.id]
            self.note(Line(kinds.FETCHED, now, self.name, one.id, status=one.status))
        return self.json(200, {"results": [say.report(one, one.status, one.updated) for one in found]})

    # What the vendor tells

    def _told_at(self, at: int) -> int:
        gap = int(self.account.report_gap * 1_000_000 / self.config.time_scale)
        return -(-at // gap) * gap if gap else at

    def _webhook(self, what: tuple[Message, int] | Words | Notice, now: int) -> Webhook | None:
        """Delivery reports for one address leave together."""
        if not isinstance(what, tuple):
            return super()._webhook(what, now)
        first = what[0]
        if self._is_told(*what) and self.outbox.busy(first.id):
            self.outbox.wait(first.id, what)
            return None
        if not self._reported(what, now):
            return None
        batch = [what]
        self._fill(batch, now)
        reports = [say.report(message, message.plan[place].status, now) for message, place in batch]
        request = self._signed(first.sending.url, {"results": self._shaped(reports)}, now)
        (key, step), *beside = [(message.id, place) for message, place in batch]
        return Webhook(self.name, key, step, request, self._timeout(), beside=tuple(beside))

    def _fill(self, batch: list[tuple[Message, int]], now: int) -> None:
        """Adds the reports that can leave with the first one. A later one of a message in the batch waits for its turn."""
        first = batch[0][0]
        keys = {first.id}

        def fits(what: object) -> bool:
            if not isinstance(what, tuple) or what[0].sending.url != first.sending.url:
                return False
            if not self._is_told(*what):
                return True  # it takes no place
            fits = what[0].id not in keys and not self.outbox.busy(what[0].id)
            keys.add(what[0].id)
            return fits

        most = self.account.report_batch
        while len(batch) < most and (found := self.outbox.gather(now, most - len(batch), fits)):
            batch += [what for what in found if isinstance(what, tuple) and self._reported(what, now)]

    def _reported(self, what: tuple[Message, int], now: int) -> bool:
        """A message moves on. True when that is told; else it is settled."""
        message, place = what
        self._advance(message, message.plan[place], now)
        if not self._is_told(message, place):
            self._settle(message.id, place)
            return False
        return True

    def _is_told(self, message: Message, place: int) -> bool:
        step = message.plan[place]
        asked_for = say.is_last(message, step.status) or bool((message.sending.more or {}).get("intermediate"))
        return step.told and bool(message.sending.url) and asked_for

    def _shaped(self, reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return reports if self.account.report_version == 3 else [say.older(one) for one in reports]

    def _advance(self, message: Message, step: Step, now: int) -> None:
        before = message.status
        super()._advance(message, step, now)
        if message.status != before and say.is_last(message, step.status):
            self._fresh.pop(message.id, None)
            self._fresh[message.id] = message

    def _receipt(self, message: Message, step: Step, now: int) -> Request | None:
        raise NotImplementedError  # reports leave in batches

    def _inbound(self, words: Words, now: int) -> Request | None:
        if not self.account.inbound_url:
            return None
        first, _, rest = words.text.partition(" ")
        keyword = next((word for word in self.account.keywords if word.upper() == first.upper()), "")
        said: dict[str, Any] = {
            "messageId": words.id,
            "from": words.person.removeprefix("+"),
            "to": words.to,
            "text": words.text,
            "cleanText": rest if keyword else words.text,
            **({"keyword": keyword} if keyword else {}),
            "receivedAt": say.date(now),
            "smsCount": measured(words.text, "NONE").segments,
            "price": {"pricePerMessage": 0, "currency": "EUR"},
        }
        return self._signed(self.account.inbound_url, {"results": [said], "messageCount": 1, "pendingMessageCount": 0}, now)

    def _signed(self, url: str, body: dict[str, Any], now: int) -> Request:
        raw = msgspec.json.encode(body)
        headers = (("Content-Type", "application/json"), ("User-Agent", "Infobip"), *proof(self.account, raw, now // 1000))
        return Request("POST", url, headers, raw)

    def _react(self, message: Message, now: int) -> None:
        if message.sending.sender.isdigit():  # nobody can answer a name
            super()._react(message, now)

    def _heard(self, words: Words, now: int) -> None:
        word, key = words.text.strip().upper(), (words.person, words.to)
        if word in STOP:
            self.stops.add(key)
        elif word in START:
            self.stops.discard(key)
        else:
            return
        self.note(Line(kinds.STOP if word in STOP else kinds.START, now, self.name, to=words.to, sender=words.person))

    def _repeat_after(self, webhook: Webhook, answer: int | None) -> int | None:
        """Anything but 2xx: again after 1 minute and as many as the repeats before it squared, for 41.5 hours."""
        repeats = webhook.tries - 1
        return None if repeats >= MOST_REPEATS else MINUTE + MINUTE * repeats * repeats

    def replay(self, line: Line) -> None:
        """Takes in one line of an earlier life."""
        super().replay(line)
        message = self.messages.get(line.id)
        if line.kind == kinds.STOP:
            self.stops.add((line.sender, line.to))
        elif line.kind == kinds.START:
            self.stops.discard((line.sender, line.to))
        elif line.kind in (kinds.DELIVERED, kinds.FAILED) and message:
            self._fresh[line.id] = message
        elif line.kind == kinds.FETCHED:
            self._fresh.pop(line.id, None)

    # What the vendor says

    def _refusal(
        self, http: int, newer: bool, violations: Mapping[str, str] | None = None, retry_after: int | None = None
    ) -> Response:
        headers = {} if retry_after is None else {"retry-after": str(retry_after)}
        return self.json(http, say.refusal(http, newer, violations or {}), **headers)

    def _error(self, code: int, details: str = "", retry_after: int | None = None) -> Response:
        newer = self.account.envelope == "ApiError"
        return self._refusal(code, newer, {"request": details} if details else None, retry_after)

    def _struck(self, fault: Fault) -> Response:
        if fault is Fault.THROTTLED:
            return self._error(429, retry_after=self.faults.retry_after)
        if fault is Fault.BROKEN:
            return self._error(500)
        return Response(502, {"content-type": "text/html"}, b"<html><title>502 Bad Gateway</title></html>")

    def _accepted(self, message: Message) -> Response:
        answer = {"messageId": message.id, "status": say.status(say.ACCEPTED), "destination": message.sending.to}
        return self.json(200, {"messages": [answer]})

    def _new_id(self, seed: bytes) -> str:
        return str(int.from_bytes(hashlib.blake2b(seed, digest_size=8).digest(), "big"))

    def _failure_status(self, code: int) -> str:
        step = say.failing(code, 0)
        return step.status if step else "sent"

    def _told_in_answer(self, code: int) -> bool:
        return False

    def _receipts(self) -> Receipts:
        return self._plan


def _told_at_once(struck: Strike) -> int:
    """The status a rule puts into the answer. An answer knows no errors, so there a code is a status."""
    number = struck.status or 0
    if struck.told == "answer":
        return number or struck.code or 0
    return number if struck.told is None and not struck.code and number in say.IN_ANSWER else 0


def _header(request: Request, name: str) -> str:
    return next((value for key, value in request.headers if key.lower() == name), "")
