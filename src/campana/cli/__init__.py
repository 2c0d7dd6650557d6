"""The command line. Errors are sentences on stderr, and the exit code is then not 0."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from campana.cli import credentials, people, show
from campana.cli import demo as demo_command
from campana.cli import run as run_command
from campana.cli.logs import logs_to_stderr
from campana.cli.words import SENTENCES, complain
from campana.core.campaign import json_schema
from campana.engine.worker import Role
from campana.settings import load_settings
from campana.standin import server as standin_server

app = typer.Typer(
    help="Campana tells everybody once, over WhatsApp and SMS, and can account for every person.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Config = Annotated[Path | None, typer.Option("--config", help="Settings file; default: campana.toml in this folder")]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON, as the last line of stdout")]


def finish(work: Coroutine[Any, Any, int]) -> None:
    """Runs a command to its end and leaves with its exit code."""
    raise typer.Exit(uvloop.run(work) if sys.platform != "win32" else asyncio.run(work))


@app.command()
def run(
    campaign: Annotated[Path, typer.Argument(help="The campaign as YAML; `campana schema` says what may stand in it")],
    audience: Annotated[Path, typer.Option("--audience", help="CSV, TSV, XLS, XLSX or ODS")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Send a campaign to an audience, and stay until everybody's journey is over. Ctrl-C pauses; the same command resumes."""
    finish(run_command.run(load_settings(config), campaign, audience, as_json))


@app.command()
def serve(config: Config = None) -> None:
    """Serve the console and the vendors' webhooks, and turn the wheels of all campaigns."""
    finish(run_command.serve(load_settings(config)))


@app.command()
def launch(
    campaign: Annotated[Path, typer.Argument(help="The campaign as YAML; `campana schema` says what may stand in it")],
    audience: Annotated[Path, typer.Option("--audience", help="CSV, TSV, XLS, XLSX or ODS")],
    config: Config = None,
) -> None:
    """Launch a campaign and leave it to the processes that run on the same PostgreSQL database."""
    finish(run_command.launch_only(load_settings(config), campaign, audience))


@app.command()
def web(config: Config = None) -> None:
    """Serve the console and the vendors' webhooks, and nothing else: one process of several on PostgreSQL."""
    finish(run_command.serve(load_settings(config), {Role.WEB}))


@app.command()
def pump(config: Config = None) -> None:
    """Do what time brings, start campaigns and hand out work, and nothing else: one process of several on PostgreSQL."""
    finish(run_command.serve(load_settings(config), {Role.PUMP}))


@app.command()
def work(config: Config = None) -> None:
    """Send, and understand what vendors tell, and nothing else: one process of several on PostgreSQL."""
    finish(run_command.serve(load_settings(config), {Role.WORK}))


@app.command()
def status(config: Config = None, as_json: AsJson = False) -> None:
    """Show all campaigns with their figures."""
    finish(show.status(load_settings(config), as_json))


@app.command()
def export(
    run_or_name: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or the campaign's name")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; default: stdout")] = None,
    config: Config = None,
) -> None:
    """Write everybody of a run as CSV, with outcome and reason."""
    finish(show.export(load_settings(config), run_or_name, output))


@app.command("forget-credentials")
def forget_credentials(config: Config = None) -> None:
    """After the key is lost: empty what it sealed, so that credentials can be entered anew. Stop all processes before."""
    finish(credentials.forget(load_settings(config)))


user = typer.Typer(help="The people who sign in to the console.", no_args_is_help=True)
app.add_typer(user, name="user")


@user.command("link")
def user_link(
    email: Annotated[str | None, typer.Argument(help="Whose password is to be set anew; none: for the first account")] = None,
    config: Config = None,
) -> None:
    """Print a one-time link: for the first account, or for a new password."""
    finish(people.link(load_settings(config), email))


@user.command("list")
def user_list(config: Config = None) -> None:
    """Show all accounts, and the workspaces they belong to."""
    finish(people.everybody(load_settings(config)))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the campaign file."""
    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@app.command()
def standin(
    config: Annotated[Path | None, typer.Option("--config", help="What the vendors know and what goes wrong")] = None,
    port: Annotated[int, typer.Option("--port", help="0 takes a free one")] = 0,
    ledger: Annotated[Path | None, typer.Option("--ledger", help="What was accepted is kept here")] = None,
) -> None:
    """Serve stand-ins for the vendors, to rehearse with."""
    raise typer.Exit(standin_server.run(config, port, ledger))


@app.command()
def demo(
    contacts: Annotated[int, typer.Option("--contacts", min=1, max=1_000_000, help="How many people to invent")] = 500,
    leave: Annotated[bool, typer.Option("--exit", help="End when everybody's journey is over")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the main job on this machine: stand-in vendors, a sample audience, a campaign with fallback and follow-up."""
    finish(demo_command.demo(contacts, leave, as_json))


def main() -> None:
    """Entry of the `campana` command."""
    logs_to_stderr()
    try:
        app()
    except SENTENCES as error:
        complain(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
