"""The real installation and its stand-in vendors in a thread of their own, for a browser to work with."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from tests.web.vendors_world import Place, Visitor, place


class Running:
    """A place behind a real server."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._up, self._end = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.place: Place

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._stay())
        finally:
            self._up.set()

    async def _stay(self) -> None:
        with tempfile.TemporaryDirectory(prefix="campana-vendors-") as folder:
            async with place(Path(folder)) as self.place:
                self._up.set()
                await self._end.wait()

    @property
    def url(self) -> str:
        """Where the console is."""
        return self.place.installation.console_url

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What comes of something done in the server's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def connected(self, kind: str, name: str, sender: str = "") -> str:
        """An account that was connected, with a sender when one is named. Its address."""
        return str(self.do(self._connected(kind, name, sender)))

    async def _connected(self, kind: str, name: str, sender: str) -> str:
        admin: Visitor = self.place.visitor()
        settings, address = {
            "whatsapp": (self.place.whatsapp, "106540352242922"),
            "twilio_sms": (self.place.twilio, "+15017122661"),
        }[kind]
        page = await admin.connect(kind, settings, name)
        home = page.url.path
        if sender:
            await admin.get(f"{home}/senders/new")
            page = await admin.post(
                f"{home}/senders/new", {"name": sender, "address": address, "rate": "10", "daily_limit": "5000"}
            )
        assert page.status_code == 200, page.text
        return home

    def __enter__(self) -> Running:
        self._thread.start()
        assert self._up.wait(30), "the installation did not start in time"
        assert hasattr(self, "place"), "the installation did not start; its thread says why"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(30)
        assert not self._thread.is_alive(), "the installation did not stop"
