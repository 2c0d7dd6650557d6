"""The wire against servers that do to it what vendors and networks do, each arrival counted."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from campana.clock import boottime
from campana.core.exchange import Request, Response
from campana.core.message import Lost, Unsent
from campana.wire import Wire, redacted

TLS = Path(__file__).parents[1] / "data" / "tls"
SOON = 20_000_000  # microseconds: far away for a test
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Arrival:
    """One complete request, as the server got it."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int
    nth: int  # on its connection, from 1
    reader: asyncio.StreamReader


Act = Callable[[Arrival, asyncio.StreamWriter], Awaitable[bool]]  # False: the connection ends here


@dataclass
class Vendor:
    """A raw server. `act` answers one arrival, or does not."""

    act: Act
    arrivals: list[Arrival] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most_open: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/messages"

    async def serve(self, tls: ssl.SSLContext | None = None) -> asyncio.Server:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, ssl=tls, backlog=256)
        self.port, self.scheme = server.sockets[0].getsockname()[1], "https" if tls else "http"
        return server

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        number, nth = self.connections, 0
        try:
            while True:
                nth += 1
                if not await self._one(reader, writer, number, nth):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self.closed.set()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, nth: int) -> bool:
        line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        arrival = Arrival(line, headers, body, number, nth, reader)
        self.arrivals.append(arrival)
        self.arrived.set()
        going_on = await self.act(arrival, writer)
        await writer.drain()
        return going_on


def answers(said: bytes = OK) -> Act:
    async def act(arrival: Arrival, writer: asyncio.StreamWriter) -> bool:
        writer.write(said)
        return True

    return act


def says_and_closes(said: bytes = b"") -> Act:
    async def act(arrival: Arrival, writer: asyncio.StreamWriter) -> bool:
        writer.write(said)
        return False

    return act


async def resets(arrival: Arrival, writer: asyncio.StreamWriter) -> bool:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


async def keeps_silent(arrival: Arrival, writer: asyncio.StreamWriter) -> bool:
    await arrival.reader.read(1)  # until the other side goes
    return False


