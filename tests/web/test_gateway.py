"""The gateway behind a real server, over real sockets, with real signatures."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
import uvicorn
from pydantic import SecretStr

from campana.channels.contract import MAX_HOOK, Channel, Settings
from campana.clock import VirtualClock
from campana.core.exchange import Answer, Hook, Request
from campana.core.message import Event, Reach, Rendered
from campana.store.database import StoreAway, StoreTrouble
from campana.store.integrations import Heard
from campana.web.gateway import Gateway, HookRow
from campana.web.hosts import address_of, find_address, is_exposed, is_local, named, names_of

PUBLIC = "https://hooks.example.com/campana"
NOW = 1_790_000_000_000_000
SECRET = "s3cret"


class BellSettings(Settings):
    """A vendor that signs address and body, like the real ones."""

    secret: SecretStr


def signature(url: str, body: bytes) -> str:
    return hmac.new(SECRET.encode(), url.encode() + body, hashlib.sha256).hexdigest()


def verify(settings: BellSettings, hook: Hook) -> bool:
    given = hook.headers["x-bell-signature"]  # KeyError without one: the gateway must bear it
    key = settings.secret.get_secret_value().encode()
    return hmac.compare_digest(hmac.new(key, hook.url.encode() + hook.body, hashlib.sha256).hexdigest(), given)


def challenge(settings: BellSettings, hook: Hook) -> Answer | None:
    return Answer(200, b"<b>1158201444</b>") if hook.url.endswith(f"?token={settings.secret.get_secret_value()}") else None


def parse_webhook(settings: BellSettings, hook: Hook) -> tuple[list[Event], Answer]:
    body = json.loads(hook.body)
    if body == "a case nobody thought of":
        raise KeyError("status")
    if body == "not for us":
        return [], Answer(422, b"not for us")
    return [], Answer(200, b"<Response/>", "text/xml" if body != "evil" else "text/xml\r\nX-Evil: 1")


def nothing(*_: Any) -> Any:
    return []


BELL = Channel(
    kind="bell",
    label="Bell",
    reaches=Reach.PHONE,
    settings=BellSettings,
    alias_kind="phone",
    weight="messages",
    pace=1.0,
    default_deadline=1,
    receipts=frozenset(),
    suppresses="sms",
    build_request=lambda settings, messages: Request("POST", "http://127.0.0.1/"),
    parse_response=nothing,
    verify=verify,
    parse_webhook=parse_webhook,
    compile=lambda content, template: lambda row: Rendered(),
    check=lambda settings: Request("GET", "http://127.0.0.1/"),
    challenge=challenge,
)
CHIME = replace(BELL, kind="chime", max_hook=64)
ACCOUNTS = {channel.kind: (channel, BellSettings(secret=SecretStr(SECRET))) for channel in (BELL, CHIME)}


class Store:
    """Keeps rows when it is let to; a body with `bad` in it breaks its transaction."""

    def __init__(self) -> None:
        self.kept: list[HookRow] = []
        self.batches = 0
        self.may = asyncio.Event()
        self.may.set()
        self.asked = asyncio.Event()
        self.trouble: Exception | None = None

    async def write(self, rows: list[HookRow]) -> None:
        self.asked.set()
        await self.may.wait()
        self.batches += 1
        if self.trouble:
            raise self.trouble
        if any(b"bad" in row.body for row in rows):
            raise ValueError("a bad row")
        self.kept += rows


class House:
    """A gateway that listens."""

    def __init__(self, port: int, gateway: Gateway, store: Store, woken: list[int]) -> None:
        self.port, self.gateway, self.store, self.woken = port, gateway, store, woken

    async def ask(self, *pieces: bytes) -> tuple[int, dict[str, str], bytes]:
        """Sends raw bytes over a connection of their own; returns status, headers and body of the answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
        answer = await read_answer(reader)
        writer.close()
        return answer

    async def post(self, body: bytes, target: str = "/hooks/bell", signed: bytes | None = None, **more: str) -> int:
        return (await self.ask(request("POST", target, body, signed, **more)))[0]


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers.get("content-length", 0)))


def request(method: str, target: str, body: bytes = b"", signed: bytes | None = None, **more: str) -> bytes:
    url = PUBLIC + target
    headers = {
        "Host": "evil.example",
        "Content-Length": str(len(body)),
        "X-Bell-Signature": signature(url, body if signed is None else signed),
        "Authorization": "Basic eA==",
        "Cookie": "a=b",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items() if value)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@asynccontextmanager
async def serving(app: Callable[..., Any]) -> AsyncIterator[int]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[bound])
        yield bound.getsockname()[1]
        await server.shutdown(sockets=[bound])


