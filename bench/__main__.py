"""`python -m bench [NAME ...]`: runs benchmarks and says how many floors are met."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from multiprocessing import get_context
from typing import Any

import uvloop

from bench.audience import audience, cutting
from bench.busy import busy
from bench.console import console
from bench.export import export
from bench.ingest import ingest
from bench.life import life
from bench.measure import Figure
from bench.pages import pages
from bench.places import NAMES, Asked, place
from bench.restart import restart
from bench.send import send
from bench.viewers import viewers

ALL: dict[str, Callable[[Asked], Coroutine[Any, Any, list[Figure]]]] = {
    "send": send,
    "life": life,
    "ingest": ingest,
    "busy": busy,
    "import": audience,
    "cut": cutting,
    "restart": restart,
    "console": console,
    "export": export,
    "pages": pages,
    "viewers": viewers,
}


def arguments() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="bench", description="Figures, each beside its limit of the same run.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ALL)}; all when none is given")
    parser.add_argument("--database", choices=(*NAMES, "both"), default="both")
    parser.add_argument("--messages", type=int, default=10_000, help="of one round; files and backlogs are 100 times as long")
    parser.add_argument("--rounds", type=int, default=3, help="limit and subject in turns; medians are told")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    asked.names = asked.names or list(ALL)
    if unknown := set(asked.names) - set(ALL):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; known are {', '.join(ALL)}")
    return asked


def main() -> int:
    """Exit 1 when a floor is missed."""
    asked = arguments()
    out = sys.stderr if asked.json else sys.stdout
    figures: list[Figure] = []
    for where in NAMES if asked.database == "both" else (asked.database,):
        with place(where) as at:
            print(f"{at.version()}, Python {sys.version.split()[0]}", file=out, flush=True)
            for name in asked.names:
                for figure in alone(name, Asked(at, asked.messages, asked.rounds)):
                    print(figure.line(), file=out, flush=True)
                    figures.append(figure)
    floors = [figure for figure in figures if figure.floors.words()]
    met = sum(figure.met for figure in floors)
    print(json.dumps([figure.facts() for figure in figures]) if asked.json else f"{met} of {len(floors)} floors met")
    return 0 if met == len(floors) else 1


def alone(name: str, asked: Asked) -> list[Figure]:
    """The figures of one benchmark, in a process of its own: what one leaves in memory is not the next one's."""

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            told.send(runner.run(ALL[name](asked)))

    context = get_context("fork")
    heard, told = context.Pipe(duplex=False)
    process = context.Process(target=run)
    process.start()
    told.close()
    try:
        found: list[Figure] = heard.recv()
    except EOFError:
        raise SystemExit(f"The benchmark {name} failed; what it said stands above.") from None
    process.join()
    return found


if __name__ == "__main__":
    sys.exit(main())
