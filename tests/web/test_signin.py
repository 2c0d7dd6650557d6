"""Signing in: passwords, codes, links, mails, throttling, and what people do to each other's accounts."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
from aiosmtpd.smtp import SMTP

from campana.clock import VirtualClock
from campana.core.access import Role
from campana.core.durations import DAY, MINUTE, SECOND
from campana.core.ids import Id
from campana.mail import BadMailSettings, Mailer, mailer
from campana.store import audit, links, schema, sessions, users, workspaces
from campana.store.links import Kind
from campana.vault import Vault
from campana.web import passwords, second_factor
from campana.web.access import COOKIE, GUARDED, hash_of
from campana.web.app import Application, create_app
from campana.web.doors import Doors

_spec = importlib.util.spec_from_file_location("world", Path(__file__).parents[1] / "browser" / "world.py")
worlds: Any = importlib.util.module_from_spec(_spec)  # type: ignore[arg-type]
_spec.loader.exec_module(worlds)  # type: ignore[union-attr]

PASSWORD = "correct horse battery staple"
EDITOR = "editor@example.com"


class House:
    """The console over a store of its own, with a clock that a test turns, and browsers before it."""

    def __init__(self, **doors: Any) -> None:
        self.world = worlds.World()
        self.clock = VirtualClock(worlds.NOW)
        self.doors = Doors(Vault(["k" * 40]), **doors)
        self.public_url = "https://campana.example.com"
        console = replace(
            self.world.console(), clock=self.clock, doors=self.doors, public_url=lambda: self.public_url, secret="s" * 64
        )
        self.app: Application = create_app(console)
        self.browsers: list[httpx.AsyncClient] = []

    async def run(self, function: Any, *args: Any, **named: Any) -> Any:
        return await self.world.db.run(function, *args, **named)

    def advance(self, by: int) -> None:
        """Turns the clock on."""
        self.clock.advance_to(self.clock.now() + by)

    async def id_of(self, email: str) -> Id:
        found = await self.run(users.find, email)
        return found.id

    async def set_password(self, email: str, password: str = PASSWORD) -> None:
        await self.run(users.set_password, await self.id_of(email), await passwords.hashed(password))

    def browser(self, who: str = "", base: str = "http://localhost", address: str = "127.0.0.1") -> Browser:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(address, 1))
        http = httpx.AsyncClient(transport=transport, base_url=base, cookies={COOKIE: worlds.token(who)} if who else {})
        self.browsers.append(http)
        return Browser(http)

    async def close(self) -> None:
        for each in self.browsers:
            await each.aclose()
        self.world.close()


class Browser:
    """Presses buttons: a form's token travels along."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http, self.form = http, ""

    async def get(self, path: str) -> httpx.Response:
        answer = await self.http.get(path, headers={"accept": "text/html"})
        if found := re.search(r'name="_csrf_token" value="(\w{64,})"', answer.text):
            self.form = found[1]
        return answer

    async def post(self, path: str, **fields: str) -> httpx.Response:
        if not self.form:
            await self.get("/sign-in")
        if not self.form:
            await self.get("/campaigns")
        data = {"_csrf_token": self.form, **fields}
        return await self.http.post(path, data=data, headers={"accept": "text/html", "user-agent": "Firefox/130 Linux"})

    async def sign_in(self, email: str = EDITOR, password: str = PASSWORD, **more: str) -> httpx.Response:
        return await self.post("/sign-in", email=email, password=password, **more)

    async def is_in(self) -> bool:
        return (await self.get("/account")).status_code == 200


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    await house.set_password(EDITOR)
    yield house
    await house.close()


async def test_the_right_password_opens_and_leads_on(house: House) -> None:
    browser = house.browser()
    assert not await browser.is_in()
    answer = await browser.sign_in(" Editor@EXAMPLE.com", next="/campaigns?status=sent")
    assert (answer.status_code, answer.headers["location"]) == (303, "/campaigns?status=sent")
    assert await browser.is_in()
    assert (await browser.post("/sign-out")).status_code == 303
    assert not await browser.is_in()


