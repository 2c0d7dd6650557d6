"""Campaigns, their tags and their runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from campana.core.campaign import name_key, tag_of
from campana.core.ids import Id, new_id
from campana.store.dialect import counted, upsert
from campana.store.schema import campaign, campaign_tag, run, workspace

LIVE = ("scheduled", "sending", "paused")


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as it stands. Times are UTC microseconds."""

    id: Id
    workspace_id: Id
    campaign_id: Id
    mode: str
    status: str
    plan: str
    columns: str
    audience_id: Id | None
    offered: int
    enrolled_through: int
    enrolled: bool
    swept: bool
    starts_at: int
    started_at: int | None
    paused_at: int | None
    finished_at: int | None
    note: str | None
    watch: str | None = None


RUN = select(
    run.c.id,
    run.c.workspace_id,
    run.c.campaign_id,
    run.c.mode,
    run.c.status,
    run.c.plan,
    run.c.columns,
    run.c.audience_id,
    run.c.offered,
    run.c.enrolled_through,
    run.c.enrolled,
    run.c.swept,
    run.c.starts_at,
    run.c.started_at,
    run.c.paused_at,
    run.c.finished_at,
    run.c.note,
    run.c.watch,
)


def find_by_name(c: Connection, workspace_id: Id, name: str) -> Any:
    """None, or the campaign's id, definition and name, found by what makes names the same."""
    where = (campaign.c.workspace_id == workspace_id, campaign.c.name_key == name_key(name))
    return c.execute(select(campaign.c.id, campaign.c.definition, campaign.c.name).where(*where)).first()


def create(c: Connection, workspace_id: Id, name: str, kind: str, definition: str, tags: Iterable[str], now: int) -> Id | None:
    """A new campaign with the tag made from its name and the others; None when another one has that name, or gets it just now."""
    campaign_id = new_id(now)
    shown = " ".join(name.split())
    row = {"id": campaign_id, "workspace_id": workspace_id, "name": shown, "name_key": name_key(name), "kind": kind}
    made = upsert(c, campaign).values(**row, definition=definition, created_at=now).on_conflict_do_nothing()
    if not counted(c, made):
        return None
    taken = c.scalars(select(campaign_tag.c.tag).where(campaign_tag.c.workspace_id == workspace_id).distinct()).all()
    default = tag_of(name, taken)
    wanted = [(default, True), *((tag, False) for tag in dict.fromkeys(tags) if tag != default)]
    c.execute(
        insert(campaign_tag),
        [
            {"workspace_id": workspace_id, "campaign_id": campaign_id, "tag": tag, "is_default": is_default}
            for tag, is_default in wanted
        ],
    )
    return campaign_id


def add_run(c: Connection, row: dict[str, Any]) -> None:
    """A new run, its plan frozen."""
    c.execute(insert(run).values(**row))


def name_of(c: Connection, workspace_id: Id, campaign_id: Id) -> str:
    """What a campaign of the workspace is called; empty when it has no such campaign."""
    return c.scalar(select(campaign.c.name).where(campaign.c.id == campaign_id, campaign.c.workspace_id == workspace_id)) or ""


def forget_run(c: Connection, run_id: Id) -> None:
    """The run, which never began and whose flows are gone, is gone too."""
    c.execute(run.delete().where(run.c.id == run_id))


def prefix_taken(c: Connection, run_id: Id) -> bool:
    """Whether another run's people would lie under the same id prefix."""
    low, high = run_id[:8] + bytes(8), run_id[:8] + b"\xff" * 8
    return c.scalar(select(run.c.id).where(run.c.id.between(low, high)).limit(1)) is not None


def get_run(c: Connection, run_id: Id) -> RunRow | None:
    """One run."""
    row = c.execute(RUN.where(run.c.id == run_id)).first()
    return RunRow(**row._mapping) if row else None


def frozen_plan(c: Connection, run_id: Id) -> tuple[str, str]:
    """A run's plan and the names of its recipients' cells, as frozen at launch."""
    plan, columns = c.execute(select(run.c.plan, run.c.columns).where(run.c.id == run_id)).one()
    return plan, columns


