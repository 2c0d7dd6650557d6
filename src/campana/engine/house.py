"""What the wheels share: the store, the wire, the clock, the vendor accounts, and the plans they have read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from pydantic import SecretStr
from sqlalchemy import Connection

from campana.channels.contract import Channel, Content, Render, Settings, VendorTemplate
from campana.clock import Clock
from campana.core.campaign import Plan, Step
from campana.core.durations import HOUR, MINUTE, SECOND, Durations
from campana.core.exchange import Request, Response
from campana.core.failure import Waits
from campana.core.ids import Id
from campana.core.journey import Shape
from campana.core.message import Lost, Unsent
from campana.metrics import Metrics
from campana.store import campaigns, templates
from campana.store.database import Database

CELLS = msgspec.json.Decoder(list[str])
LEASE = 30 * SECOND  # real time
CALL_TIMEOUT = 15 * SECOND
MARGIN = 5 * SECOND


class Exchange(Protocol):
    """Sends one request, not after `deadline` (boot time); `before` is called at the moment it leaves."""

    async def __call__(
        self, request: Request, deadline: int, before: Callable[[], None] | None = None
    ) -> Response | Lost | Unsent: ...


@dataclass(frozen=True, slots=True)
class Account:
    """A connected vendor account."""

    id: Id
    workspace_id: Id
    name: str
    hook: str  # its address under /hooks/
    channel: Channel
    settings: Settings
    active: bool = True  # what is off sends nothing, but is still told what became of its messages

    @property
    def secrets(self) -> list[str]:
        """Its credentials, which are struck out of all that is kept."""
        facts = [getattr(self.settings, name) for name in type(self.settings).model_fields]
        return [value.get_secret_value() for value in facts if isinstance(value, SecretStr)]


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A run's plan as the wheels use it."""

    plan: Plan
    shape: Shape
    columns: tuple[str, ...]

    def step(self, position: int) -> Step:
        return self.plan.steps[position]

    def cells(self, packed: str) -> dict[str, str]:
        """A person's cells by column."""
        return dict(zip(self.columns, CELLS.decode(packed), strict=False))


@dataclass
class House:
    """One process's share in the work. Nothing here is state that a crash could lose."""

    db: Database
    exchange: Exchange
    clock: Clock
    durations: Durations
    channels: Mapping[str, Channel]
    accounts: Mapping[Id, Account]  # by integration id, of every workspace; `engine.accounts` keeps it up to date
    hook_url: Callable[[str], str]  # where a vendor tells us things, by an account's hook
    journal: Callable[[Id], None]  # writes down that a message's call begins
    begun: Callable[[Id, Id], bool | None]  # whether the journal of a token has that message; None: it cannot be read
    new_token: Callable[[], Id]  # names a claim, and the journal its calls are written to
    wake: Callable[[str], None] = lambda topic: None
    boottime: Callable[[], int] = lambda: 0
    lease: int = LEASE
    metrics: Metrics = field(default_factory=Metrics)
    plans: dict[Id, RunPlan] = field(default_factory=dict)
    renders: dict[tuple[Any, ...], Render] = field(default_factory=dict)
    hooks: Mapping[str, Account] = field(default_factory=dict)
    accounts_seen: tuple[int, int] | None = None  # the version of the accounts that this process knows

    def know(self, found: Mapping[Id, Account]) -> None:
        """From now on these are the accounts. Whoever looks in another thread sees all of them, or all of before."""
        self.accounts = found
        self.hooks = {account.hook: account for account in found.values()}
        self.renders.clear()

    @property
    def waits(self) -> Waits:
        """Backoff, as the clock will show it. A daily cap is tried again after 23 hours: vendors count days in their own zone,
        and the step's usual deadline of a day has then not passed."""
        of = self.durations.of
        return Waits(of(SECOND), of(300 * SECOND), of(HOUR), of(23 * HOUR))

    @property
    def recheck(self) -> int:
        """How long until a closed flow or an overdue receipt is looked at again; not more often, however fast days pass."""
        return max(self.durations.of(MINUTE), SECOND // 2)

    def by_hook(self, hook: str) -> Account | None:
        """The account whose webhooks come to that address."""
        return self.hooks.get(hook)

    def plan_of(self, run_id: Id, plan: str, columns: str) -> RunPlan:
        """A frozen plan, read once."""
        found = self.plans.get(run_id)
        if found is None:
            found = self.plans[run_id] = read_plan(plan, columns, self.durations)
        return found

    def plan_of_run(self, c: Connection, run_id: Id) -> RunPlan:
        """The plan of that run. It is frozen, so the database is asked once."""
        found = self.plans.get(run_id)
        return found or self.plan_of(run_id, *campaigns.frozen_plan(c, run_id))

    def renderer(self, c: Connection, run_id: Id, position: int, step: Step, integration_id: Id) -> Render:
        """What renders a step for a person, with the template as it stands now; raises UnfitContent when it cannot be sent."""
        template = None
        key: tuple[Any, ...]
        if step.template is not None:
            row = templates.find_template(c, integration_id, step.template, step.language or "")
            template = None if row is None else vendor_template(row)
            key = (run_id, position, row and row.status, row and row.components)
        else:
            key = (run_id, position)
        found = self.renders.get(key)
        if found is None:
            content = Content(step.text, step.template, step.language, step.values)
            found = self.renders[key] = self.channels[step.channel].compile(content, template)
        return found


def vendor_template(row: Any) -> VendorTemplate:
    """A template of the store as channels know it."""
    components = msgspec.json.decode(row.components)
    return VendorTemplate(row.name, row.language, row.status, row.category, row.parameter_format, components, row.vendor_id)


def read_plan(plan: str, columns: str, durations: Durations) -> RunPlan:
    """A plan from its row; journey times are scaled here, once."""
    frozen = Plan.model_validate_json(plan)
    shape = Shape(
        tuple(None if step.deadline is None else durations.of(step.deadline) for step in frozen.steps),
        tuple(durations.of(step.delay) if step.delay else 0 for step in frozen.steps),
        frozen.last_fallback,
    )
    return RunPlan(frozen, shape, tuple(msgspec.json.decode(columns, type=list[str])))