async def test_wrong_and_unknown_are_answered_alike(house: House) -> None:
    said = []
    for email in (EDITOR, "nobody@example.com", "viewer@example.com"):  # the last has no password
        answer = await house.browser().sign_in(email, "not this one, no")
        said.append((answer.status_code, re.sub(r"value=\"[^\"]*\"", "", answer.text)))
    assert said[0] == said[1] == said[2]
    assert "is not right" in said[0][1]


@pytest.mark.parametrize("email", [EDITOR, "nobody@example.com"])
async def test_guesses_are_slowed_whether_the_address_is_known_or_not(house: House, email: str) -> None:
    for number in range(5):
        assert "is not right" in (await house.browser(address=f"10.0.0.{number}").sign_in(email, "guess number x")).text
    answer = await house.browser(address="10.0.0.9").sign_in(email)
    assert "Try again in 1 second" in answer.text  # even with the right password
    house.advance(SECOND)
    answer = await house.browser(address="10.0.0.9").sign_in(email)
    assert (answer.status_code == 303) == (email == EDITOR)


async def test_many_guesses_at_once_gain_nothing(house: House) -> None:
    answers = await asyncio.gather(*(house.browser().sign_in(EDITOR, f"guess number {n}") for n in range(12)))
    assert sum("is not right" in answer.text for answer in answers) == 5
    assert sum("too many attempts" in answer.text for answer in answers) == 7


async def test_one_address_is_slowed_across_accounts(house: House) -> None:
    answers = [await house.browser(address="203.0.113.7").sign_in(f"p{n}@example.com", "a guess, a guess") for n in range(21)]
    assert ["too many attempts" in answer.text for answer in answers[-2:]] == [False, True]
    assert (await house.browser(address="203.0.113.8").sign_in()).status_code == 303


async def test_who_knows_the_password_gets_in_while_somebody_else_guesses(house: House) -> None:
    thief = house.browser(address="203.0.113.7")
    for _ in range(60):
        await thief.sign_in(EDITOR, "a guess, a guess")
        house.advance(MINUTE)  # longer than anybody makes others wait, shorter than the guesser waits in the end
    assert "too many attempts" in (await thief.sign_in()).text
    assert (await house.browser(address="203.0.113.8").sign_in()).status_code == 303


async def test_every_cookie_is_https_only_under_the_public_name(house: House) -> None:
    for base, secure in (("https://campana.example.com", True), ("http://localhost", False)):
        http, seen = house.browser(base=base).http, set()
        for path in ("/sign-in", "/sign-in?lang=es", "/sign-in?theme=dark", "/sign-in/provider/back?x=1"):
            for cookie in (await http.get(path)).headers.get_list("set-cookie"):
                seen.add(cookie.partition("=")[0].partition("-")[0])
                assert ("; Secure" in cookie) == secure, (base, cookie)
        assert seen >= {"form", "lang", "theme"}


async def test_a_session_cookie_is_out_of_reach_and_https_only_under_the_public_name(house: House) -> None:
    answer = await house.browser().sign_in()
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith(COOKIE))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie  # a browser would not send it to http://localhost
    public = house.browser(base="https://campana.example.com")
    answer = await public.sign_in()
    cookie = next(value for value in answer.headers.get_list("set-cookie") if COOKIE in value)
    assert cookie.startswith(GUARDED + COOKIE)
    assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    stolen = next(value for name, value in public.http.cookies.items() if name == GUARDED + COOKIE)
    plain = house.browser(base="https://campana.example.com")
    plain.http.cookies.set(COOKIE, stolen)
    assert not await plain.is_in()  # only the guarded one counts there


async def test_tokens_are_kept_as_hashes_only(house: House) -> None:
    browser = house.browser()
    await browser.sign_in()
    token = browser.http.cookies[COOKIE]
    found = await house.run(lambda c: c.exec_driver_sql("SELECT token_hash FROM session").scalars().all())
    assert hash_of(token) in found
    assert token.encode() not in found


