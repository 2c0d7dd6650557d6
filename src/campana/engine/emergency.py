"""The emergency stop: nothing of a workspace goes out any more, until somebody lifts it.

It pauses every campaign in one transaction, so *start* sees it at the next chunk; and while it holds, none begins or goes on.
"""

from __future__ import annotations

from sqlalchemy import Connection

from campana.core.ids import Id
from campana.engine import launch, relay
from campana.engine.launch import STOPPED
from campana.store import campaigns, workspaces


def stop_everything(c: Connection, workspace_id: Id, who: str, now: int) -> int:
    """Returns how many campaigns it paused. Doing it again stops what has come since."""
    workspaces.stop(c, workspace_id, who, now)  # first: whoever begins a run at this moment waits for this row
    stopped = campaigns.pause_all(c, workspace_id, STOPPED, now)
    for run_id in stopped:
        relay.note(c, run_id, "paused", now)
    return len(stopped)


def lift(c: Connection, workspace_id: Id, go_on: bool, now: int) -> int:
    """The workspace sends again. With `go_on`, so do the campaigns that the stop had paused, and those launched meanwhile.

    Returns how many do. Their senders and steps stay as they are: what had stopped those is no matter of the stop."""
    workspaces.lift_stop(c, workspace_id)
    paused = [run for run_id in campaigns.paused_for(c, workspace_id, STOPPED) if (run := campaigns.get_run(c, run_id))]
    if go_on:
        return sum(launch.unpause(c, run, now) for run in paused)
    for run in paused:
        campaigns.change_run(c, run.id, ["paused"], note=None)
    return 0
