"""Who gets where: every route as every role, as the owner of another workspace, and as nobody."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar, get
from litestar.handlers import HTTPRouteHandler
from sqlalchemy import insert

from campana.core.access import Permission, Role, may
from campana.core.ids import Id, derived_id
from campana.store import campaigns, schema, users, workspaces
from campana.web.access import COOKIE, NEEDS, Unguarded, guard, next_of, require_needs
from campana.web.app import ROUTES, create_app

_spec = importlib.util.spec_from_file_location("world", Path(__file__).parents[1] / "browser" / "world.py")
worlds: Any = importlib.util.module_from_spec(_spec)  # type: ignore[arg-type]
_spec.loader.exec_module(worlds)  # type: ignore[union-attr]


def is_stream(route: Any) -> bool:
    """A file is none, though it is not compressed either: whoever opens its address signs in first, and then gets it."""
    return bool(route.opt.get("uncompressed")) and not route.opt.get("file")


WHO = [*Role, worlds.STRANGER, ""]
# A page for everybody answers nobody like anybody; all others are asked for what they need.
ROUTE_TABLE = sorted(
    ((method, path, route.opt[NEEDS], is_stream(route)) for route in ROUTES for path in route.paths
     for method in route.http_methods if method != "OPTIONS"),
    key=lambda row: (row[1], row[0]),
)  # fmt: skip


@pytest.fixture
def world() -> Iterator[Any]:
    world = worlds.World()
    yield world
    world.close()


def asking(app: Any, who: str, cookies: dict[str, str] | None = None) -> httpx.AsyncClient:
    """A browser in which somebody is signed in; "" is nobody."""
    cookies = (cookies or {}) | ({COOKIE: worlds.token(who)} if who else {})
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", cookies=cookies)


@pytest.fixture
async def theirs(world: Any) -> dict[str, Id]:
    """Objects of the other workspace, by the name that addresses call them."""
    now, here = worlds.NINE, worlds.ELSEWHERE
    campaign = await world.db.run(campaigns.create, here, "Secret offer", "one-time", "{}", [], now)
    integration = derived_id("their integration")

    def make(c: Any) -> Id:
        row = {"id": integration, "workspace_id": here, "name": "theirs", "kind": "twilio_sms", "hook": "theirs"}
        c.execute(insert(schema.integration).values(row | {"credentials": b"", "changed_at": now, "created_at": now}))
        found: Id = c.execute(schema.membership.select().where(schema.membership.c.workspace_id == here)).one().user_id
        return found

    person = await world.db.run(make)
    return {"campaign": campaign, "integration": integration, "person": person, "workspace": here}


def address(path: str, ids: dict[str, Id]) -> str:
    """The path with ids in it: those given, else one that nothing has."""
    path = re.sub(r"\{\w+:int\}", "1", path)
    return re.sub(r"\{(\w+):\w+\}", lambda found: ids.get(found[1], derived_id("nothing")).hex(), path)


async def form_of(app: Any) -> tuple[str, dict[str, str]]:
    """The token of a form, and the cookie that goes with it: of nobody in particular."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
        page = await http.get("/sign-in")
        found = re.search(r'name="_csrf_token" value="(\w{64,})"', page.text)
        assert found
        return found[1], {name: value for name, value in http.cookies.items() if name.startswith("form-")}


async def ask(http: httpx.AsyncClient, method: str, path: str, form: str, **headers: str) -> httpx.Response:
    """Asks as a browser does: forms carry their token. Of a stream, which has no end, only its beginning is waited for."""
    if path == "/campaigns/stream":
        return await begin_of(http, path, headers)
    data = {"_csrf_token": form} if method == "POST" else None
    return await http.request(method, path, data=data, headers={"accept": "text/html", **headers})


async def begin_of(http: httpx.AsyncClient, path: str, headers: dict[str, str]) -> httpx.Response:
    """The status and headers of a stream."""
    app, begun = http._transport.app, asyncio.get_running_loop().create_future()  # type: ignore[attr-defined]
    sent = {"host": "localhost", "cookie": "; ".join(f"{name}={value}" for name, value in http.cookies.items()), **headers}
    raw = [(name.encode(), value.encode()) for name, value in sent.items()]
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": raw}
    scope |= {"http_version": "1.1", "scheme": "http", "server": ("localhost", 80), "client": ("127.0.0.1", 1), "root_path": ""}

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            begun.set_result(message)

    asked = asyncio.create_task(app(scope, receive, send))
    start = await begun
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    return httpx.Response(start["status"], headers=start["headers"])


def test_every_handler_says_what_it_needs() -> None:
    require_needs(ROUTES)
    assert len(ROUTE_TABLE) > 40
    for_everybody = {path for _, path, needs, _ in ROUTE_TABLE if needs is None}
    assert for_everybody <= {"/static/{name:str}", "/sign-in", "/sign-in/code", "/sign-in/provider", "/sign-in/provider/back",
                             "/forgotten", "/links/{token:str}"}  # fmt: skip


def test_a_handler_that_does_not_say_what_it_needs_is_refused() -> None:
    @get("/open-to-all")
    async def forgot() -> None: ...

    @get("/word", needs="view")
    async def wrong() -> None: ...

    for handler in (forgot, wrong):
        with pytest.raises(Unguarded, match="does not say what it needs"):
            require_needs([handler])


async def test_what_the_framework_adds_by_itself_is_guarded() -> None:
    app = Litestar(route_handlers=[], guards=[guard])
    for route in app.routes:
        for handler in getattr(route, "route_handlers", []):
            assert isinstance(handler, HTTPRouteHandler)
            assert NEEDS not in handler.opt  # which the guard takes for the most


