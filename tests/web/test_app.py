"""The console as an application: headers, errors, forms, languages, assets, and a server that stops when told."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
import structlog

from campana.core.access import Role
from campana.core.audience import REASONS
from campana.core.held import Held, Why
from campana.sources.forms import Limits
from campana.store import campaigns as store_campaigns
from campana.web.app import HEADERS, PortTaken, Refused, create_app, serve
from campana.web.bodies import FORMS, MARGIN, STRANGERS, most_of
from campana.web.console import assets, i18n
from campana.web.console.campaign_filters import PAGE, Wanted, show
from campana.web.console.progress import BUCKETS, POINTS, View, pace
from campana.web.visitor import Visitor

_spec = importlib.util.spec_from_file_location("world", Path(__file__).parents[1] / "browser" / "world.py")
worlds: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(worlds)

HOUR = 3_600_000_000
GONE = "0" * 32


@pytest.fixture
async def world():
    world = worlds.World()
    yield world
    world.close()


def client(app: Any, cookies: Any = None, **settings: Any) -> httpx.AsyncClient:
    """Asks the application without a socket between, signed in as the owner."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    cookies = cookies or {worlds.COOKIE: worlds.token()}
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", cookies=cookies, **settings)


@pytest.fixture
async def http(world):
    async with client(world.app()) as found:
        yield found


def home(world, number=0) -> str:
    return f"/campaigns/{world.lines[number].campaign_id.hex()}"


async def test_every_answer_carries_the_security_headers(http, world):
    paths = ["/", "/campaigns", home(world), assets.manifest()["console.css"], "/nothing", home(world) + "/audience.csv"]
    for path in paths:
        answer = await http.get(path)
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, path
    policy = HEADERS["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


async def test_pages_need_no_inline_script_or_style_and_have_no_dead_links(http, world):
    for path in ("/campaigns", home(world), "/nothing"):
        html = (await http.get(path)).text
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:", html)
        assert not re.search(r'href="#(?!main")', html)


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/nothing", 404, "The address may be old or mistyped"),
        (f"/campaigns/{GONE}", 404, "The address may be old or mistyped"),
        (f"/campaigns/{GONE}/stream", 404, "The address may be old or mistyped"),
        (f"/campaigns/{GONE}/audience.csv", 404, "The address may be old or mistyped"),
        ("/campaigns/not-an-id", 404, "The address may be old or mistyped"),
    ],
)
async def test_what_is_not_there_is_said_on_a_page(http, path, status, sentence):
    answer = await http.get(path)
    assert (answer.status_code, sentence in answer.text) == (status, True)
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_fault_of_ours_is_a_page_that_tells_no_secrets(world):
    async def fails(*_: object) -> None:
        raise RuntimeError("password=hunter2")

    async with client(create_app(replace(world.console(), read=fails))) as http:
        answer = await http.get("/campaigns")
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    assert "hunter2" not in answer.text


async def test_the_log_of_a_fault_holds_no_one_time_link(world):
    async def fails(*_: object) -> None:
        raise RuntimeError("away")

    with structlog.testing.capture_logs() as lines:
        async with client(create_app(replace(world.console(), read=fails))) as http:
            assert (await http.get("/links/5ecret5ecret")).status_code == 500
    assert [line["route"] for line in lines] == ["/links/{token}"]
    assert "5ecret" not in repr([{**line, "exc_info": ""} for line in lines])


class Flood(httpx.AsyncByteStream):
    """A body without an end, which does not say how long it is; what was taken of it is counted."""

    def __init__(self) -> None:
        self.taken = 0

    async def __aiter__(self):
        while self.taken < 64 << 20:
            self.taken += 16 << 10
            yield b"x" * (16 << 10)


FORM = {"content-type": "application/x-www-form-urlencoded", "accept": "text/html"}


@pytest.mark.parametrize(
    ("who", "status", "most"),
    [("", 303, STRANGERS), ("nobody-known", 303, STRANGERS), ("viewer", 413, FORMS), ("owner", 413, FORMS)],
)
@pytest.mark.parametrize("told", [True, False])
async def test_nobody_sends_more_than_they_may(world, who, status, most, told):
    cookies = {worlds.COOKIE: worlds.token(who) if who else "0"}
    async with client(world.app(), cookies=cookies) as http:
        for path in ("/sign-in", f"{home(world)}/audience/upload"):
            flood = Flood()
            length = {"content-length": str(most + 1)} if told else {"transfer-encoding": "chunked"}
            answer = await http.post(path, content=flood, headers=FORM | length)
            assert answer.status_code == status, path
            assert flood.taken <= (0 if told else most + (32 << 10)), path
        assert "That is too large" in answer.text or status == 303
        program = await http.post("/sign-in", content=Flood(), headers={**FORM, "accept": "application/json"})
        assert program.status_code == (401 if status == 303 else 413)