@pytest.fixture
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    store, woken = Store(), []
    gateway = Gateway(
        lambda name: ACCOUNTS.get(name),
        lambda: PUBLIC + "/",
        store.write,
        VirtualClock(NOW),
        lambda: woken.append(len(store.kept)),
        **getattr(request, "param", {}),
    )
    async with serving(gateway) as port:
        yield House(port, gateway, store, woken)


async def test_a_genuine_webhook_is_kept_and_thanked_for(house: House) -> None:
    body, target = b'{"text":"caf\\u00e9 \xc3\xa9"}', "/hooks/bell?id=a%2Fb&x=1+2&empty="
    status, headers, said = await house.ask(request("POST", target, body))
    assert (status, headers["content-type"], said) == (200, "text/xml", b"<Response/>")
    [row] = house.store.kept
    assert (row.integration, row.method, row.url, row.body, row.at) == ("bell", "POST", PUBLIC + target, body, NOW)
    assert "x-bell-signature" in row.headers
    assert not {"authorization", "cookie"} & row.headers.keys()
    assert len(row.id) == 16
    assert house.woken == [1]


@pytest.mark.parametrize(
    ("raw", "status", "refused"),
    [
        pytest.param(request("POST", "/hooks/nobody", b"1"), 404, 0, id="unknown"),
        pytest.param(request("POST", "/hooks/", b"1"), 404, 0, id="nameless"),
        pytest.param(request("POST", "/hooks/bell/more", b"1"), 404, 0, id="below"),
        pytest.param(request("POST", "/hooks/bell%2Fmore", b"1"), 404, 0, id="below, hidden"),
        pytest.param(request("PUT", "/hooks/bell", b"1"), 405, 0, id="put"),
        pytest.param(request("DELETE", "/hooks/bell"), 405, 0, id="delete"),
        pytest.param(request("POST", "/hooks/bell", b"1", signed=b"2"), 403, 1, id="forged"),
        pytest.param(request("POST", "/hooks/bell", b"1", X_Bell_Signature=""), 403, 1, id="not signed"),
        pytest.param(request("POST", "/hooks/bell", b"1", X_Bell_Signature="\xe9"), 403, 1, id="strange signature"),
        pytest.param(request("POST", "/hooks/bell?a=1", b"1").replace(b"a=1", b"a=2"), 403, 1, id="another address"),
        pytest.param(request("POST", "/hooks/bell", b"{"), 400, 0, id="garbage"),
        pytest.param(request("POST", "/hooks/bell", b"\xff\xfe"), 400, 0, id="not text"),
        pytest.param(request("POST", "/hooks/bell", b'"not for us"'), 422, 0, id="the channel says no"),
        pytest.param(request("POST", "/hooks/bell", b'"a case nobody thought of"'), 500, 0, id="our mistake"),
        pytest.param(request("GET", "/hooks/bell?token=wrong"), 403, 1, id="wrong challenge"),
    ],
)
async def test_what_is_not_kept(house: House, raw: bytes, status: int, refused: int) -> None:
    got, headers, _ = await house.ask(raw)
    assert (got, house.gateway.refused.total()) == (status, refused)
    assert (house.store.kept, house.woken) == ([], [])
    assert headers.get("allow") == ("GET, POST" if status == 405 else None)


