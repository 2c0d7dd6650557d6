"""Signing in: passwords, links, mails, throttling, workspaces, and what the log tells of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from campana.core.access import Role
from campana.core.durations import DAY, MINUTE, SECOND
from campana.core.proxies import networks
from campana.mail import BadMailSettings, Mailer, mailer
from campana.store import audit, links, schema, sessions, users, workspaces
from campana.store.links import Kind
from campana.web import passwords, second_factor
from campana.web.access import COOKIE, GUARDED, hash_of
from tests.web.doorstep import EDITOR, PASSWORD, House, worlds


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


async def test_who_tried_too_often_is_told_until_when_and_nothing_else(house: House) -> None:
    thief = house.browser(address="203.0.113.7")
    for number in range(13):
        assert "is not right" in (await thief.sign_in(EDITOR, "a guess, a guess")).text
        house.advance(SECOND << max(0, number - 4) if number < 12 else 0)
    said = (await thief.sign_in()).text
    assert re.search(r"Wait until \d\d:\d\d:\d\d \(UTC\), then try again", said)
    assert "is not right" not in said


@pytest.mark.parametrize(
    ("email", "said"),
    [
        ("", "Write the e-mail address"),
        ("ana@example.com@evil.example", "more than one @"),
        ("ana@exa\x07mple.com", "This is no e-mail address"),
        ("ana at example.com", "This is no e-mail address"),
        ("Ana <ana@example.com>", "words beside the address"),
        ("a" * 65 + "@example.com", "longer than an e-mail address"),
        ("a@" + "b" * 63 + ("." + "c" * 63) * 3 + ".com", "longer than an e-mail address"),
        ("ana@example", "This is no e-mail address"),
    ],
)
async def test_what_is_no_address_is_said_by_every_form_that_asks_for_one(house: House, email: str, said: str) -> None:
    owner, stranger = house.browser(Role.OWNER), house.browser()
    for answer in (
        await owner.post("/settings/people/invite", email=email, role="viewer"),
        await stranger.sign_in(email),
    ):
        assert (answer.status_code, said in answer.text) == (422, True), answer.text
    assert await house.run(links.invitations, worlds.WORKSPACE, 0) == []


async def test_many_guesses_at_once_gain_nothing(house: House) -> None:
    answers = await asyncio.gather(*(house.browser().sign_in(EDITOR, f"guess number {n}") for n in range(12)))
    assert sum("is not right" in answer.text for answer in answers) == 5
    assert sum("too many attempts" in answer.text for answer in answers) == 7


async def test_one_address_is_slowed_across_accounts(house: House) -> None:
    answers = [await house.browser(address="203.0.113.7").sign_in(f"p{n}@example.com", "a guess, a guess") for n in range(21)]
    assert ["too many attempts" in answer.text for answer in answers[-2:]] == [False, True]
    assert (await house.browser(address="203.0.113.8").sign_in()).status_code == 303


async def test_people_behind_a_trusted_proxy_do_not_wait_for_each_other(house: House) -> None:
    async def told_to_wait(doors: House, said: str) -> bool:
        browser = doors.browser(address="10.0.0.5")
        browser.http.headers["x-forwarded-for"] = said
        return "too many attempts" in (await browser.sign_in(f"p{len(doors.browsers)}@example.com", "a guess, a guess")).text

    open_door = House(proxies=networks("10.0.0.0/24"))
    try:
        # Whoever guesses writes another address before that of the proxy's line each time, and gains nothing by it.
        waits = [await told_to_wait(open_door, f"198.51.100.{number}, 203.0.113.7") for number in range(21)]
        assert waits == [False] * 20 + [True]
        assert not await told_to_wait(open_door, "203.0.113.8")
    finally:
        await open_door.close()
    waits = [await told_to_wait(house, f"198.51.100.{number}") for number in range(21)]  # nobody has named this proxy
    assert waits == [False] * 20 + [True]


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
    wrong = await owner.post("/settings", name="", zone="Mars/Base", limited="yes", **{"from": "18:00", "to": "18:00"})
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
        page = (await owner.done("/settings/people/invite", email="new@example.com", role="editor")).text
        assert ("A link is on its way to new@example.com" in page, "/links/" in page) == (True, False)
        box[0].refuses = True
        page = (await owner.done("/settings/people/invite", email="other@example.com", role="editor")).text
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
