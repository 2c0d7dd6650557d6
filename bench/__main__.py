"""`python -m bench [NAME ...]`: runs benchmarks and says how many floors are met."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

import uvloop

from bench.audience import audience, cutting
from bench.restart import restart
from bench.send import send

ALL = {"send": send, "import": audience, "cut": cutting, "restart": restart}


def main() -> int:
    """Exit 1 when a floor is missed."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("names", nargs="*", default=list(ALL), help=f"of {', '.join(ALL)}")
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    figures = []
    for name in asked.names:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            for figure in runner.run(ALL[name](asked.messages)):
                print(figure.line(), file=sys.stderr if asked.json else sys.stdout, flush=True)
                figures.append(figure)
    met = sum(figure.met for figure in figures)
    print(json.dumps([figure.facts() for figure in figures]) if asked.json else f"{met} of {len(figures)} floors met")
    return 0 if met == len(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