async def test_a_head_gets_no_body(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(request("HEAD", "/hooks/bell", Connection="close"))
    assert (await reader.read()).partition(b"\r\n\r\n")[2] == b""
    writer.close()


async def test_what_is_refused_is_told_in_one_writing_until_a_good_one_comes() -> None:
    told: list[Heard] = []

    async def hear(news: list[Heard]) -> None:
        told.extend(news)

    clock = VirtualClock(NOW)
    gateway = Gateway(ACCOUNTS.get, lambda: PUBLIC, Store().write, clock, hear=hear, hear_seconds=60)
    async with serving(gateway) as port:
        house = House(port, gateway, Store(), [])
        for number in range(3):
            clock.advance_to(NOW + number)
            assert await house.post(b"1", signed=b"2") == 403
        assert await house.post(b"1", "/hooks/nobody") == 404
        assert await house.post(b"1", "/hooks/chime") == 200
        assert await house.post(b"1", "/hooks/chime", signed=b"2") == 403
        status, _, _ = await house.ask(request("GET", "/hooks/bell?token=wrong"))  # somebody looks at the address: no message
        assert status == 403
    assert told == []
    await gateway.close()
    assert told == [Heard("bell", False, 3, NOW, NOW + 2), Heard("chime", True, 1, NOW + 2, NOW + 2)]


async def test_a_store_that_is_away_hinders_no_webhook() -> None:
    async def hear(news: list[Heard]) -> None:
        raise StoreAway("gone")

    gateway = Gateway(ACCOUNTS.get, lambda: PUBLIC, Store().write, VirtualClock(NOW), hear=hear, hear_seconds=0)
    async with serving(gateway) as port:
        house = House(port, gateway, Store(), [])
        assert [await house.post(b"1", signed=b"2") for _ in range(3)] == [403, 403, 403]
        assert await house.post(b"1") == 200
    await gateway.close()


async def test_a_challenge_is_answered_as_text(house: House) -> None:
    status, headers, said = await house.ask(request("GET", f"/hooks/bell?token={SECRET}"))
    assert (status, said) == (200, b"<b>1158201444</b>")
    assert (headers["content-type"], headers["x-content-type-options"]) == ("text/plain; charset=utf-8", "nosniff")
    assert house.store.kept == []


async def test_no_header_is_smuggled_into_the_answer(house: House) -> None:
    status, headers, _ = await house.ask(request("POST", "/hooks/bell", b'"evil"'))
    assert (status, headers["content-type"], "x-evil" in headers) == (200, "text/plain", False)


def chunked(*pieces: bytes) -> list[bytes]:
    body = b"".join(pieces)
    head = request("POST", "/hooks/bell", b"", body, Content_Length="", Transfer_Encoding="chunked")
    return [head.replace(b"Content-Length: 0\r\n", b""), *(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)]


async def test_a_body_in_pieces(house: House) -> None:
    status, _, _ = await house.ask(*chunked(b'{"a":', b"[1,", b"2]}"), b"0\r\n\r\n")
    assert (status, [row.body for row in house.store.kept]) == (200, [b'{"a":[1,2]}'])


async def test_the_longest_body_is_taken_and_a_longer_one_is_not(house: House) -> None:
    longest = b'"' + b"x" * (MAX_HOOK - 2) + b'"'
    assert await house.post(longest) == 200
    assert await house.post(longest + b" ") == 413
    status, headers, _ = await house.ask(*chunked(b"x" * 1_000_000, b"x" * 1_000_000, b"x" * 1_000_000, b"x" * 1_000_000))
    assert (status, headers["connection"]) == (413, "close")
    assert len(house.store.kept) == 1
    assert [await house.post(b"1".rjust(length), "/hooks/chime") for length in (64, 65)] == [200, 413]  # as its channel says


@pytest.mark.parametrize("house", [{"body_seconds": 0.05}], indirect=True)
async def test_a_body_that_does_not_come(house: House) -> None:
    status, headers, _ = await house.ask(request("POST", "/hooks/bell", b'{"a":1}')[:-3])
    assert (status, headers["connection"], house.store.kept) == (408, "close", [])


async def test_a_vendor_that_goes_midway_leaves_nothing(house: House) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(request("POST", "/hooks/bell", b'{"a":1}')[:-3])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await house.post(b"2") == 200
    assert [row.body for row in house.store.kept] == [b"2"]


async def test_thanks_come_only_after_the_commit(house: House) -> None:
    house.store.may.clear()
    asking = asyncio.create_task(house.post(b"1"))
    await house.store.asked.wait()
    assert (asking.done(), house.store.kept, house.woken) == (False, [], [])
    house.store.may.set()
    assert await asking == 200
    assert house.woken == [1]


async def test_sixty_four_at_once_each_told_of_its_own(house: House) -> None:
    async def one(number: int) -> list[int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        got = []
        for body in (b'"%d"' % number, b'"bad %d"' % number, b'"%d"' % number):  # the last one is a repeat: kept twice
            writer.write(request("POST", "/hooks/bell", body))
            got.append((await read_answer(reader))[0])
        writer.close()
        return got

    assert await asyncio.gather(*(one(number) for number in range(64))) == [[200, 500, 200]] * 64
    assert sorted(row.body for row in house.store.kept) == sorted([b'"%d"' % number for number in range(64)] * 2)
    assert len({row.id for row in house.store.kept}) == 128


@pytest.mark.parametrize("house", [{"most_waiting": 2}], indirect=True)
async def test_a_full_queue_asks_to_come_again(house: House) -> None:
    house.store.may.clear()
    asking = [asyncio.create_task(house.ask(request("POST", "/hooks/bell", b"%d" % number))) for number in range(3)]
    answered, waiting = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    assert [(one.result()[0], one.result()[1]["retry-after"]) for one in answered] == [(503, "5")]
    house.store.may.set()
    assert [(await one)[0] for one in waiting] == [200, 200]
    assert len(house.store.kept) == 2
    assert await house.post(b"3") == 200


@pytest.mark.parametrize(
    ("trouble", "status"),
    [(StoreTrouble("The disk of the database is full."), 503), (OSError("gone"), 500), (RuntimeError("a lock"), 500)],
)
async def test_a_failing_store_is_never_thanked_for(house: House, trouble: Exception, status: int) -> None:
    house.store.trouble = trouble
    assert await house.post(b"1") == status
    assert house.woken == []
    house.store.trouble = None
    assert await house.post(b"1") == 200


async def test_a_closed_gateway_takes_nothing(house: House) -> None:
    await house.gateway.close()
    assert await house.post(b"1") == 503


async def pages(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"page"})


NAMES = names_of("192.168.1.5", "https://Campana.example.com/")
ASKED: list[tuple[str, str, dict[str, str], int]] = [
    ("/", "localhost:8700", {}, 200),
    ("/", "LocalHost", {}, 200),
    ("/", "127.0.0.1:1", {}, 200),
    ("/", "127.9.9.9", {}, 200),
    ("/", "[::1]:8700", {}, 200),
    ("/", "campana.example.com", {}, 200),
    ("/", "CAMPANA.example.com:443", {"X_Forwarded_For": "1.2.3.4"}, 200),
    ("/", "192.168.1.5:8700", {}, 200),
    ("/hooks/bell", "hooks.example.com", {}, 200),
    ("/hooks/bell", "hooks.example.com", {"X_Forwarded_For": "1.2.3.4"}, 200),
    ("/", "hooks.example.com", {}, 403),
    ("/", "", {}, 403),
    ("/", "localhost.evil.example", {}, 403),
    ("/", "evil.example:localhost", {}, 403),
    ("/", "campana.example.com.evil.example", {}, 403),
    ("/", "127.0.0.1.nip.io", {}, 403),
    ("/", "0.0.0.0", {}, 403),  # noqa: S104
    ("/", "2130706433", {}, 403),
    ("/", "[::ffff:1.2.3.4]", {}, 403),
    ("/hooks/", "hooks.example.com", {}, 403),
    ("/hooks/../", "hooks.example.com", {}, 403),
    ("/hooks/bell/../../campaigns", "hooks.example.com", {}, 403),
    ("/hooks", "hooks.example.com", {}, 403),
    ("/HOOKS/bell", "hooks.example.com", {}, 403),
]


async def test_pages_are_shown_under_our_names_only_and_webhooks_come_under_any() -> None:
    async with serving(named(NAMES, pages)) as port:
        for target, host, more, status in ASKED:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            version = b"HTTP/1.1" if host else b"HTTP/1.0"
            writer.write(request("GET", target, Host=host, **more).replace(b"HTTP/1.1", version, 1))
            got, _, said = await read_answer(reader)
            writer.close()
            assert (target, host, more, got) == (target, host, more, status)
            assert (b"CAMPANA_PUBLIC_URL" in said) == (status == 403)


async def test_two_hosts_are_no_host() -> None:
    async with serving(named(NAMES, pages)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert (await read_answer(reader))[0] in (400, 403)
        writer.close()


async def test_a_websocket_under_another_name_is_turned_away() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "websocket", "path": "/live", "headers": [(b"host", b"evil.example")]}
    await named(NAMES, pages)(scope, nothing, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


def asked_from(client: str, host: str = "localhost", **headers: str) -> Any:
    """A request as the server hands it on."""
    given = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return {"client": (client, 1), "headers": [(name.encode(), value.encode()) for name, value in given.items()]}


@pytest.mark.parametrize(
    ("scope", "local", "address"),
    [
        (asked_from("127.0.0.1"), True, "127.0.0.1"),
        (asked_from("::1", "[::1]:8700"), True, "::1"),
        (asked_from("10.0.0.9"), False, "10.0.0.9"),  # it says localhost, and is not here
        (asked_from("127.0.0.1", "campana.example.com"), False, "127.0.0.1"),
        (asked_from("127.0.0.1", x_forwarded_for="203.0.113.7"), False, "203.0.113.7"),
        (asked_from("127.0.0.1", x_forwarded_for="6.6.6.6, 203.0.113.7"), False, "203.0.113.7"),  # the first it said itself
        (asked_from("127.0.0.1", x_forwarded_for="<b>"), False, "127.0.0.1"),
        (asked_from("10.0.0.9", x_forwarded_for="203.0.113.7"), False, "10.0.0.9"),  # nobody's word from elsewhere is taken
    ],
)
def test_who_asks_is_told_by_the_connection(scope: Any, local: bool, address: str) -> None:
    find_address(scope, ())
    assert (is_local(scope), address_of(scope)) == (local, address)


@pytest.mark.parametrize(
    ("host", "public_url", "exposed"),
    [
        ("127.0.0.1", None, False),
        ("0.0.0.0", "https://campana.example.com", False),  # noqa: S104
        ("0.0.0.0", "http://campana.example.com", True),  # noqa: S104
        ("192.168.1.5", None, True),
    ],
)
def test_passwords_in_the_open_are_noticed(host: str, public_url: str | None, exposed: bool) -> None:
    assert is_exposed(host, public_url) == exposed