async def stops_in_the_headers(arrival: Arrival, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    return await keeps_silent(arrival, writer)


def on_second(act: Act) -> Act:
    """Answers the first request of a connection, and does `act` to those after it."""

    async def either(arrival: Arrival, writer: asyncio.StreamWriter) -> bool:
        return await (answers() if arrival.nth == 1 else act)(arrival, writer)

    return either


Start = Callable[[Act], Awaitable[Vendor]]


@pytest.fixture
async def vendor() -> AsyncIterator[Start]:
    servers: list[asyncio.Server] = []

    async def start(act: Act) -> Vendor:
        vendor = Vendor(act)
        servers.append(await vendor.serve())
        return vendor

    yield start
    for server in servers:
        server.close()


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    wire = Wire(connections=64)
    yield wire
    await wire.close()


def post(url: str, body: bytes = b'{"to":"+525511223344"}') -> Request:
    return Request("POST", url, (("Authorization", "Bearer t"), ("Content-Type", "application/json")), body)


def later(microseconds: int = SOON) -> int:
    return boottime() + microseconds


async def test_an_answer_comes_back_whole(wire: Wire, vendor: Start) -> None:
    said = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nRetry-After: 7\r\nX-A: 1\r\nx-a: 2\r\n"
    said += b"Content-Length: 3\r\n\r\n\x00\xffz"
    there = await vendor(answers(said))
    got = await wire.exchange(post(there.url), later())
    assert got == Response(201, {"retry-after": "7", "x-a": "1, 2", "content-length": "3"}, b"\x00\xffz")
    [arrival] = there.arrivals
    assert (arrival.line, arrival.body) == ("POST /messages HTTP/1.1", b'{"to":"+525511223344"}')
    assert arrival.headers["authorization"] == "Bearer t"
    assert arrival.headers["content-type"] == "application/json"
    assert "expect" not in arrival.headers


@pytest.mark.parametrize(
    ("request_", "line", "length"),
    [
        (Request("GET", "?a=1&b=%20"), "GET /messages?a=1&b=%20 HTTP/1.1", None),
        (Request("POST", ""), "POST /messages HTTP/1.1", "0"),
        (Request("DELETE", ""), "DELETE /messages HTTP/1.1", None),
        (Request("PUT", "", (), b"x"), "PUT /messages HTTP/1.1", "1"),
        (Request("PATCH", "", (("X-Empty", ""),), b"xy"), "PATCH /messages HTTP/1.1", "2"),
        (Request("POST", "", (), b"b" * 3_000_000), "POST /messages HTTP/1.1", "3000000"),
    ],
    ids=lambda value: f"{value.method}-{len(value.body)}" if isinstance(value, Request) else "",
)
async def test_each_shape_of_request(wire: Wire, vendor: Start, request_: Request, line: str, length: str | None) -> None:
    there = await vendor(answers())
    request = Request(request_.method, there.url + request_.url, request_.headers, request_.body)
    plain = post(there.url)
    shapes = [plain, request, plain]  # a handle that was used for one shape must not bend the next
    assert [await wire.exchange(each, later()) for each in shapes] == [Response(200, {"content-length": "2"}, b"ok")] * 3
    first, middle, last = there.arrivals
    assert (middle.line, middle.headers.get("content-length"), middle.body) == (line, length, request.body)
    assert (first.line, first.headers, first.body) == (last.line, last.headers, last.body)
    assert "content-type" not in middle.headers
    assert [middle.headers.get(name.lower()) for name, _ in request.headers] == [""] * len(request.headers)


async def test_a_redirect_is_an_answer(wire: Wire, vendor: Start) -> None:
    there = await vendor(answers(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"))
    got = await wire.exchange(post(there.url), later())
    assert isinstance(got, Response)
    assert (got.code, len(there.arrivals)) == (302, 1)


async def test_a_connection_is_used_again(wire: Wire, vendor: Start) -> None:
    there = await vendor(answers())
    for _ in range(5):
        assert isinstance(await wire.exchange(post(there.url), later()), Response)
    assert (there.connections, [arrival.nth for arrival in there.arrivals]) == (1, [1, 2, 3, 4, 5])


async def test_never_more_sockets_than_connections(wire: Wire, vendor: Start) -> None:
    there = await vendor(answers())
    bodies = [b"%d" % number for number in range(1000)]
    got = await asyncio.gather(*(wire.exchange(post(there.url, body), later()) for body in bodies))
    assert all(isinstance(each, Response) for each in got)
    assert sorted(arrival.body for arrival in there.arrivals) == sorted(bodies)
    assert 1 < there.most_open <= 64


def unused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:{port}/", "no connection to 127.0.0.1: connection refused"),
        ("http://name.onion/", "no connection to name.onion: the name is not known"),
        ("ftp://127.0.0.1/", "127.0.0.1 is not part of an http or https address"),
        ("http://127.0.0.1/a b", "127.0.0.1 is not part of an http or https address"),
        ("http://[::1/", "the given address is not the address of a server"),
    ],
)
async def test_surely_not_sent(wire: Wire, method: str, url: str, reason: str) -> None:
    request = Request(method, url.format(port=unused_port()), (), b"body" if method == "POST" else b"")
    assert await wire.exchange(request, later()) == Unsent(reason)


@pytest.mark.parametrize(
    "request_",
    [
        Request("TRACE", ""),
        Request("POST", "", (("X-Name", "a\r\nX-Evil: 1"),), b"x"),
        Request("POST", "", (("X-Name\n", "a"),), b"x"),
        Request("POST", "", (("X-Name", "\u20ac"),), b"x"),
    ],
)
async def test_what_may_not_be_sent_is_not(wire: Wire, vendor: Start, request_: Request) -> None:
    there = await vendor(answers())
    request = Request(request_.method, there.url, request_.headers, request_.body)
    assert isinstance(await wire.exchange(request, later()), Unsent)
    assert there.arrivals == []


CUTS = [
    pytest.param(says_and_closes(), "closed the connection without an answer", id="closed"),
    pytest.param(resets, "broke before the answer was complete", id="reset"),
    pytest.param(
        says_and_closes(b"HTTP/1.1 200 OK\r\nConte"), "broke before the answer|without an answer|cut in", id="headers cut"
    ),
    pytest.param(says_and_closes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"), "was cut in the middle", id="body cut"),
    pytest.param(says_and_closes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok"), "cut|broke", id="chunk cut"),
    pytest.param(says_and_closes(b"SSH-2.0-OpenSSH\r\n"), "the exchange with 127.0.0.1 failed", id="not http"),
]


@pytest.mark.parametrize(("cut", "reason"), CUTS)
async def test_a_fresh_connection_cut_after_acceptance(wire: Wire, vendor: Start, cut: Act, reason: str) -> None:
    there = await vendor(cut)
    got = await wire.exchange(post(there.url), later())
    assert isinstance(got, Lost)
    assert any(part in got.reason for part in reason.split("|"))
    assert len(there.arrivals) == 1


@pytest.mark.parametrize("body", [b"{}", b"", b"x" * 300_000], ids=["small", "none", "big"])
@pytest.mark.parametrize(("cut", "reason"), CUTS)
async def test_a_reused_connection_cut_after_acceptance(wire: Wire, vendor: Start, cut: Act, reason: str, body: bytes) -> None:
    act = cut if not body else on_second(cut)  # without a body, a connection is never used again
    there = await vendor(act)
    if body:
        assert isinstance(await wire.exchange(post(there.url), later()), Response)
    got = await wire.exchange(post(there.url, body), later())
    assert isinstance(got, Lost)
    assert [arrival.nth for arrival in there.arrivals] == ([1, 2] if body else [1])


async def test_a_post_without_a_body_does_not_go_over_a_used_connection(wire: Wire, vendor: Start) -> None:
    there = await vendor(on_second(says_and_closes()))
    got = [await wire.exchange(post(there.url, body), later()) for body in (b"{}", b"")]
    assert all(isinstance(each, Response) for each in got)
    assert [arrival.connection for arrival in there.arrivals] == [1, 2]


@pytest.mark.parametrize("connections", [1, 64])
async def test_a_connection_closed_while_idle_costs_nothing(vendor: Start, connections: int) -> None:
    wire, there = Wire(connections), await vendor(says_and_closes(OK))
    for number in range(5):
        there.closed.clear()
        assert isinstance(await wire.exchange(post(there.url, b"%d" % number), later()), Response)
        await there.closed.wait()  # it did not say that it would
    assert [arrival.body for arrival in there.arrivals] == [b"0", b"1", b"2", b"3", b"4"]
    await wire.close()


@pytest.mark.parametrize("act", [keeps_silent, stops_in_the_headers])
async def test_no_answer_in_time(wire: Wire, vendor: Start, act: Act) -> None:
    there = await vendor(act)
    assert await wire.exchange(post(there.url), later(100_000)) == Lost("127.0.0.1 did not answer in time")
    assert len(there.arrivals) == 1


async def test_no_connection_in_time(wire: Wire) -> None:
    with socket.socket() as deaf:  # a full backlog: the kernel answers nobody any more
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        others = [socket.socket() for _ in range(4)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(deaf.getsockname())
        got = await wire.exchange(post(f"http://127.0.0.1:{deaf.getsockname()[1]}/"), later(150_000))
        for other in others:
            other.close()
    assert got == Unsent("no connection to 127.0.0.1 in time")


async def test_too_long_an_answer(vendor: Start) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"z" * 1024 + b"\r\n0\r\n\r\n"
    for said in (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"z" * 1001, chunked):
        small = Wire(max_answer=1000)
        there = await vendor(answers(said))
        assert isinstance(await small.exchange(post(there.url), later()), Lost)
        assert len(there.arrivals) == 1
        await small.close()


async def test_a_used_up_lease_sends_nothing(wire: Wire, vendor: Start) -> None:
    there = await vendor(answers())
    written: list[str] = []
    got = await wire.exchange(post(there.url), boottime() - 1, lambda: written.append("before"))
    assert got == Unsent("the lease was used up before the request could start")
    assert (there.arrivals, written) == ([], [])


async def test_waiting_for_a_slot_does_not_outlive_the_lease(vendor: Start) -> None:
    narrow, there = Wire(connections=1), await vendor(keeps_silent)
    holding = asyncio.create_task(narrow.exchange(post(there.url), later()))
    await there.arrived.wait()
    assert isinstance(await narrow.exchange(post(there.url), later(50_000)), Unsent)
    assert len(there.arrivals) == 1
    await narrow.close()
    assert await holding == Lost("Campana is stopping")


async def test_before_runs_once_and_before_the_arrival(wire: Wire, vendor: Start) -> None:
    story: list[str] = []

    async def act(arrival: Arrival, writer: asyncio.StreamWriter) -> bool:
        story.append("arrival")
        return await answers()(arrival, writer)

    there = await vendor(act)
    await wire.exchange(post(there.url), later(), lambda: story.append("before"))
    assert story == ["before", "arrival"]


async def test_a_failing_journal_sends_nothing(vendor: Start) -> None:
    narrow, there = Wire(connections=1), await vendor(answers())

    def full() -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        await narrow.exchange(post(there.url), later(), full)
    assert there.arrivals == []
    assert isinstance(await narrow.exchange(post(there.url), later()), Response)  # the slot is free again
    await narrow.close()


async def test_a_process_that_stood_still_past_its_lease_sends_nothing(
    wire: Wire, vendor: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between the look at the clock and the first byte: by then somebody else may have taken the message over."""
    there = await vendor(answers())
    monkeypatch.setattr("campana.wire.handle.boottime", lambda: boottime() + 2 * SOON)
    got = await wire.exchange(post(there.url), later())
    assert got == Unsent("the lease was used up before the request could leave")
    assert [arrival.body for arrival in there.arrivals if arrival.body] == []
    monkeypatch.undo()
    assert isinstance(await wire.exchange(post(there.url), later()), Response)


async def test_a_cancelled_exchange_frees_its_slot(vendor: Start) -> None:
    narrow, there = Wire(connections=1), await vendor(keeps_silent)
    under_way = asyncio.create_task(narrow.exchange(post(there.url), later()))
    await there.arrived.wait()
    in_line = [asyncio.create_task(narrow.exchange(post(there.url, b"%d" % n), later())) for n in range(3)]
    await asyncio.sleep(0)
    in_line[0].cancel()
    under_way.cancel()
    assert isinstance((await asyncio.gather(under_way, return_exceptions=True))[0], asyncio.CancelledError)
    there.act = answers()
    got = await asyncio.gather(*in_line, return_exceptions=True)
    assert [type(each) for each in got] == [asyncio.CancelledError, Response, Response]
    await there.closed.wait()  # the socket of the cancelled one is gone
    assert [arrival.body for arrival in there.arrivals[1:]] == [b"1", b"2"]
    await narrow.close()


async def test_a_closed_wire_sends_nothing(wire: Wire, vendor: Start) -> None:
    there = await vendor(answers())
    await wire.exchange(post(there.url), later())
    await wire.close()
    await wire.close()
    assert await wire.exchange(post(there.url), later()) == Unsent("Campana is stopping")
    assert len(there.arrivals) == 1


async def test_only_trusted_certificates(wire: Wire) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    there, trusting = Vendor(answers()), Wire(ca_file=str(TLS / "certificate.pem"))
    server = await there.serve(context)
    refused = await wire.exchange(post(there.url), later())
    assert isinstance(refused, Unsent)
    assert refused.reason.startswith("no secure connection to 127.0.0.1: ")
    assert there.arrivals == []
    assert isinstance(await trusting.exchange(post(there.url), later()), Response)
    await trusting.close()
    server.close()


async def test_no_proxy_by_surprise(vendor: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    there, proxy = await vendor(answers()), await vendor(answers())
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    direct, given = Wire(), Wire(proxy=f"http://127.0.0.1:{proxy.port}")
    await direct.exchange(post(there.url), later())
    assert (len(there.arrivals), len(proxy.arrivals)) == (1, 0)
    await given.exchange(post(there.url), later())
    assert (len(there.arrivals), len(proxy.arrivals)) == (1, 1)
    await direct.close()
    await given.close()


def test_a_record_without_secrets() -> None:
    headers = (("Authorization", "Basic QUM6cw=="), ("X-Trace", "key s3/cr\u00e9t+"), ("Accept", "*/*"))
    body = b'{"key":"s3/cr\\u00e9t+"} form=s3%2Fcr%C3%A9t%2B tail=\xff'
    got = redacted(Request("POST", "https://u:p@api.example/x?k=s3%2Fcr%C3%A9t%2B", headers, body), ["s3/cr\u00e9t+", ""])
    assert got == {
        "method": "POST",
        "url": "https://***@api.example/x?k=***",
        "headers": [["Authorization", "***"], ["X-Trace", "key ***"], ["Accept", "*/*"]],
        "body": '{"key":"***"} form=*** tail=\ufffd',
    }