async def test_only_who_makes_campaigns_sends_a_file_up_to_the_limit(world):
    readings = SimpleNamespace(limits=Limits(file_bytes=1000))
    console = replace(world.console(), readings=readings)
    scope = {"type": "http", "path": f"{home(world)}/audience/upload"}
    for role, most in ((Role.EDITOR, 1000 + MARGIN), (Role.VIEWER, FORMS)):
        visitor = Visitor(b"", "", "", role, b"", "", "UTC", b"")
        assert most_of({**scope, "user": visitor}, console) == most
        assert most_of({**scope, "path": "/settings", "user": visitor}, console) == FORMS
    assert most_of({**scope, "user": None}, console) == STRANGERS


def token(html: str) -> str:
    """The form token of a page."""
    return re.search(r'name="_csrf_token" value="(\w{64,})"', html)[1]


@pytest.mark.parametrize(("action", "number"), [("pause", 0), ("resume", 1), ("finish", 0)])
async def test_actions_want_a_form_of_ours(http, world, action, number):
    path = home(world, number)
    refused = await http.post(f"{path}/{action}")
    assert (refused.status_code, world.pressed) == (403, [])
    assert "nothing was done" in refused.text
    page = await http.get(path)
    done = await http.post(f"{path}/{action}", data={"_csrf_token": token(page.text)})
    assert (done.status_code, done.headers["location"]) == (303, path)
    assert world.pressed == [(action, world.lines[number].campaign_id)]


async def test_a_form_of_before_a_restart_does_nothing_and_the_next_one_works(world):
    async with client(world.app()) as http:
        old = token((await http.get(home(world))).text)
        cookies = http.cookies
    async with client(create_app(world.console()), cookies=cookies) as http:
        assert (await http.post(home(world) + "/pause", data={"_csrf_token": old})).status_code == 403
        fresh = token((await http.get(home(world))).text)
        assert (await http.post(home(world) + "/pause", data={"_csrf_token": fresh})).status_code == 303
    assert len(world.pressed) == 1


async def test_an_action_of_nobody_is_not_found(http, world):
    page = await http.get(home(world))
    answer = await http.post(f"/campaigns/{GONE}/finish", data={"_csrf_token": token(page.text)})
    assert (answer.status_code, world.pressed) == (404, [])


async def test_a_refused_action_says_why(http, world):
    world.refusal = Refused("The campaign has ended already.")
    page = await http.get(home(world))
    answer = await http.post(home(world) + "/pause", data={"_csrf_token": token(page.text)})
    assert answer.status_code == 409
    assert "The campaign has ended already." in answer.text


@pytest.mark.parametrize(
    ("status", "offered"),
    [("sending", {"pause", "finish"}), ("paused", {"resume", "finish"}), ("sent", set()), ("ended", set()), ("draft", set())],
)
def test_only_what_can_be_done_is_offered(status, offered):
    assert View.of(worlds.figures(worlds.line("x", status))).can == offered


async def test_values_are_text_and_never_markup(http, world):
    name = "<script>alert(1)</script> \"' {{ 7 * 7 }}"
    world.lines[0] = replace(world.lines[0], name=name, tags=("<b>x</b>",))
    world.progress[world.lines[0].campaign_id] = replace(
        worlds.figures(world.lines[0]), held=(Held(Why.PAUSED, "<i>held</i>", "<i>held</i>"),), left_out={"<u>row</u>": 2}
    )
    for path in ("/campaigns?q=%3Cscript%3E&tag=%3Cimg+src%3Dx%3E", "/campaigns", home(world)):
        html = (await http.get(path)).text
        assert not re.search(r"<script>|<b>x|<i>held|<u>row|<img src=x", html)
    assert "&lt;script&gt;alert(1)" in html
    assert "{{ 7 * 7 }}" in html


@pytest.mark.parametrize(
    ("wanted", "accepted", "language"),
    [
        (None, "", "en"),
        (None, "fr-FR,fr", "en"),
        (None, "pt-PT,pt;q=0.9,en;q=0.8", "pt_BR"),
        (None, "en;q=0.4, es-MX;q=0.9", "es"),
        (None, "es;q=what, *", "en"),
        ("es", "pt-BR", "es"),
        ("xx", "pt-BR", "pt_BR"),
    ],
)
def test_the_language_is_the_chosen_one_else_the_nearest_we_speak(wanted, accepted, language):
    assert i18n.choose(wanted, accepted) == language


