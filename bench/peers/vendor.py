"""The dumb sink of the other benchmarks, which remembers how often it has heard of each person: `/counts` tells."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import uvloop

from bench.sink import TO, Sink

HEARD: Counter[bytes] = Counter()


class Counting(Sink):
    """Accepts everything, counts by address."""

    def __init__(self) -> None:
        self.body, self.url = b"", b""

    def on_message_begin(self) -> None:
        self.body, self.url = b"", b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        to = TO.search(self.body)
        if to:
            HEARD[to[1]] += 1
        if self.url == b"/counts":
            said = json.dumps({"people": len(HEARD), "twice": sum(n - 1 for n in HEARD.values())}).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))
        else:
            super().on_message_complete()


async def serve() -> None:
    """Serves until the process is ended; says its port first."""
    server = await asyncio.get_running_loop().create_server(Counting, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
