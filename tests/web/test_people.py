"""Who is in a workspace: invitations, roles, links for new passwords, and who may do what to whom."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from campana.core.access import Role
from campana.core.ids import Id
from campana.core.periods import Every
from campana.store import audit, links, report_mails, users, workspaces
from tests.web.doorstep import EDITOR, PASSWORD, House, worlds

PLACES = (worlds.WORKSPACE, worlds.WORKSPACE, worlds.ELSEWHERE)


async def test_an_invitation_makes_an_account_or_joins_who_has_one(house: House) -> None:
    owner = house.browser(Role.OWNER)
    page = (await owner.done("/settings/people/invite", email="new@example.com", role="editor")).text
    path = re.search(r'value="https://campana\.example\.com(/links/\w+)"', page)[1]  # type: ignore[index]
    browser = house.browser()
    assert "Join “Clinic” as Editor" in (await browser.get(path)).text
    assert (await browser.post(path, name="Nia", password=PASSWORD, email="evil@example.com")).status_code == 303
    assert await house.run(users.find, "evil@example.com") is None  # the invitation says for whom it is
    assert await house.run(workspaces.role_of, worlds.WORKSPACE, await house.id_of("new@example.com")) is Role.EDITOR

    page = (await owner.done("/settings/people/invite", email="stranger@example.com", role="viewer")).text
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
    assert "/links/" in (await owner.done(f"/settings/people/{viewer.hex()}/reset")).text


async def test_the_last_owner_stays(house: House) -> None:
    owner, user_id = house.browser(Role.OWNER), await house.id_of("owner@example.com")
    for path, fields, chosen in (
        (f"/settings/people/{user_id.hex()}/remove", {}, "owner"),
        (f"/settings/people/{user_id.hex()}/role", {"role": "admin"}, "admin"),
    ):
        answer = await owner.post(path, **fields)
        assert (answer.status_code, "Invite somebody" in answer.text) == (409, True)  # the page that was filled
        row = answer.text.partition(f'id="role-{user_id.hex()}"')[2].partition("</tr>")[0]
        assert "keeps at least one owner" in row
        assert f'<option value="{chosen}" selected>' in row


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
        page = (await who.done("/settings/people/invite", email="new@example.com", role="editor")).text
        paths.append(re.search(r'value="https://campana\.example\.com(/links/\w+)"', page)[1])  # type: ignore[index]
    admin_id = (await house.id_of("admin@example.com")).hex()
    assert (await owner.post(f"/settings/people/{admin_id}/role", role="owner")).status_code == 303
    assert (await house.browser().get(paths[0])).status_code == 200  # who rises may still give what they gave
    assert (await owner.post(f"/settings/people/{admin_id}/{what}", **fields)).status_code == 303
    assert [(await house.browser().get(path)).status_code for path in paths] == [410, 200]


async def test_a_reload_invites_nobody_again_and_shows_the_link_no_more(house: House) -> None:
    owner = house.browser(Role.OWNER)
    answer = await owner.post("/settings/people/invite", email="New@Example.com", role="editor")
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/people?said=link")
    assert "/links/" not in str(answer.headers)  # neither in the address nor readable in the cookie
    page = await owner.get("/settings/people?said=link")
    assert (page.text.count("/links/"), page.headers["cache-control"]) == (1, "no-store")
    assert "new@example.com" in page.text
    again = await owner.get("/settings/people?said=link")
    assert ("/links/" in again.text, "shown once" in again.text) == (False, True)
    assert [one.email for one in await house.run(links.invitations, worlds.WORKSPACE, house.clock.now())] == ["new@example.com"]


@pytest.mark.parametrize("cookie", ["", "nonsense", "gAAAAA==", "ü"])
async def test_a_cookie_that_is_none_of_ours_shows_nothing(house: House, cookie: str) -> None:
    owner = house.browser(Role.OWNER)
    kept = f"campana={owner.http.cookies['campana']}; campana-once={cookie}"
    transport = httpx.ASGITransport(house.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await http.get("/settings/people?said=link", headers={"cookie": kept.encode()})
    assert (answer.status_code, "/links/" in answer.text) == (200, False)


async def test_who_is_removed_gets_no_reports_any_more(house: House) -> None:
    facts = {"query": "", "every": Every.DAY, "at": "08:00", "zone": "UTC", "language": "en", "next_at": worlds.NINE}

    def add(c: Any, workspace_id: Id, name: str, *addresses: str) -> Id:
        return report_mails.add(c, workspace_id, None, worlds.NINE, name=name, addresses=addresses, **facts)

    both = await house.run(add, worlds.WORKSPACE, "Both", "boss@example.com", "viewer@example.com")
    alone = await house.run(add, worlds.WORKSPACE, "Alone", "viewer@example.com")
    theirs = await house.run(add, worlds.ELSEWHERE, "Theirs", "viewer@example.com")
    under_way = await house.run(report_mails.claim, b"t" * 16, worlds.NINE, 10**9)
    owner = house.browser(Role.OWNER)
    await owner.post(f"/settings/people/{(await house.id_of('viewer@example.com')).hex()}/remove")

    def now(c: Any) -> list[Any]:
        rows = [report_mails.get(c, place, one) for place, one in zip(PLACES, (both, alone, theirs), strict=True)]
        return [(one.addresses, one.active) for one in rows if one]

    assert await house.run(now) == [(("boss@example.com",), True), ((), False), (("viewer@example.com",), True)]
    letter = (under_way, b"t" * 16, worlds.NINE, worlds.NINE, 10**9)
    assert not await house.run(report_mails.hand_over, *letter), "it was written before, to somebody who has left"
    page = (await owner.get("/reports/mails")).text
    assert "Nobody: whoever got it has left" in page
    assert f"/reports/mails/{alone.hex()}/resume" not in page
    await owner.post(f"/reports/mails/{alone.hex()}/resume")
    assert (await house.run(now))[1] == ((), False)
    noted = [(one.what, one.about) for one in await house.run(audit.entries, worlds.WORKSPACE)]
    assert {("report.reader_removed", "Both"), ("report.reader_removed", "Alone"), ("person.removed", "viewer@example.com")} <= {
        *noted
    }