@pytest.mark.parametrize(
    ("asked", "goes_to", "kept"),
    [
        ("lang=es", "/campaigns", {"lang": "es"}),
        ("status=sent&theme=dark&q=a+b", "/campaigns?status=sent&q=a+b", {"theme": "dark"}),
        ("lang=klingon", "/campaigns", {}),
    ],
)
async def test_language_and_theme_are_kept_and_leave_the_address(http, asked, goes_to, kept):
    answer = await http.get(f"/campaigns?{asked}")
    assert (answer.status_code // 100, answer.headers["location"]) == (3, goes_to)
    assert {name: value for name, value in answer.cookies.items() if name in {"lang", "theme"}} == kept


@pytest.mark.parametrize(("accepted", "coding"), [("br, gzip", "br"), ("gzip", "gzip"), ("identity", None)])
async def test_assets_are_packed_once_and_cached_for_good(http, accepted, coding):
    path = assets.manifest()["console.css"]
    answer = await http.get(path, headers={"accept-encoding": accepted})
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/css")


@pytest.mark.parametrize("name", ["manifest.json", "..%2f..%2fapp.py", "%2e%2e", "nothing.js"])
async def test_only_built_files_are_served(http, name):
    assert (await http.get(f"/static/{name}")).status_code == 404


def test_a_package_that_was_not_built_says_so(tmp_path):
    with pytest.raises(assets.AssetsMissing, match="pip install -e"):
        assets.manifest(tmp_path)


async def test_pages_are_packed(http):
    answer = await http.get("/campaigns", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"


async def test_hooks_reach_the_gateway_and_nothing_else_does(world):
    reached: list[str] = []

    async def gateway(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["path"])
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with client(create_app(replace(world.console(), gateway=gateway))) as http:
        codes = [(await http.post(path)).status_code for path in ("/hooks/a", "/hooks/a/b", "/hooksy", "/x/hooks/a")]
    assert codes[:2] == [202, 202]
    assert reached == ["/hooks/a", "/hooks/a/b"]


async def test_the_server_stops_while_streams_are_open(world):
    world.loop = asyncio.get_running_loop()
    stop, bound = asyncio.Event(), world.loop.create_future()
    serving = asyncio.create_task(serve(world.app(), "127.0.0.1", 0, stop, bound.set_result))
    url = f"http://127.0.0.1:{await bound}{home(world)}/stream?lang=es"
    async with httpx.AsyncClient(cookies={worlds.COOKIE: worlds.token()}) as http, http.stream("GET", url) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        while "event: stats" not in await anext(lines):
            pass
        stop.set()
        rest = [line async for line in lines]
    await serving
    assert all(not line or line.startswith(("data:", "event:")) for line in rest)
    assert world.live.viewers == 0


async def test_a_taken_port_is_a_sentence(world):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port} is taken by another program. Stop it, or choose another"):
            await serve(world.app(), "127.0.0.1", port, asyncio.Event())


async def test_an_address_that_is_not_ours_is_a_sentence(world):
    with pytest.raises(PortTaken, match=r"Cannot listen on 192\.0\.2\.1 port 8700"):
        await serve(world.app(), "192.0.2.1", 8700, asyncio.Event())


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Wanted(), 7),
        (Wanted(status="paused"), 1),
        (Wanted(tag="december"), 2),
        (Wanted(tag="december", status="sent"), 1),
        (Wanted(text="OF recall"), 1),
        (Wanted(text="RENEWAL-off"), 1),
        (Wanted(text="nobody"), 0),
    ],
)
def test_the_list_shows_what_its_filters_take(wanted, names):
    shown = show(worlds.full_list(), wanted)
    assert (len(shown.lines), shown.total, shown.all) == (names, names, 7)


def test_chips_count_what_one_would_see():
    shown = show(worlds.full_list(), Wanted(status="sending"))
    assert dict(shown.statuses)["sent"] == 1
    assert dict(shown.tags) == {"december": 1, "visit-reminders": 1}
    assert show([], Wanted(status="paused", tag="gone")).tags == [("gone", 0)]


