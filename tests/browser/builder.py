"""The whole application behind a real server, its vendors played by stand-ins: where a browser builds and launches campaigns."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from campana.core.draft import Draft
from campana.web.app import serve
from tests.engine.world import World
from tests.web.studio import PEOPLE, Studio


class Builder:
    """A studio in a thread with its own event loop. `do` runs something there; `settings` are those of its world."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.loop = asyncio.new_event_loop()
        self.stop = asyncio.Event()
        self.folder = tempfile.TemporaryDirectory(prefix="campana-builder-")
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.url = ""
        self.studio: Studio
        self.number = 0

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        folder = Path(self.folder.name)
        world = World(folder, f"sqlite:///{folder / 'campana.db'}", **self.settings)
        await world.open()
        self.studio = Studio(world)
        await self.studio.prepare()
        await serve(world.installation.app, "127.0.0.1", 0, self.stop, self._bound)
        await world.close()

    def _bound(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._up.set()

    def __enter__(self) -> Builder:
        self._thread.start()
        assert self._up.wait(30), "the server did not come up"
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self._thread.join(30)
        self.folder.cleanup()
        assert not self._thread.is_alive(), "the server did not stop"

    def do(self, what: Coroutine[Any, Any, Any]) -> Any:
        """The answer of something that runs where the server runs."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(60)

    def begin(self, draft: Draft | None = None, people: Sequence[dict[str, str]] = PEOPLE, name: str = "") -> str:
        """A fresh draft; the address that its pages begin with."""
        self.number += 1
        self.do(self.studio.begin(draft, people, name or f"Visits {self.number}"))
        return self.studio.home
