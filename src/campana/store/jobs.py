"""Long work that somebody waits for: how far it is, what came of it, and whether anybody still works on it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from campana.core.durations import SECOND
from campana.core.ids import Id, new_id
from campana.store.schema import job

BEAT = 5 * SECOND  # whoever works on a job says so this often
SILENCE = 20 * SECOND  # after so long without a word, nobody works on it any more
J = job.c


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work as it stands. Times are UTC microseconds."""

    id: Id
    kind: str
    object_id: Id
    done: int
    total: int | None  # None: nobody knows yet
    result: str | None  # JSON
    trouble: str | None
    started_at: int
    beat_at: int
    finished_at: int | None

    def runs(self, now: int) -> bool:
        """Whether somebody works on it."""
        return self.finished_at is None and now - self.beat_at < SILENCE

    def died(self, now: int) -> bool:
        """Whether whoever worked on it is gone, and it can be started again."""
        return self.finished_at is None and not self.runs(now)


def start(c: Connection, workspace_id: Id, kind: str, object_id: Id, now: int, result: str | None = None) -> Id:
    """A job that somebody works on from now on; `result` may say beforehand what it is about."""
    job_id = new_id(now)
    values = {"id": job_id, "workspace_id": workspace_id, "kind": kind, "object_id": object_id, "result": result}
    c.execute(insert(job).values(**values, started_at=now, beat_at=now))
    return job_id


def beat(c: Connection, job_id: Id, done: int | None, total: int | None, now: int) -> bool:
    """It goes on, and is so far; None: as far as before. False when it is over, or gone."""
    values = {"beat_at": now}
    values |= {} if done is None else {"done": done}
    values |= {} if total is None else {"total": total}
    return c.execute(update(job).where(J.id == job_id, J.finished_at.is_(None)).values(**values)).rowcount == 1


def note(c: Connection, job_id: Id, result: str) -> None:
    """More is known of what it is about."""
    c.execute(update(job).where(J.id == job_id).values(result=result))


def finish(c: Connection, job_id: Id, result: str | None, trouble: str | None, now: int) -> bool:
    """It is over; `trouble` says in words why in vain. A result of None leaves what was said at the start. False when it was
    over already."""
    values: dict[str, object] = {"finished_at": now, "beat_at": now, "trouble": trouble}
    values |= {} if result is None else {"result": result}
    return c.execute(update(job).where(J.id == job_id, J.finished_at.is_(None)).values(**values)).rowcount == 1


def latest(c: Connection, object_id: Id, kind: str) -> Job | None:
    """The newest job of a kind for that object."""
    row = c.execute(
        select(J.id, J.kind, J.object_id, J.done, J.total, J.result, J.trouble, J.started_at, J.beat_at, J.finished_at)
        .where(J.object_id == object_id, J.kind == kind)
        .order_by(J.id.desc())
        .limit(1)
    ).first()
    return Job(**row._mapping) if row else None


def forget(c: Connection, before: Id, at_most: int) -> int:
    """Removes a batch of jobs older than that id. Returns how many."""
    old = select(J.id).where(J.id < before).order_by(J.id).limit(at_most).scalar_subquery()
    return c.execute(job.delete().where(J.id.in_(old))).rowcount