async def test_a_new_password_ends_every_other_session(house: House) -> None:
    here, there = house.browser(), house.browser()
    await here.sign_in()
    await there.sign_in()
    wrong = await here.post("/account/password", current_password="no", password="another long secret")
    assert "not the password you have now" in wrong.text
    weak = await here.post("/account/password", current_password=PASSWORD, password="short")
    assert "at least 10 characters" in weak.text
    before = here.http.cookies[COOKIE]
    done = await here.post("/account/password", current_password=PASSWORD, password="another long secret")
    assert done.headers["location"] == "/account?said=password"
    assert (await here.is_in(), await there.is_in()) == (True, False)
    assert here.http.cookies[COOKIE] != before
    assert (await house.browser().sign_in()).status_code == 422
    assert (await house.browser().sign_in(EDITOR, "another long secret")).status_code == 303


async def test_a_session_is_listed_and_revoked(house: House) -> None:
    here, there = house.browser(), house.browser()
    await here.sign_in()
    await there.sign_in()
    page = await here.get("/account")
    assert "Firefox on Linux" in page.text
    other = re.findall(r"/account/sessions/(\w{32})/end", page.text)
    for session in other:
        await here.post(f"/account/sessions/{session}/end")
    assert (await here.is_in(), await there.is_in()) == (True, False)


