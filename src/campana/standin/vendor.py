"""What all stand-ins share: they take messages, plan their receipts, tell them, and can be rebuilt from their ledger.

No sockets and no clock: `handle` answers a request, `due` hands over the webhooks whose time has come, `done` hears what
became of each. The same core stands behind the HTTP server and inside a rehearsal on a virtual clock.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from typing import Any, ClassVar

import msgspec

from campana.core.exchange import Request, Response
from campana.standin import ledger as kinds
from campana.standin.config import Receipts, StandinConfig
from campana.standin.faults import ACCEPTS, Fault, Faults, Strike, draws, microseconds, reply_of, strike
from campana.standin.ledger import Ledger, Line, Step
from campana.standin.messages import NOT_DELIVERED, RANK, Message, Notice, Refused, Reply, Sending, Words
from campana.standin.plan import plan_receipts
from campana.standin.telling import Outbox, Webhook

REPEAT_FLOOR = 50_000  # microseconds: with a large time scale repeats must not become a storm


class Vendor(ABC):
    """One vendor's stand-in."""

    name: ClassVar[str]
    first_status: ClassVar[str] = "accepted"

    def __init__(self, config: StandinConfig, ledger: Ledger) -> None:
        self.config, self.ledger = config, ledger
        self.faults = config.faults
        self.counts: Counter[str] = Counter()
        self.messages: dict[str, Message] = {}
        self.calls: dict[str, int] = {}
        self.reacted: set[str] = set()
        self.told: dict[str, Words] = {}  # messages of people, not yet answered 2xx
        self.notices: dict[str, Notice] = {}  # likewise
        self.outbox: Outbox[tuple[Message, int] | Words | Notice] = Outbox()

    # What the vendors do differently

    @abstractmethod
    def handle(self, request: Request, now: int) -> Reply:
        """Answers one request."""

    @property
    @abstractmethod
    def senders(self) -> tuple[str, ...]:
        """What people can write to; the first unless another is named."""

    @abstractmethod
    def _receipt(self, message: Message, step: Step, now: int) -> Request | None: ...

    @abstractmethod
    def _inbound(self, words: Words, now: int) -> Request | None: ...

    @abstractmethod
    def _accepted(self, message: Message) -> Response: ...

    @abstractmethod
    def _error(self, code: int, details: str = "", retry_after: int | None = None) -> Response: ...

    @abstractmethod
    def _struck(self, fault: Fault) -> Response: ...

    @abstractmethod
    def _new_id(self, seed: bytes) -> str: ...

    @abstractmethod
    def _failure_status(self, code: int) -> str: ...

    @abstractmethod
    def _told_in_answer(self, code: int) -> bool: ...

    @abstractmethod
    def _repeat_after(self, webhook: Webhook, answer: int | None) -> int | None: ...

    @abstractmethod
    def _receipts(self) -> Receipts: ...

    def _notice(self, notice: Notice) -> Request | None:
        return None

    @abstractmethod
    def _heard(self, words: Words, now: int) -> None: ...

    def _timeout(self) -> int:
        return 15_000_000

    # Taking messages

    def send(self, sending: Sending, now: int) -> Reply:
        """Accepts a lawful message, unless a fault or a chosen code strikes."""
        call = self.calls.get(sending.person, 0)
        self.calls[sending.person] = call + 1
        lots = draws(self.config.seed, self.name, sending.person, call)
        struck = strike(self.faults, self.name, sending.person, call, self.config.seed, lots[0])
        delay = microseconds(self.faults.latency, lots[1])
        if struck.fault:
            self.note(
                Line(kinds.FAULT, now, self.name, to=sending.person, ref=sending.ref, call=call, fault=struck.fault),
            )
            if struck.fault not in ACCEPTS:
                return self._reply_to_strike(struck.fault, self._struck(struck.fault), delay)
        if struck.code and (struck.told == "answer" or (struck.told is None and self._told_in_answer(struck.code))):
            self.note(Line(kinds.REFUSED, now, self.name, to=sending.person, ref=sending.ref, call=call, code=struck.code))
            return Reply(self._error(struck.code), delay)
        response = self._accepted(self._take(sending, call, struck, lots, now))
        return self._reply_to_strike(struck.fault, response, delay)

    def refuse(self, refused: Refused, now: int) -> Reply:
        """Writes down a refusal and answers it."""
        self.note(Line(kinds.REFUSED, now, self.name, to=refused.to, ref=refused.ref, code=refused.code))
        return Reply(refused.response)

    def _take(self, sending: Sending, call: int, struck: Strike, lots: tuple[float, ...], now: int) -> Message:
        seed = f"{self.config.seed}|{self.name}|{sending.person}|{call}".encode()
        failing = self._failing(sending.fails or struck.code or 0, struck.status or 0)
        fails = failing.code if failing else 0
        plan = plan_receipts(self._receipts(), failing, self.faults.receipts, lots, self.config)
        message = Message(self._id_of(sending, seed), sending, now, plan, self.first_status, now)
        self._keep(message)
        self.note(
            Line(
                kinds.ACCEPTED, now, self.name, message.id, sending.person, sending.sender, sending.ref,
                sending.hash, sending.text, call,
                struck.fault or "", fails, list(plan), sending.to, sending.url, sending.service, sending.category,
                body=sending.more,
            )
        )  # fmt: skip
        self._schedule(message)
        return message

    def _id_of(self, sending: Sending, seed: bytes) -> str:
        return self._new_id(seed)

    def _failing(self, code: int, status: int) -> Step | None:
        return Step(self._failure_status(code), 0, code) if code else None

    def _keep(self, message: Message) -> None:
        self.messages[message.id] = message

    def _reply_to_strike(self, fault: Fault | None, response: Response, delay: int) -> Reply:
        if fault is Fault.SILENT:
            return Reply(response, hang=int(self.faults.silence * 1_000_000))
        if fault in (Fault.CUT_BEFORE, Fault.CUT_AFTER):
            return Reply(response, delay, cut="before" if fault is Fault.CUT_BEFORE else "after")
        return Reply(self._struck(fault) if fault is Fault.BROKEN_AFTER else response, delay)

    # Telling

    def _schedule(self, message: Message) -> None:
        for place, step in enumerate(message.plan):
            if not message.told >> place & 1:
                self.outbox.put(self._told_at(message.at + step.after), (message, place))

    def _told_at(self, at: int) -> int:
        return at

    def next_due(self) -> int | None:
        """When the next webhook is to go out, or None when nothing is left to tell."""
        return self.outbox.next()

    def due(self, now: int, most: int | None = None) -> list[Webhook]:
        """The webhooks whose time has come, at most so many. The caller sends them and tells the end of each to `done`."""
        ready: list[Webhook] = []
        while (most is None or len(ready) < most) and (what := self.outbox.pop(now)):
            webhook = what if isinstance(what, Webhook) else self._webhook(what, now)
            if webhook and self.outbox.start(webhook):
                ready.append(webhook)
        return ready

    def done(self, webhook: Webhook, answer: int | None, now: int) -> None:
        """Hears what a webhook was answered (None: nothing came back), and plans its repeat where the vendor would."""
        webhook.tries += 1
        ok = answer is not None and 200 <= answer < 300
        wait = None if ok else self._repeat_after(webhook, answer)
        for key, step in webhook.parts:
            self.note(
                Line(
                    kinds.HOOK, now, self.name, key, step=step, answer=answer or 0, call=webhook.tries, settled=wait is None
                )
            )  # fmt: skip
            if wait is None:
                self._settle(key, step)
        if wait is not None:
            self.outbox.put(now + max(REPEAT_FLOOR, int(wait / self.config.time_scale)), webhook)
        self.outbox.end(webhook, now)

    def _settle(self, key: str, step: int) -> None:
        if message := self.messages.get(key):
            message.told |= 1 << step
        self.told.pop(key, None)
        self.notices.pop(key, None)

    def _webhook(self, what: tuple[Message, int] | Words | Notice, now: int) -> Webhook | None:
        key, place = ("", -1) if isinstance(what, tuple) else (what.id, -1)
        if isinstance(what, Words):
            self._say(what, now)
            request = self._inbound(what, now)
        elif isinstance(what, Notice):
            request = self._notice(what)
        else:
            message, place = what
            step, key = message.plan[place], message.id
            self._advance(message, step, now)
            request = self._receipt(message, step, now) if step.told else None
        if request is None:
            self._settle(key, place)
            return None
        return Webhook(self.name, key, place, request, self._timeout())

    def _say(self, words: Words, now: int) -> None:
        if words.id in self.told:
            return  # told before a restart, and not yet heard by anybody
        self.told[words.id] = words
        self.note(
            Line(
                kinds.INBOUND, now, self.name, words.id, words.to, words.person, text=words.text, quotes=words.quotes,
                service=words.service,
            )
        )  # fmt: skip
        self._heard(words, now)

    def _advance(self, message: Message, step: Step, now: int) -> None:
        """A message moves on, and the person it reached may answer."""
        if RANK[step.status] <= RANK[message.status]:
            return
        message.status, message.code, message.updated = step.status, step.code, now
        if step.status in NOT_DELIVERED:
            self.note(Line(kinds.FAILED, now, self.name, message.id, message.sending.person, code=step.code, status=step.status))
        elif step.status == "delivered":
            self.note(Line(kinds.DELIVERED, now, self.name, message.id, message.sending.person))
            self._react(message, now)

    def _react(self, message: Message, now: int) -> None:
        person = message.sending.person
        if person in self.reacted:
            return
        self.reacted.add(person)
        if reply := reply_of(self.faults, self.name, person, self.config.seed):
            wait = microseconds(reply.after, draws(self.config.seed, self.name, person, "reply")[0], self.config.time_scale)
            self._write(person, message.sending, reply.text, message.id, now + wait)

    def _write(self, person: str, sending: Sending, text: str, quotes: str, at: int) -> str:
        key = self._new_id(f"{self.config.seed}|{self.name}|{person}|{text}|{at}".encode())
        self.outbox.put(at, Words(key, person, sending.sender, text, quotes, sending.service))
        return key

    def hear(self, person: str, to: str, text: str, now: int, quotes: str = "") -> str:
        """A person writes to one of the senders, now. Returns the vendor's id of what they wrote."""
        return self._write(person, Sending("", person, to, "", "", ""), text, quotes, now)

    def announce(self, body: dict[str, Any], now: int) -> None:
        """The vendor tells something of the account, now."""
        notice = Notice(hashlib.blake2b(f"{now}|{body}".encode(), digest_size=16).hexdigest(), body)
        self.notices[notice.id] = notice
        self.note(Line(kinds.NOTICE, now, self.name, notice.id, body=body))
        self.outbox.put(now, notice)

    # Memory

    def note(self, line: Line) -> None:
        """Writes a line and counts it."""
        self.ledger.write(line)
        self.count(line)

    def count(self, line: Line) -> None:
        """Counts a line, a new one or one that is read again."""
        kind = line.kind
        if kind == kinds.HOOK and not 200 <= line.answer < 300:
            kind = "hook_given_up" if line.settled else "hook_repeated"
        self.counts[kind] += 1
        if line.fault and line.kind == kinds.FAULT:
            self.counts[line.fault] += 1

    def change_faults(self, faults: Faults, now: int) -> None:
        """From now on these faults hold."""
        self.faults = faults
        self.note(Line(kinds.FAULTS, now, self.name, body=faults.model_dump(mode="json")))

    def pending(self) -> int:
        """How many webhooks are still to go out or under way."""
        return len(self.outbox)

    def replay(self, line: Line) -> None:
        """Takes in one line of an earlier life, oldest first. `resume` must follow the last."""
        self.count(line)
        if line.call >= 0 and line.kind in (kinds.ACCEPTED, kinds.REFUSED, kinds.FAULT):
            self.calls[line.to] = line.call + 1
        match line.kind:
            case kinds.ACCEPTED:
                sending = Sending(
                    line.input,
                    line.to,
                    line.sender,
                    line.ref,
                    line.text,
                    line.hash,
                    line.url,
                    line.service,
                    line.category,
                    line.code,
                    line.body,
                )
                self._keep(Message(line.id, sending, line.at, tuple(line.plan), self.first_status, line.at))
            case kinds.DELIVERED | kinds.FAILED if message := self.messages.get(line.id):
                message.status, message.code, message.updated = line.status or "delivered", line.code, line.at
            case kinds.HOOK if line.settled:
                self._reach(line)
                self._settle(line.id, line.step)
            case kinds.INBOUND:
                self.told[line.id] = Words(line.id, line.sender, line.to, line.text, line.quotes, line.service)
                self.reacted.add(line.sender)
            case kinds.NOTICE:
                self.notices[line.id] = Notice(line.id, line.body or {})
            case kinds.FAULTS:
                self.faults = Faults.model_validate(line.body)

    def _reach(self, line: Line) -> None:
        message = self.messages.get(line.id)
        if message and RANK[status := message.plan[line.step].status] > RANK[message.status]:
            message.status, message.updated = status, line.at

    def resume(self, now: int) -> None:
        """Goes on where the earlier life stopped: what was not heard is told again."""
        for message in self.messages.values():
            self._schedule(message)
            if message.status in ("delivered", "read"):
                self._react(message, message.updated)
        for words in self.told.values():
            self.outbox.put(now, words)
        for notice in self.notices.values():
            self.outbox.put(now, notice)

    def hash_of(self, content: bytes) -> str:
        """The same for two messages that say the same over this vendor."""
        return hashlib.blake2b(content, digest_size=16, person=self.name.encode()).hexdigest()

    def json(self, code: int, body: Any, **headers: str) -> Response:
        """An answer in JSON."""
        return Response(code, {"content-type": "application/json; charset=utf-8", **headers}, msgspec.json.encode(body))