@pytest.mark.parametrize("who", WHO)
async def test_every_route_lets_in_whom_it_needs_and_nobody_else(world: Any, who: str) -> None:
    app = world.app()
    form, cookies = await form_of(app)
    role = Role.OWNER if who == worlds.STRANGER else Role(who) if who else None
    for method, path, needs, stream in ROUTE_TABLE:
        if needs is None:
            continue
        async with asking(app, who, cookies) as http:
            answer = await ask(http, method, address(path, {}), form)
            if role is None:
                expected = (401, None) if stream else (303, "/sign-in")
                went = answer.headers.get("location")
                assert (answer.status_code, went and went.partition("?")[0]) == expected, (method, path)
            elif not may(role, needs):
                assert answer.status_code == 403, (method, path)
                assert "Your role does not allow this" in answer.text
            else:
                assert answer.status_code not in (401, 403, 405, 500), (method, path, answer.text[:2000])
        if who and path.endswith(("/end", "/sign-out", "/account/password")):
            world.reset()  # the session may be over


async def test_nobody_gets_a_fragment_or_a_stream(world: Any) -> None:
    app = world.app()
    form, cookies = await form_of(app)
    async with asking(app, "", cookies) as http:
        for method, path, needs, _ in ROUTE_TABLE:
            answer = await ask(http, method, address(path, {}), form, **{"hx-request": "true"})
            assert needs is None or answer.status_code == 401, (method, path)
            assert needs is None or "location" not in answer.headers


async def test_objects_of_another_workspace_are_not_there(world: Any, theirs: dict[str, Id]) -> None:
    app, tried = world.app(), 0
    form, cookies = await form_of(app)
    for method, path, needs, _ in ROUTE_TABLE:
        names = set(re.findall(r"\{(\w+):", path))
        if needs is None or not names & set(theirs):
            continue
        tried += 1
        async with asking(app, Role.OWNER, cookies) as http:
            answer = await ask(http, method, address(path, theirs), form)
            assert answer.status_code == 404, (method, path, answer.status_code)
            assert "Secret offer" not in answer.text
    assert tried > 10


async def test_an_expired_a_forged_and_a_disabled_session_are_nobody(world: Any) -> None:
    app = world.app()
    for cookie in ("", "0" * 64, "session-of-owner; x", "' OR 1=1 --"):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
            answer = await http.get("/campaigns", headers={"cookie": f"{COOKIE}={cookie}"})
            assert (answer.status_code, cookie) == (200 if cookie.endswith("; x") else 303, cookie)
    await world.db.run(lambda c: c.execute(schema.user.update().values(disabled_at=1)))
    async with asking(app, Role.OWNER) as http:
        assert (await http.get("/campaigns")).status_code == 303


async def test_a_store_that_is_away_is_no_sign_out(world: Any) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route")

    app = create_app(replace(world.console(), read=away))
    async with asking(app, Role.OWNER) as http:
        assert (await http.get("/campaigns")).status_code == 500


@pytest.mark.parametrize(
    ("asked", "goes_to"),
    [
        ("/campaigns?q=a", "/campaigns?q=a"),
        ("", "/campaigns"),
        ("//evil.example", "/campaigns"),
        ("/\\evil.example", "/campaigns"),
        ("/\t/evil.example", "/campaigns"),
        ("https://evil.example", "/campaigns"),
        ("javascript:alert(1)", "/campaigns"),
    ],
)
def test_a_sign_in_leads_to_us_and_nowhere_else(asked: str, goes_to: str) -> None:
    assert next_of(asked) == goes_to


@pytest.fixture
async def http(world: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(world.app(), Role.VIEWER) as found:
        yield found


async def test_what_a_role_may_not_do_is_not_on_the_page(world: Any, http: httpx.AsyncClient) -> None:
    campaign = f"/campaigns/{world.lines[0].campaign_id.hex()}"
    for path in ("/campaigns", campaign):
        page = (await http.get(path)).text
        assert "/settings/people" not in page
        assert "/workspaces/new" not in page
    assert 'id="pause"' not in page
    async with asking(world.app(), Role.OPERATOR) as operator:
        assert 'id="pause"' in (await operator.get(campaign)).text
    async with asking(world.app(), Role.OWNER) as owner:
        page = (await owner.get("/campaigns")).text
        assert "/settings/audit" in page
        assert "/workspaces/new" in page
    assert Permission.OWN > Permission.ADMIN


async def test_an_open_stream_ends_with_its_session(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campana.web.access.LOOK_UP", 0.0)
    app, pieces, over = world.app(), asyncio.Queue[bytes](), asyncio.Event()
    headers = [(b"host", b"localhost"), (b"cookie", f"{COOKIE}={worlds.token(Role.VIEWER)}".encode())]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/campaigns/stream",
        "raw_path": b"",
        "query_string": b"",
        "headers": headers,
    }
    scope |= {"http_version": "1.1", "scheme": "http", "server": ("localhost", 80), "client": ("127.0.0.1", 1), "root_path": ""}

    async def receive() -> Any:
        await over.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message.get("body"):
            pieces.put_nowait(message["body"])
        elif message.get("more_body") is False:
            over.set()

    world.loop = asyncio.get_running_loop()
    asked = asyncio.create_task(app(scope, receive, send))
    assert b"Visit reminders" in await pieces.get()
    world.add("Seen")
    assert b"Seen" in await pieces.get()
    viewer = await world.db.read(users.find, "viewer@example.com")
    await world.db.run(workspaces.leave, worlds.WORKSPACE, viewer.id)
    world.add("Secret")
    await asyncio.wait_for(asked, 20)
    assert pieces.empty()
