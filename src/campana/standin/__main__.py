"""`python -m campana.standin --config FILE --port N --ledger FILE`: vendors to rehearse with."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from campana.standin.server import run


def main() -> int:
    """Reads the command line and serves."""
    parser = argparse.ArgumentParser(
        prog="campana.standin", description="Stand-ins for Twilio and Infobip SMS and WhatsApp Cloud"
    )
    parser.add_argument("--config", type=Path, help="YAML, TOML or JSON; default: three demo templates and no limits")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--ledger", type=Path, help="what was accepted is kept here, and taken up again from here")
    asked = parser.parse_args()
    return run(asked.config, asked.port, asked.ledger)


if __name__ == "__main__":
    sys.exit(main())
