"""Sending carefully: a run that is watched goes on by itself or pauses itself, as `core.canary` decides."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from campana.core.canary import Breach, Tried, Watch, forgive, judge, let_pass
from campana.core.ids import Id
from campana.engine import relay
from campana.store import audit, campaigns, counters, flows, recipients
from campana.store.campaigns import RunRow

OURSELVES = "Campana"  # who paused it, in the audit log
SENDING = ("sending",)
WATCH = msgspec.json.Decoder(Watch)


def read_watch(text: str) -> Watch:
    """The watch that lies in a run's row."""
    return WATCH.decode(text)


def write_watch(watch: Watch) -> str:
    """As it lies in a run's row."""
    return msgspec.json.encode(watch).decode()


def breach_of(run: RunRow) -> Breach | None:
    """Why a paused run paused itself; None when it is not paused, or somebody paused it."""
    return read_watch(run.watch).breach if run.watch is not None and run.status == "paused" else None


def enrolled(counts: Mapping[str, int]) -> int:
    """How many people of a run are enrolled: each of them has an outcome, the waiting ones too."""
    return sum(n for key, n in counts.items() if key.startswith("outcome:"))


def watch_runs(c: Connection, now: int) -> int:
    """Judges every run that is watched and sends. Returns how many watches have changed."""
    watched = [run for run in campaigns.runs_with_status(c, ["sending"]) if run.watch is not None]
    figures = counters.figures(c, [run.id for run in watched]) if watched else {}
    return sum(_watch(c, run, figures[run.id], now) for run in watched)


def _watch(c: Connection, run: RunRow, counts: Mapping[str, int], now: int) -> bool:
    before = run.watch or ""
    watch = read_watch(before)
    first_enrolled = run.enrolled or watch.room(enrolled(counts)) == 0
    all_sent_to = watch.passed_at is None and first_enrolled and not recipients.any_untried(c, run.id)
    stuck = flows.stuck(c, run.id, now) if watch.passed_at is None else ""
    after = judge(watch, Tried.of(counts), all_sent_to, stuck, now)
    if after == watch:
        return False
    if after.breach is None:
        return campaigns.set_watch(c, run.id, before, write_watch(after), SENDING)
    if not campaigns.set_watch(c, run.id, before, write_watch(after), SENDING, status="paused", paused_at=now):
        return False  # a person has paused it at the same moment: that is why it is paused, then
    relay.note(c, run.id, "paused", now)
    facts, name = msgspec.to_builtins(after.breach), campaigns.name_of(c, run.workspace_id, run.campaign_id)
    audit.note(c, run.workspace_id, None, OURSELVES, "campaign.paused_itself", name, now, run.campaign_id, facts)
    return True


def next_pass(c: Connection) -> int | None:
    """When the next watch over first people ends, if nothing happens."""
    watches = [read_watch(run.watch) for run in campaigns.runs_with_status(c, ["sending"]) if run.watch is not None]
    ends = [one.quiet_since + one.wait for one in watches if one.quiet_since is not None and one.passed_at is None]
    return min(ends, default=None)


def go_on(c: Connection, run: RunRow) -> None:
    """A person resumes a paused run: the time of its watch begins anew. When it had paused itself, what went wrong so far is
    forgiven, and it is watched on from there."""
    if run.watch is None or run.status != "paused":
        return
    watch = read_watch(run.watch)
    after = forgive(watch, _tried(c, run.id)) if watch.breach else replace(watch, quiet_since=None)
    campaigns.set_watch(c, run.id, run.watch, write_watch(after))


def send_to_all(c: Connection, run_id: Id, now: int) -> bool:
    """A person does not wait for the end of the watch; False when the run is not watched."""
    run = campaigns.get_run(c, run_id)
    if run is None or run.watch is None:
        return False
    return campaigns.set_watch(c, run.id, run.watch, write_watch(let_pass(read_watch(run.watch), _tried(c, run.id), now)))


def _tried(c: Connection, run_id: Id) -> Tried:
    return Tried.of(counters.figures(c, [run_id])[run_id])
