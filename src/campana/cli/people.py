"""`campana user`, and the link that makes the first account: ways in for whoever runs the server."""

from __future__ import annotations

import time

import typer
from rich.table import Table
from sqlalchemy import Connection

from campana.cli.show import reading
from campana.cli.words import err, say
from campana.core.access import Role
from campana.engine.launch import Refused
from campana.settings import Settings
from campana.store import audit, links, users, workspaces
from campana.store.accounts import ensure_workspace
from campana.store.links import Kind
from campana.web.access import hash_of, new_token
from campana.wiring import Installation

SHELL = "command line"


async def welcome(installation: Installation) -> None:
    """Says the one-time link that makes the first account, as long as there is none."""
    house = installation.house
    if await house.db.read(users.any_at_all):
        return
    token = new_token()
    await house.db.run(links.make, Kind.OWNER, hash_of(token), house.clock.now(), installation.workspace_id)
    say(f"Nobody has an account yet. Make the first one here, within a day: {installation.people_url}/links/{token}")


async def demo_link(installation: Installation) -> str:
    """A one-time link that signs in a user made for the demo."""
    house, token = installation.house, new_token()

    def make(c: Connection, now: int) -> None:
        user_id = users.create(c, "demo@example.com", "Demo", None, now)
        if user_id is not None:
            workspaces.join(c, installation.workspace_id, user_id, Role.OWNER, now)
            links.make(c, Kind.OWNER, hash_of(token), now, installation.workspace_id, user_id)

    await house.db.run(make, house.clock.now())
    return f"{installation.people_url}/links/{token}"


async def link(settings: Settings, email: str | None) -> int:
    """Prints a one-time link: for the first account, or for a new password of the account named."""
    token, now = new_token(), time.time_ns() // 1000

    def make(c: Connection) -> None:
        workspace_id = ensure_workspace(c, settings.workspace, now)
        if email is None:
            if users.any_at_all(c):
                raise Refused("There are accounts already. Name one, to get a link that gives it a new password.")
            links.make(c, Kind.OWNER, hash_of(token), now, workspace_id)
            return
        account = users.find(c, email)
        if account is None:
            raise Refused(f"Nobody has the account {email}. `campana user list` shows all; an admin invites new people.")
        links.make(c, Kind.RESET, hash_of(token), now, user_id=account.id)
        for known, _, _ in workspaces.of_user(c, account.id):
            audit.note(c, known, None, SHELL, "user.link_made", account.email, now, account.id)

    with reading(settings) as db:
        await db.run(make)
    host = "127.0.0.1" if settings.host in ("", "0.0.0.0", "::") else settings.host  # noqa: S104 - compared with
    say("It works once, for a day:")
    typer.echo(f"{(settings.public_url or f'http://{host}:{settings.port}').rstrip('/')}/links/{token}")
    return 0


async def everybody(settings: Settings) -> int:
    """Shows every account with its workspaces."""
    with reading(settings) as db:
        known = await db.read(workspaces.everybody)
    table = Table("E-mail", "Name", "Workspaces", "Second factor")
    for one in known:
        table.add_row(one.email, one.name, one.places, "yes" if one.second_factor else "no")
    err.print(table)
    return 0