async def test_the_second_factor_is_asked_for_and_no_code_works_twice(house: House) -> None:
    here = house.browser()
    await here.sign_in()
    page = (await here.post("/account/second-factor/new")).text
    secret = re.search(r'class="secret-words">(\w+)<', page)[1]  # type: ignore[index]
    sealed = re.search(r'name="sealed" value="([^"]+)"', page)[1]  # type: ignore[index]
    assert "<svg" in page
    assert "style=" not in page
    code = pyotp.TOTP(secret)

    def now() -> str:
        return code.at(house.clock.now() // SECOND)

    known = {"sealed": sealed, "factor_password": PASSWORD}
    assert "not right" in (await here.post("/account/second-factor", **known, code="000000")).text
    for wrong in ({"sealed": sealed}, {**known, "factor_password": "not this one"}):
        assert "not the password you have now" in (await here.post("/account/second-factor", **wrong, code=now())).text
    assert (await house.run(users.find, EDITOR)).totp is None
    assert (await here.post("/account/second-factor", **known, code=now())).headers["location"] == "/account?said=factor"
    kept = (await house.run(users.find, EDITOR)).totp
    assert secret.encode() not in kept
    assert "secret-words" not in (await here.post("/account/second-factor/new")).text  # it is taken off before another is set
    again = await here.post("/account/second-factor", **known, code=now())
    assert (again.headers["location"], (await house.run(users.find, EDITOR)).totp) == ("/account?said=late", kept)

    there = house.browser()
    asked = await there.sign_in(next="/campaigns?q=x")
    assert (asked.status_code, "One more step" in asked.text, await there.is_in()) == (200, True, False)
    ticket = re.search(r'name="ticket" value="(\w+)"', asked.text)[1]  # type: ignore[index]
    again = await there.post("/sign-in/code", ticket=ticket, code=now(), next="/campaigns?q=x")
    assert "was used already" in again.text  # it was, when the factor was set
    house.advance(30 * SECOND)
    done = await there.post("/sign-in/code", ticket=ticket, code=now(), next="/campaigns?q=x")
    assert done.headers["location"] == "/campaigns?q=x"
    assert await there.is_in()
    third = await house.browser().post("/sign-in/code", ticket=ticket, code=now())
    assert third.headers["location"] == "/sign-in?said=late"  # the ticket is used
    for _ in range(5):
        asked = await house.browser().sign_in()
        ticket = re.search(r'name="ticket" value="(\w+)"', asked.text)[1]  # type: ignore[index]
        assert (await house.browser().post("/sign-in/code", ticket=ticket, code="123456")).status_code == 422
    slowed = await house.browser().post("/sign-in/code", ticket=ticket, code=now())
    assert "too many attempts" in slowed.text


def test_codes_of_the_moment_and_of_those_around_it_count() -> None:
    secret, now = second_factor.new_secret(), worlds.NOW
    code = pyotp.TOTP(secret)
    at = now // SECOND // 30
    found = [second_factor.step_of(secret, code.generate_otp(at + offset), now) for offset in (-2, -1, 0, 1, 2)]
    assert found == [None, at - 1, at, at + 1, None]
    assert second_factor.step_of(secret, f" {code.generate_otp(at)[:3]} {code.generate_otp(at)[3:]}", now) == at


# --- links ------------------------------------------------------------------------------------------------------------------


async def link(house: House, kind: Kind, **facts: Any) -> str:
    token = f"{kind}{len(facts)}" + "0" * 20
    await house.run(links.make, kind, hash_of(token), house.clock.now(), **facts)
    return f"/links/{token}"


async def test_the_first_owner_comes_by_a_link_and_nobody_after_them(house: House) -> None:
    for table in (schema.session, schema.membership, schema.user):
        await house.run(lambda c, table=table: c.execute(table.delete()))
    path = await link(house, Kind.OWNER)
    second = await link(house, Kind.OWNER, email="x")
    browser = house.browser()
    assert "makes the first account" in (await browser.get(path)).text
    assert "Nobody has an account yet" in (await house.browser().get("/sign-in")).text
    wrong = await browser.post(path, name="", email="nonsense", password="1234567890")
    assert (wrong.status_code, len(re.findall("field-error", wrong.text))) == (422, 3)
    done = await browser.post(path, name="Ana", email="ana@example.com", password=PASSWORD)
    assert (done.status_code, done.headers["location"]) == (303, "/campaigns")
    page = (await browser.get("/settings/people")).text
    assert "ana@example.com" in page
    assert await house.run(workspaces.role_of, worlds.WORKSPACE, await house.id_of("ana@example.com")) is Role.OWNER
    for used in (path, second):
        assert (await house.browser().get(used)).status_code == 410
        answer = await house.browser().post(used, name="Eve", email="eve@example.com", password=PASSWORD)
        assert answer.status_code == 410
    assert await house.run(users.find, "eve@example.com") is None


async def test_the_demos_link_signs_its_user_in_once(house: House) -> None:
    path = await link(house, Kind.OWNER, user_id=await house.id_of(EDITOR))
    browser = house.browser()
    assert "Open the console" in (await browser.get(path)).text
    assert (await browser.post(path)).headers["location"] == "/campaigns"
    assert await browser.is_in()
    assert (await house.browser().post(path)).status_code == 410


async def test_looking_at_a_link_does_not_use_it_up_and_time_does(house: House) -> None:
    path = await link(house, Kind.RESET, user_id=await house.id_of(EDITOR))
    for _ in range(3):
        assert (await house.browser().get(path)).status_code == 200
    house.advance(DAY)
    assert (await house.browser().get(path)).status_code == 410


async def test_a_reset_changes_the_password_ends_sessions_and_voids_other_links(house: House) -> None:
    user_id = await house.id_of(EDITOR)
    inside = house.browser()
    await inside.sign_in()
    path, other = await link(house, Kind.RESET, user_id=user_id), await link(house, Kind.RESET, user_id=user_id, email=EDITOR)
    browser = house.browser()
    assert "at least 10 characters" in (await browser.post(path, password="short")).text
    done = await browser.post(path, password="a brand new secret")
    assert done.headers["location"] == "/sign-in?said=password"
    assert not await inside.is_in()
    assert (await browser.get(other)).status_code == 410
    assert (await browser.sign_in(EDITOR, "a brand new secret")).status_code == 303


async def test_a_reset_does_not_go_round_the_second_factor(house: House) -> None:
    user_id = await house.id_of(EDITOR)
    await house.run(users.set_second_factor, user_id, second_factor.sealed(house.doors.vault, second_factor.new_secret()))
    browser = house.browser()
    await browser.post(await link(house, Kind.RESET, user_id=user_id), password="a brand new secret")
    assert "One more step" in (await browser.sign_in(EDITOR, "a brand new secret")).text


async def test_an_invitation_makes_an_account_or_joins_who_has_one(house: House) -> None:
    owner = house.browser(Role.OWNER)
    page = (await owner.post("/settings/people/invite", email="new@example.com", role="editor")).text
    path = re.search(r'value="https://campana\.example\.com(/links/\w+)"', page)[1]  # type: ignore[index]
    browser = house.browser()
    assert "Join “Clinic” as Editor" in (await browser.get(path)).text
    assert (await browser.post(path, name="Nia", password=PASSWORD, email="evil@example.com")).status_code == 303
    assert await house.run(users.find, "evil@example.com") is None  # the invitation says for whom it is
    assert await house.run(workspaces.role_of, worlds.WORKSPACE, await house.id_of("new@example.com")) is Role.EDITOR

    page = (await owner.post("/settings/people/invite", email="stranger@example.com", role="viewer")).text
    path = re.search(r'value="https://campana\.example\.com(/links/\w+)"', page)[1]  # type: ignore[index]
    assert "You have an account" in (await house.browser().get(path)).text
    other = house.browser(Role.VIEWER)
    assert "Sign out first" in (await other.get(path)).text
    assert (await other.post(path)).status_code == 200
    stranger = house.browser(worlds.STRANGER)
    assert "Join the workspace" in (await stranger.get(path)).text
    assert (await stranger.post(path)).status_code == 303
    assert "Visit reminders" in (await stranger.get("/campaigns")).text
    assert (await stranger.post(path)).status_code == 410


async def test_nobody_gives_more_than_they_have(house: House) -> None:
    admin, owner = house.browser(Role.ADMIN), await house.id_of("owner@example.com")
    assert "not above your own" in (await admin.post("/settings/people/invite", email="x@example.com", role="owner")).text
    editor = await house.id_of(EDITOR)
    for path, fields in (
        (f"/settings/people/{editor.hex()}/role", {"role": "owner"}),
        (f"/settings/people/{owner.hex()}/role", {"role": "viewer"}),
        (f"/settings/people/{owner.hex()}/remove", {}),
        (f"/settings/people/{owner.hex()}/reset", {}),
        (f"/settings/people/{owner.hex()}/second-factor", {}),
    ):
        assert (await admin.post(path, **fields)).status_code == 403, path
    assert (await admin.post(f"/settings/people/{editor.hex()}/role", role="admin")).status_code == 303


async def test_an_admin_here_does_not_open_the_account_of_an_owner_elsewhere(house: House) -> None:
    editor = await house.id_of(EDITOR)
    await house.run(workspaces.join, worlds.ELSEWHERE, editor, Role.OWNER, house.clock.now())
    owner = house.browser(Role.OWNER)
    for what in ("reset", "second-factor"):
        assert (await owner.post(f"/settings/people/{editor.hex()}/{what}")).status_code == 403
    viewer = await house.id_of("viewer@example.com")
    assert "/links/" in (await owner.post(f"/settings/people/{viewer.hex()}/reset")).text


async def test_the_last_owner_stays(house: House) -> None:
    owner, user_id = house.browser(Role.OWNER), await house.id_of("owner@example.com")
    for path, fields in (
        (f"/settings/people/{user_id.hex()}/remove", {}),
        (f"/settings/people/{user_id.hex()}/role", {"role": "admin"}),
    ):
        answer = await owner.post(path, **fields)
        assert (answer.status_code, "at least one owner" in answer.text) == (409, True)


async def test_who_is_removed_is_out_at_once(house: House) -> None:
    viewer = house.browser(Role.VIEWER)
    assert await viewer.is_in()
    await house.browser(Role.OWNER).post(f"/settings/people/{(await house.id_of('viewer@example.com')).hex()}/remove")
    assert not await viewer.is_in()


@pytest.mark.parametrize(("what", "fields"), [("remove", {}), ("role", {"role": "editor"})])
async def test_invitations_end_with_the_right_to_invite(house: House, what: str, fields: dict[str, str]) -> None:
    admin, owner = house.browser(Role.ADMIN), house.browser(Role.OWNER)
    paths = []
    for who in (admin, owner):
        page = (await who.post("/settings/people/invite", email="new@example.com", role="editor")).text
        paths.append(re.search(r'value="https://campana\.example\.com(/links/\w+)"', page)[1])  # type: ignore[index]
    admin_id = (await house.id_of("admin@example.com")).hex()
    assert (await owner.post(f"/settings/people/{admin_id}/role", role="owner")).status_code == 303
    assert (await house.browser().get(paths[0])).status_code == 200  # who rises may still give what they gave
    assert (await owner.post(f"/settings/people/{admin_id}/{what}", **fields)).status_code == 303
    assert [(await house.browser().get(path)).status_code for path in paths] == [410, 200]


async def test_a_form_of_one_workspace_does_nothing_in_another(house: House) -> None:
    owner = house.browser(Role.OWNER)
    form = {"name": "Clinic", "zone": "America/Lima"}
    fields = []
    for path in ("/settings", "/settings/people", "/settings/opt-outs", "/campaigns", "/settings/integrations/new/twilio_sms"):
        page = (await owner.get(path)).text
        fields += re.findall(r'name="_workspace" value="(\w+)"', page)
        assert fields, path
    assert set(fields) == {worlds.WORKSPACE.hex()}
    assert (await owner.post("/workspaces/new", name="Dentist", zone="UTC")).status_code == 303  # in another tab
    refused = await owner.post("/settings", _workspace=fields[0], **form)
    assert (refused.status_code, "another workspace in another tab" in refused.text) == (409, True)
    assert (
        await owner.post("/settings/people/invite", _workspace=fields[0], email="x@example.com", role="viewer")
    ).status_code == 409
    await owner.post(f"/workspaces/{worlds.WORKSPACE.hex()}/open")
    assert (await owner.post("/settings", _workspace=fields[0], **form)).status_code == 303


async def test_workspaces_are_made_switched_and_kept_apart(house: House) -> None:
    owner = house.browser(Role.OWNER)
    assert "Another workspace has this name" in (await owner.post("/workspaces/new", name="Clinic", zone="UTC")).text
    assert (await owner.post("/workspaces/new", name="Dentist", zone="America/Sao_Paulo")).status_code == 303
    page = (await owner.get("/campaigns")).text
    assert "No campaigns yet" in page
    await owner.post(f"/workspaces/{worlds.WORKSPACE.hex()}/open")
    assert "Visit reminders" in (await owner.get("/campaigns")).text
    assert (await owner.post(f"/workspaces/{worlds.ELSEWHERE.hex()}/open")).status_code == 404
    saved = await owner.post(
        "/settings", name="Clinic", zone="America/Mexico_City", limited="yes", day_mon="yes", **{"from": "09:00", "to": "18:00"}
    )
    assert saved.status_code == 303
    workspace = await house.run(workspaces.get, worlds.WORKSPACE)
    assert (workspace.zone, '"days": ["mon"]' in workspace.hours) == ("America/Mexico_City", True)
    wrong = await owner.post("/settings", name="", zone="Mars/Base", limited="yes", **{"from": "18:00", "to": "09:00"})
    assert (wrong.status_code, len(re.findall("field-error", wrong.text))) == (422, 4)


async def test_every_change_is_in_the_log_with_who_and_nobody_elses(house: House) -> None:
    owner = house.browser(Role.OWNER)
    await owner.post("/settings/people/invite", email="new@example.com", role="editor")
    await owner.post(f"/campaigns/{house.world.lines[0].campaign_id.hex()}/pause")
    await owner.get(f"/campaigns/{house.world.lines[0].campaign_id.hex()}/audience.csv")
    await house.browser().sign_in()
    entries = await house.run(audit.entries, worlds.WORKSPACE)
    assert [(one.who, one.what) for one in entries] == [
        (EDITOR, "user.signed_in"),
        ("owner@example.com", "campaign.exported"),
        ("owner@example.com", "campaign.paused"),
        ("owner@example.com", "person.invited"),
    ]
    page = (await owner.get("/settings/audit?what=campaign.paused")).text
    assert "Visit reminders" in page
    assert "Person invited</th>" not in page
    assert "Nothing was changed yet" in (await house.browser(worlds.STRANGER).get("/settings/audit")).text


# --- mail -------------------------------------------------------------------------------------------------------------------


class Box:
    """A mail server's inbox; it may refuse."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.refuses = False
        self.came = asyncio.Event()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - the server's own name
        if self.refuses:
            return "550 No such mailbox"
        self.mails.append(envelope)
        self.came.set()
        return "250 OK"


@pytest.fixture
async def box() -> AsyncIterator[tuple[Box, Mailer]]:
    box = Box()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(box), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield box, mailer(f"smtp://127.0.0.1:{port}", "Campana <campana@example.com>")
    server.close()


async def test_a_forgotten_password_is_reset_by_mail_and_strangers_learn_nothing(box: tuple[Box, Mailer]) -> None:
    house = House(mailer=box[1])
    try:
        said = []
        for email in ("nobody@example.com", EDITOR):
            answer = await house.browser().post("/forgotten", email=email)
            said.append(answer.text.replace(email, "").count("a link is on its way"))
        await asyncio.wait_for(box[0].came.wait(), 20)
        assert said == [1, 1]
        assert [mail.rcpt_tos for mail in box[0].mails] == [[EDITOR]]
        text = box[0].mails[0].content.decode().replace("=\r\n", "")
        path = re.search(r"https://campana\.example\.com(/links/\w+)", text)[1]  # type: ignore[index]
        assert "Subject: A new password for Campana" in text
        assert (await house.browser().post(path, password="a brand new secret")).status_code == 303
        assert (await house.browser().sign_in(EDITOR, "a brand new secret")).status_code == 303
    finally:
        await house.close()


async def test_a_mail_server_that_refuses_is_said_and_the_link_shown(box: tuple[Box, Mailer]) -> None:
    house = House(mailer=box[1])
    try:
        owner = house.browser(Role.OWNER)
        page = (await owner.post("/settings/people/invite", email="new@example.com", role="editor")).text
        assert ("A link is on its way to new@example.com" in page, "/links/" in page) == (True, False)
        box[0].refuses = True
        page = (await owner.post("/settings/people/invite", email="other@example.com", role="editor")).text
        assert "did not take the mail" in page
        assert "/links/" in page
    finally:
        await house.close()


@pytest.mark.parametrize(
    ("url", "sender"), [("http://mail", None), ("smtp://", None), ("smtp://mail:port", None), ("smtp://mail", "nobody")]
)
def test_mail_settings_that_cannot_be_used_are_a_sentence(url: str, sender: str | None) -> None:
    with pytest.raises(BadMailSettings, match="CAMPANA_"):
        mailer(url, sender)


def test_mail_settings_are_read() -> None:
    found = mailer("smtps://ana%40example.com:p%40ss@mail.example.com", None)
    assert (found.host, found.port, found.user, found.password, found.sender) == (
        "mail.example.com",
        465,
        "ana@example.com",
        "p@ss",
        "ana@example.com",
    )


@pytest.mark.parametrize(
    ("password", "trouble"),
    [
        ("short", "password_short"),
        ("x" * 201, "password_long"),
        ("aaaaaaaaaaaa", "password_guessable"),
        ("1234567890", "password_guessable"),
        ("my name is editor", "password_guessable"),
        ("Password1234", "password_guessable"),
        (PASSWORD, ""),
        ("pässwörter sind länger", ""),
    ],
)
def test_passwords_that_are_easy_to_guess_are_refused(password: str, trouble: str) -> None:
    assert passwords.trouble(password, EDITOR) == trouble


async def test_a_disabled_account_and_one_without_a_workspace_stay_outside(house: House) -> None:
    user_id = await house.id_of(EDITOR)
    await house.run(workspaces.leave, worlds.WORKSPACE, user_id)
    assert "in no workspace" in (await house.browser().sign_in()).text
    await house.run(lambda c: c.exec_driver_sql("UPDATE user_account SET disabled_at = 1"))
    assert "is not right" in (await house.browser().sign_in()).text
    assert await house.run(sessions.of_user, user_id, house.clock.now()) != []