def test_a_long_list_has_pages_and_each_campaign_is_on_one_of_them():
    lines = [worlds.line(f"Campaign {number}") for number in range(2 * PAGE + 1)]
    pages = [show(lines, Wanted(page=page)) for page in (1, 2, 3, 4)]
    assert [each.more for each in pages] == [True, True, False, False]
    assert [line for each in pages for line in each.lines] == lines


def test_addresses_keep_what_is_not_changed():
    wanted = Wanted("sent", "são paulo", "a&b", 3)
    assert wanted.url(status="") == "/campaigns?tag=s%C3%A3o+paulo&q=a%26b"
    assert wanted.url(page=4) == "/campaigns?status=sent&tag=s%C3%A3o+paulo&q=a%26b&page=4"
    assert Wanted().url() == "/campaigns"


@pytest.mark.parametrize(
    ("minutes", "step", "points"),
    [
        ([], 1, []),
        ([(100, 7)], 1, [(99, 0), (100, 7)]),  # one point alone draws no line
        ([(100, 7), (103, 9)], 1, [(100, 7), (101, 0), (102, 0), (103, 9)]),
        ([(101, 10), (102, 4), (101 + POINTS, 6)], 2, None),
    ],
)
def test_the_pace_has_no_gaps(minutes, step, points):
    found = pace(minutes)
    assert found.step == step
    assert points is None or list(found.points) == points


@pytest.mark.parametrize("span", [1, 119, 120, 121, 1000, 20_000, 700_000])
def test_the_pace_loses_no_message_however_long_it_takes(span):
    minutes = [(7 + span * part // 4, 60 * part + 6) for part in range(5)]
    found = pace(sorted(dict(minutes).items()))
    assert found.step in BUCKETS
    assert len(found.points) <= POINTS + 1
    assert sum(count * found.step for _, count in found.points) == pytest.approx(sum(dict(minutes).values()), rel=0.01)


def test_outcomes_nobody_has_are_left_away_and_new_words_come_last():
    p = replace(
        worlds.figures(worlds.line("x", "sending")), outcomes={"novel": 2, "waiting": 3, "ended": 0, "replied": 1, "sending": 4}
    )
    assert View.of(p).outcomes == [("replied", 1), ("sending", 4), ("waiting", 3), ("novel", 2)]
    assert View.of(p).left == 7


@pytest.mark.parametrize(
    ("language", "zone", "shown"),
    [
        ("en", "UTC", ["12,480.5", "33.3%", "–", "1 Dec 2026, 09:30", "09:30:00", "2 hours"]),
        ("pt_BR", "America/Sao_Paulo", ["12.480,5", "33,3%", "–", "1 dez. 2026, 06:30", "06:30:00", "2 horas"]),
        ("es", "America/Mexico_City", ["12.480,5", "33,3%", "–", "1 dic 2026, 03:30", "03:30:00", "2 horas"]),
    ],
)
def test_figures_are_written_as_the_language_writes_them(language, zone, shown):
    assert ZoneInfo(zone)
    write = i18n.figures(language, zone)
    assert [
        write["number"](12480.5),
        write["share"](1, 3),
        write["share"](0, 0),
        write["moment"](worlds.NINE),
        write["clock"](worlds.NINE),
        write["lasting"](2 * HOUR),
    ] == shown


def test_reasons_for_leaving_rows_out_have_words_in_every_language():
    for language in i18n.LANGUAGES:
        env = i18n.environment(language, "UTC", {"channels": {}, "asset": str, "version": "", "themes": ()})
        p = replace(worlds.figures(worlds.line("x")), left_out=dict.fromkeys(REASONS.values(), 1))
        html = env.get_template("_outcomes.html").render(v=View.of(p))
        told = [words for words in REASONS.values() if f"<li>{words}:" in html]
        assert told == (list(dict.fromkeys(REASONS.values())) if language == "en" else [])


async def test_pages_over_a_real_store(world):
    create = store_campaigns.create
    mine = await world.db.run(create, worlds.WORKSPACE, "Visit reminders", "one-time", "{}", ["december"], worlds.NINE)
    theirs = await world.db.run(create, worlds.ELSEWHERE, "Secret offer", "one-time", "{}", [], worlds.NINE)
    async with client(create_app(replace(world.console(), read=world.db.read))) as http:
        listed = (await http.get("/campaigns?tag=december")).text
        assert f'href="/campaigns/{mine.hex()}"' in listed
        assert "Secret offer" not in listed
        assert (await http.get(f"/campaigns/{mine.hex()}")).headers["location"] == f"/campaigns/{mine.hex()}/setup"
        assert (await http.get(f"/campaigns/{theirs.hex()}")).status_code == 404