def latest_run(c: Connection, campaign_id: Id) -> RunRow | None:
    """The newest run of a campaign."""
    row = c.execute(RUN.where(run.c.campaign_id == campaign_id).order_by(run.c.id.desc()).limit(1)).first()
    return RunRow(**row._mapping) if row else None


def runs_with_status(c: Connection, statuses: Sequence[str], starting_by: int | None = None) -> list[RunRow]:
    """Runs in one of these states, those that start by a given time when one is given."""
    statement = RUN.where(run.c.status.in_(statuses))
    if starting_by is not None:
        statement = statement.where(run.c.starts_at <= starting_by)
    return [RunRow(**row._mapping) for row in c.execute(statement.order_by(run.c.starts_at))]


def unswept_runs(c: Connection) -> list[RunRow]:
    """Ended runs whose people have not all got their outcome yet."""
    return [RunRow(**row._mapping) for row in c.execute(RUN.where(run.c.status == "ended", run.c.swept.is_(False)))]


def change_run(c: Connection, run_id: Id, was: Sequence[str], **values: Any) -> bool:
    """Changes a run that is in one of the states `was`; False when it is not."""
    return c.execute(update(run).where(run.c.id == run_id, run.c.status.in_(was)).values(**values)).rowcount == 1


def pause_all(c: Connection, workspace_id: Id, note: str, now: int) -> list[Id]:
    """Every run of a workspace that is scheduled or sending is paused, with that note. Returns which."""
    live = (run.c.workspace_id == workspace_id, run.c.status.in_(("scheduled", "sending")))
    paused = update(run).where(*live).values(status="paused", paused_at=now, note=note)
    return list(c.scalars(paused.returning(run.c.id)))


def names_of_live(c: Connection, workspace_id: Id, paused_with: str = "") -> list[tuple[Id, str]]:
    """The campaigns of a workspace that send or wait for their start; with `paused_with`, those paused with that note."""
    goes_on = run.c.status.in_(("scheduled", "sending"))
    wanted = (run.c.status == "paused") & (run.c.note == paused_with) if paused_with else goes_on
    found = select(campaign.c.id, campaign.c.name).join(run, run.c.campaign_id == campaign.c.id)
    rows = c.execute(found.where(run.c.workspace_id == workspace_id, wanted).order_by(campaign.c.name))
    return [(row.id, row.name) for row in rows]


def paused_for(c: Connection, workspace_id: Id, note: str) -> list[Id]:
    """The paused runs of a workspace with that note."""
    return list(
        c.scalars(select(run.c.id).where(run.c.workspace_id == workspace_id, run.c.status == "paused", run.c.note == note))
    )


def set_watch(c: Connection, run_id: Id, before: str, after: str, was: Sequence[str] = LIVE, **values: Any) -> bool:
    """Another watch over a run, and what changes with it.

    False when the watch is not `before` any more, or the run in none of those states."""
    same = (run.c.id == run_id, run.c.watch == before, run.c.status.in_(was))
    return c.execute(update(run).where(*same).values(watch=after, **values)).rowcount == 1


def note_enrolled(c: Connection, run_id: Id, through: int, complete: bool) -> None:
    """Rows up to `through` are enrolled."""
    c.execute(update(run).where(run.c.id == run_id).values(enrolled_through=through, enrolled=complete))


def next_start(c: Connection) -> int | None:
    """When the next scheduled run is due, of workspaces that are not stopped."""
    due = select(func.min(run.c.starts_at)).join(workspace, workspace.c.id == run.c.workspace_id)
    return c.scalar(due.where(run.c.status == "scheduled", workspace.c.stopped_at.is_(None)))


def tags_of(c: Connection, campaign_ids: Iterable[Id]) -> dict[Id, list[str]]:
    """Tags by campaign, the one made from the name first."""
    ids = list(campaign_ids)
    found: dict[Id, list[str]] = {campaign_id: [] for campaign_id in ids}
    t = campaign_tag.c
    rows = c.execute(
        select(t.campaign_id, t.tag).where(t.campaign_id.in_(ids)).order_by(t.campaign_id, t.is_default.desc(), t.tag)
    )
    for campaign_id, tag in rows:
        found[campaign_id].append(tag)
    return found
