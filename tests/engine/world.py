"""A world to tell stories in: the product's own wheels on a real database, stand-in vendors, and a clock moved by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select, update

from campana.clock import VirtualClock
from campana.core.audience import Checker, resolve_columns
from campana.core.campaign import AudienceSpec, CampaignFile
from campana.core.exchange import Request, Response
from campana.core.ids import Id, new_id
from campana.core.journey import OUTCOMES
from campana.core.message import Lost, Status, Unsent
from campana.core.reason import english
from campana.engine import launch, receive, recover
from campana.engine.house import House
from campana.engine.rehearse import Rehearsal
from campana.engine.vendors import sync_templates
from campana.settings import SenderSettings, Settings
from campana.standin.balance import Balance, Person, balance
from campana.standin.config import DEMO_TEMPLATES, InfobipConfig, Receipts, StandinConfig, TwilioConfig, WhatsAppConfig
from campana.standin.faults import Faults
from campana.standin.ledger import ACCEPTED, Line, Notes
from campana.standin.numbers import person_of
from campana.standin.vendors import Vendors
from campana.store import audiences, campaigns, counters, flows, messages, recipients
from campana.store import progress as store_progress
from campana.store.database import is_sqlite
from campana.store.schema import conversation, message, recipient, sender, suppression, unit
from campana.wiring import Installation, open_installation

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
NINE = 1_796_115_600_000_000  # 2026-12-01 09:00 UTC, a Tuesday
HOOKS = "http://hooks.test"
RECEIPTS = Receipts(sent=(1, 1), delivered=(2, 2), read_share=0)  # delivered three seconds after acceptance
ANA, BRUNO, CARLA = "+12125550101", "+12125550102", "+12125550103"


class Killed(BaseException):
    """The process ends here, as by SIGKILL: nothing after this line runs."""


def whatsapp(template: str = "visit_reminder", **more: Any) -> dict[str, Any]:
    """A step over WhatsApp."""
    values = {"first_name": "{{name}}", "appointment_date": "Monday"}
    return {"from": "wa", "template": template, "language": "en_US", "values": values, **more}


def sms(text: str = "Hi {{name}}", **more: Any) -> dict[str, Any]:
    """A step over SMS."""
    return {"from": "sms", "text": text, **more}


REMINDER = "Hi {name}, we expect you on Monday. Reply YES to confirm, or STOP."


def numbers(count: int, first: int = 2_000_000) -> list[str]:
    """That many people of one country."""
    return [f"+1212{first + at:07d}" for at in range(count)]


class World:
    """One installation and its vendors, outliving kills of the installation."""

    def __init__(
        self,
        folder: Path,
        database_url: str,
        *,
        faults: Faults | None = None,
        pace: float = 1000,
        daily_limit: int | None = None,
        receipts: Receipts = RECEIPTS,
        seed: int = 1,
        senders: dict[str, dict[str, Any]] | None = None,
        infobip: dict[str, Any] | None = None,
        **twilio: Any,
    ) -> None:
        account = {"inbound_url": f"{HOOKS}/sms", "receipts": receipts, "rate": None, **twilio}
        self.config = StandinConfig(
            seed=seed,
            twilio=TwilioConfig(**account),
            whatsapp=WhatsAppConfig(
                callback_url=f"{HOOKS}/wa", templates=DEMO_TEMPLATES, rate=None, pair_burst=None, receipts=receipts
            ),
            infobip=InfobipConfig(**{"inbound_url": f"{HOOKS}/ib", "receipts": receipts, "report_gap": 0, **(infobip or {})}),
            faults=faults or Faults(),
        )
        self.ledger = Notes()
        self.vendors = Vendors(self.config, self.ledger)
        self.clock = VirtualClock(NINE)
        self.rehearsal = Watched(self)
        self.folder = folder
        self.database_url = database_url
        self.settings = self._settings(pace, daily_limit, senders or {}, infobip is not None)
        self.runs: list[Id] = []
        self.unreachable: set[str] = set()  # parts of URLs that nothing can be sent to
        self.answering: Callable[[Request], Awaitable[None]] | None = None  # between acceptance and the answer's arrival
        self.kill_after: int | None = None  # the process dies after so many more calls
        self.kill_before = False  # with kill_after: the last of them does not leave the house
        self.dead = False
        self._stack = AsyncExitStack()
        self.installation: Installation

    def _settings(self, pace: float, daily_limit: int | None, more: dict[str, dict[str, Any]], infobip: bool) -> Settings:
        vendor, account, third = self.config.twilio, self.config.whatsapp, self.config.infobip
        own = {"pace": pace, "daily_limit": daily_limit}
        senders = {
            "wa": {"integration": "wa", "address": next(iter(account.phone_numbers)), **own},
            "sms": {"integration": "sms", "address": vendor.numbers[0], **own},
            **({"ib": {"integration": "ib", "address": third.senders[0], **own}} if infobip else {}),
            **more,
        }
        infobip_account = {
            "kind": "infobip_sms",
            "base_url": "http://vendors.test",
            "api_key": third.api_key,
            "webhook_security": third.security,
            "webhook_user": third.username,
            "webhook_secret": third.password if third.security == "basic" else third.signing_key,
            "webhook_header": third.signature_header,
        }
        return Settings(
            database=self.database_url,
            data=self.folder,
            integrations={
                "wa": {
                    "kind": "whatsapp",
                    "base_url": "http://vendors.test",
                    "token": account.token,
                    "app_secret": account.app_secret,
                    "verify_token": account.verify_token,
                    "waba_id": account.waba_id,
                },
                "sms": {
                    "kind": "twilio_sms",
                    "base_url": "http://vendors.test",
                    "account_sid": vendor.account_sid,
                    "auth_token": vendor.auth_token,
                },
                **({"ib": infobip_account} if infobip else {}),
            },
            senders={name: SenderSettings(**facts) for name, facts in senders.items()},
        )

    # --- its life -----------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """The installation runs, and knows the vendors' templates."""
        opened = open_installation(self.settings, self.clock, self.exchange)
        self.installation = await self._stack.enter_async_context(opened)
        self.installation.public_url = HOOKS
        await sync_templates(self.house, self.installation.workspace_id)

    async def close(self) -> None:
        """Ends well, with the books in order."""
        await self.check_books()
        await self._stack.aclose()

    async def restart(self, keep_journal: bool = True) -> None:
        """A killed process takes nothing along, and leaves its journal lying; another one takes over."""
        journals = {path: path.read_bytes() for path in (self.folder / "journal").glob("*.journal")}
        await self._stack.aclose()
        if keep_journal:
            for path, content in journals.items():
                path.write_bytes(content)
        self.dead, self.kill_after, self.kill_before = False, None, False
        await self.open()
        if not is_sqlite(self.database_url):  # where there is only one process, it has taken over at once
            await self.outlast_leases()
            while await self.house.db.run(recover.recover, self.house, self.clock.now()):
                pass

    async def outlast_leases(self) -> None:
        """The leases of all units are over: time enough has passed, by the clock they are counted from."""
        if is_sqlite(self.database_url):
            self.clock.advance_to(self.clock.now() + self.house.lease + 1)
        else:
            await self.house.db.run(_end_leases)

    @property
    def house(self) -> House:
        return self.installation.house

    async def exchange(
        self, request: Request, deadline: int, before: Callable[[], None] | None = None
    ) -> Response | Lost | Unsent:
        """The wire of this world."""
        if self.dead:
            raise Killed
        if any(part in request.url for part in self.unreachable):
            return Unsent("there is no way to the vendor")
        if self.kill_after is not None and request.method == "POST":
            self.kill_after -= 1
            self.dead = self.kill_after <= 0
            if self.dead and self.kill_before:
                raise Killed
        answer = await self.rehearsal.exchange(request, deadline, before)
        if self.answering:
            await self.answering(request)
        if self.dead:
            raise Killed
        return answer

    async def play(self, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Time passes, and everything happens that it brings."""
        until = self.clock.now() + int(days * DAY + hours * HOUR + minutes * MINUTE + seconds * SECOND)
        await self.rehearsal.play(self.house, until)
        self.clock.advance_to(until)
        await self.check_books()

    async def play_until_killed(self, **span: float) -> None:
        """Time passes until the process dies, as `kill_after` says; then another takes over."""
        try:
            await self.play(**span)
        except Killed:
            await self.restart()
        else:
            raise AssertionError("the process was to die and did not")

    async def hear_now(self) -> None:
        """What the vendors have to tell by now arrives and is understood, while something else is under way."""
        while await self.rehearsal._tell(self.house) + await self.house.db.run(receive.receive, self.house, self.clock.now()):
            pass

    # --- what people of the team do -----------------------------------------------------------------------------------------

    async def launch(
        self,
        primary: dict[str, Any],
        fallbacks: Sequence[dict[str, Any]] = (),
        follow_ups: Sequence[dict[str, Any]] = (),
        people: Iterable[str] | Sequence[dict[str, str]] = (ANA,),
        start: int | None = None,
        hours: dict[str, Any] | None = None,
        name: str | None = None,
        canary: dict[str, Any] | None = None,
    ) -> Id:
        """A campaign is launched to people: their numbers, or rows by column."""
        self.clock.advance_to(self.clock.now() + 1000)  # no two campaigns in one millisecond
        rows = [{"name": "Ana", "phone": one} if isinstance(one, str) else one for one in people]
        file = CampaignFile.model_validate(
            {
                "name": name or f"Campaign {len(self.runs) + 1}",
                "primary": primary,
                "fallbacks": list(fallbacks),
                "follow_ups": [{"after": "1 day", **one} for one in follow_ups],
                **({"hours": hours} if hours else {}),
                **({"canary": canary} if canary else {}),
            }
        )
        audience_id = await self.house.db.run(_store_audience, self.installation.workspace_id, rows, self.clock.now())
        self.runs.append(await self.launch_file(file, audience_id, start))
        return self.runs[-1]

    async def launch_file(self, file: CampaignFile, audience_id: Id, start: int | None = None) -> Id:
        """A campaign as written is launched to a stored audience."""
        now, definition = self.clock.now(), file.model_dump_json(by_alias=True)
        starts_at = now if start is None else start
        workspace_id = self.installation.workspace_id
        return await self.house.db.run(launch.launch, self.house, workspace_id, file, definition, audience_id, starts_at, now)

    async def act(self, what: Callable[..., bool], run: Id | None = None) -> bool:
        """Somebody pauses, resumes or finishes a campaign."""
        return await self.house.db.run(what, run or self.runs[-1], self.clock.now())

    # --- what the people written to do --------------------------------------------------------------------------------------

    def reply(self, phone: str, text: str = "yes please", over: str = "sms", quotes: str = "", to: str = "") -> None:
        """A person writes to us, now."""
        vendor, own = {
            "sms": (self.vendors.twilio, self.config.twilio.numbers[0]),
            "whatsapp": (self.vendors.whatsapp, next(iter(self.config.whatsapp.phone_numbers))),
            "infobip": (self.vendors.infobip, self.config.infobip.senders[0]),
        }[over]
        vendor.hear(person_of(phone), to or own, text, self.clock.now(), quotes)

    # --- what can be seen ---------------------------------------------------------------------------------------------------

    def accepted(self, phone: str | None = None) -> list[Line]:
        """What the vendors took, for one person or all, in its order."""
        lines = [line for line in self.ledger.lines if line.kind == ACCEPTED]
        return [line for line in lines if phone is None or line.to == person_of(phone)]

    def sent_to(self, phone: str) -> list[tuple[str, str]]:
        """What the vendors took for a person: (vendor, text)."""
        return [(line.vendor, line.text) for line in self.accepted(phone)]

    def vendors_of(self, phone: str) -> list[str]:
        """Over which vendors the person was written to."""
        return [line.vendor for line in self.accepted(phone)]

    async def person(self, phone: str, run: Id | None = None) -> recipients.Person:
        """A person of a run, as the store has them."""
        return await self.house.db.read(_person_of, phone, run or self.runs[-1])

    async def outcome_of(self, phone: str, run: Id | None = None) -> str:
        """What is said of a person."""
        return str((await self.person(phone, run)).journey.outcome)

    async def decisions_of(self, phone: str, run: Id | None = None) -> list[tuple[str, int, str]]:
        """What was decided about a person without a message: (kind, step, reason)."""
        person = await self.person(phone, run)
        found = await self.house.db.read(messages.decisions_of, person.id)
        return [(one["kind"], one["step"], english(one["reason"])) for one in found]

    async def attempts_of(self, phone: str, run: Id | None = None) -> list[Any]:
        """A person's messages, oldest first, whole rows."""
        person = await self.person(phone, run)
        return await self.house.db.read(_attempts, person.id)

    async def statuses_of(self, phone: str, run: Id | None = None) -> list[str]:
        """The words people see for a person's messages."""
        return [Status(row.status).word for row in await self.attempts_of(phone, run)]

    async def status(self, run: Id | None = None) -> str:
        """The run's status."""
        found = await self.house.db.read(campaigns.get_run, run or self.runs[-1])
        assert found is not None
        return found.status

    async def progress(self, run: Id | None = None) -> store_progress.Progress:
        """What the progress page shows."""
        row = await self.house.db.read(campaigns.get_run, run or self.runs[-1])
        assert row is not None
        found = await self.house.db.read(store_progress.progress, row.workspace_id, row.campaign_id, self.clock.now())
        assert found is not None
        return found

    async def outcomes(self, run: Id | None = None) -> dict[str, int]:
        """The outcomes that somebody has."""
        return {name: n for name, n in (await self.progress(run)).outcomes.items() if n}

    async def sender(self, name: str) -> Any:
        """A sender's row."""
        return await self.house.db.read(lambda c: c.execute(select(sender).where(sender.c.name == name)).one())

    async def held(self, run: Id | None = None) -> list[tuple[int, str]]:
        """Until when people of a run are held, and why."""
        return await self.house.db.read(flows.held, run or self.runs[-1], self.clock.now())

    async def suppressed(self) -> list[tuple[str, str]]:
        """Who must not be written to: (address, medium)."""
        return await self.house.db.read(
            lambda c: [tuple(row) for row in c.execute(select(suppression.c.value, suppression.c.medium))]
        )

    async def conversations(self) -> list[tuple[str, Id | None]]:
        """Conversations in the order of their opening: (status, run)."""
        wanted = select(conversation.c.status, conversation.c.run_id).order_by(conversation.c.opened_at, conversation.c.id)
        return await self.house.db.read(lambda c: [tuple(row) for row in c.execute(wanted)])

    async def units(self) -> int:
        """How many units there are."""
        return await self.house.db.read(lambda c: c.scalar(select(func.count()).select_from(unit)) or 0)

    async def balance(self) -> Balance:
        """The vendors' books against ours."""
        return balance([self.ledger.lines], await self.house.db.read(_everybody, self.runs))

    async def check_books(self) -> None:
        """Figures equal people, and outcomes sum to the people offered, in every committed state."""
        for run_id in self.runs:
            figures, counted, offered, shown = await self.house.db.read(_books, run_id)
            assert figures == counted, f"figures {figures} are not the people {counted}"
            assert sum(shown.values()) == offered
            assert min(shown.values()) >= 0


class Watched(Rehearsal):
    """A rehearsal that looks into the books before every turn."""

    def __init__(self, world: World) -> None:
        super().__init__(world.vendors, world.clock)
        self.world = world

    async def _tell(self, house: House) -> int:
        await self.world.check_books()
        return await super()._tell(house)


def _end_leases(c: Connection) -> None:
    c.execute(update(unit).where(unit.c.token.is_not(None)).values(lease_until=0))  # PostgreSQL's own clock cannot be moved


def _store_audience(c: Connection, workspace_id: Id, rows: Sequence[dict[str, str]], now: int) -> Id:
    """Rows checked as those of a file are, without the process that reads files."""
    spec = AudienceSpec()
    columns = resolve_columns(list(dict.fromkeys(name for row in rows for name in row)), spec)
    checker = Checker(columns, spec)
    audience_id = new_id(now)
    audiences.create(c, audience_id, workspace_id, "people", "", msgspec.json.encode(columns.names).decode(), now)
    checked = [checker.check(number, [row.get(name, "") for name in columns.names]) for number, row in enumerate(rows, 1)]
    stored = [
        {
            "number": one.number,
            "cells": msgspec.json.encode(one.raw).decode(),
            "phone": one.phone,
            "email": one.email,
            "issues": None,
            "left_out": one.reason,
        }
        for one in checked
    ]
    audiences.add_rows(c, audience_id, stored)
    summary = checker.summary()
    audiences.finish(c, audience_id, summary.rows, summary.offered, msgspec.json.encode(summary).decode())
    return audience_id


def _person_of(c: Connection, phone: str, run_id: Id) -> recipients.Person:
    low, high = recipients.id_range(run_id)
    where = (recipient.c.id.between(low, high), (recipient.c.phone == phone) | (recipient.c.email == phone))
    return recipients.load(c, [c.execute(select(recipient.c.id).where(*where)).scalar_one()])[0]


def _attempts(c: Connection, person_id: Id) -> list[Any]:
    return list(c.execute(select(message).where(message.c.recipient_id == person_id).order_by(message.c.attempt, message.c.id)))


def _books(c: Connection, run_id: Id) -> tuple[dict[str, int], dict[str, int], int, dict[str, int]]:
    run = campaigns.get_run(c, run_id)
    assert run is not None
    counts = counters.figures(c, [run_id])[run_id]
    figures = {key.removeprefix("outcome:"): n for key, n in counts.items() if key.startswith("outcome:") and n}
    low, high = recipients.id_range(run_id)
    grouped = select(recipient.c.outcome, func.count()).where(recipient.c.id.between(low, high)).group_by(recipient.c.outcome)
    counted = Counter({str(OUTCOMES[number]): n for number, n in c.execute(grouped)})
    return figures, dict(counted), run.offered, store_progress.outcomes(counts, run.offered)


def _everybody(c: Connection, run_ids: Sequence[Id]) -> list[Person]:
    found = []
    for run_id in run_ids:
        for row in recipients.after(c, run_id, 0, 100_000):
            outcome = OUTCOMES[row.outcome]
            found.append(Person(row.phone, owed=outcome not in recipients.OWED_NOTHING, unknown=outcome == "unknown"))
    return found
