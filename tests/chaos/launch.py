"""Launches one campaign and ends: `python -m tests.chaos.launch campana.toml campaign.yaml people.csv`. Others do the rest.

It may be killed at any moment and repeated: a campaign that was launched is not launched again.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.chaos.entry import adjust


async def launch(settings_file: Path, campaign: Path, people: Path) -> None:
    """The campaign is launched when this returns."""
    from campana.cli.run import prepare, read_campaign
    from campana.settings import load_settings
    from campana.wiring import open_installation

    async with open_installation(load_settings(settings_file), roles=()) as installation:
        await prepare(installation, read_campaign(campaign), people)


if __name__ == "__main__":
    adjust()
    from campana.cli.words import SENTENCES

    try:
        asyncio.run(launch(*map(Path, sys.argv[1:])))
    except SENTENCES as error:
        sys.exit(str(error))
