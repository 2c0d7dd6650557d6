"""The second step of the sign-in: codes of an app, codes for who lost it, and what turns it off."""

from __future__ import annotations

import re
from typing import Any

import pyotp

from campana.core.access import Role
from campana.core.durations import SECOND
from campana.core.ids import Id
from campana.store import audit, users
from campana.web import second_factor
from tests.web.doorstep import EDITOR, PASSWORD, Browser, House, worlds


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


# --- codes for who lost the app ---------------------------------------------------------------------------------------------


async def turned_on(house: House, browser: Browser) -> tuple[pyotp.TOTP, list[str]]:
    """The app, and the recovery codes that were shown."""
    page = (await browser.post("/account/second-factor/new")).text
    app = pyotp.TOTP(re.search(r'class="secret-words">(\w+)<', page)[1])  # type: ignore[index]
    sealed = re.search(r'name="sealed" value="([^"]+)"', page)[1]  # type: ignore[index]
    fields = {"sealed": sealed, "factor_password": PASSWORD, "code": app.at(house.clock.now() // SECOND)}
    return app, codes_of((await browser.done("/account/second-factor", **fields)).text)


def codes_of(page: str) -> list[str]:
    """The recovery codes that a page shows."""
    found = re.search(r'<textarea[^>]*id="codes"[^>]*>([^<]+)<', page)
    return found[1].split() if found else []


async def ticket_of(house: House) -> str:
    """What the page of the second step holds."""
    return re.search(r'name="ticket" value="(\w+)"', (await house.browser().sign_in()).text)[1]  # type: ignore[index]


async def test_recovery_codes_are_shown_once_and_kept_as_hashes(house: House) -> None:
    here = house.browser()
    await here.sign_in()
    _, codes = await turned_on(house, here)
    assert (len(set(codes)), {len(code) for code in codes}) == (10, {19})
    again = (await here.get("/account")).text
    assert codes_of(again) == []
    assert "10 recovery codes are left" in again
    kept = await house.run(lambda c: c.exec_driver_sql("SELECT code_hash FROM recovery_code").scalars().all())
    assert {bytes(one) for one in kept} == {second_factor.recovery_hash(await house.id_of(EDITOR), code) for code in codes}


async def test_a_recovery_code_signs_in_once_and_the_log_tells(house: House) -> None:
    here = house.browser()
    await here.sign_in()
    _, codes = await turned_on(house, here)
    there = house.browser()
    wrong = await there.post("/sign-in/code", ticket=await ticket_of(house), recovery="aaaa-bbbb-cccc-dddd")
    assert (wrong.status_code, "recovery code is not right" in wrong.text) == (422, True)
    done = await there.post("/sign-in/code", ticket=await ticket_of(house), recovery=f" {codes[3].upper().replace('-', ' ')}")
    assert done.status_code == 303
    assert await there.is_in()
    again = await house.browser().post("/sign-in/code", ticket=await ticket_of(house), recovery=codes[3])
    assert again.status_code == 422
    noted = [(one.what, one.details) for one in await house.run(audit.entries, worlds.WORKSPACE)]
    assert ("user.recovery_code_used", {"left": 9}) in noted
    assert "9 recovery codes are left" in (await there.get("/account")).text


async def test_guesses_of_recovery_codes_are_slowed_like_those_of_the_app(house: House) -> None:
    here = house.browser()
    await here.sign_in()
    _, codes = await turned_on(house, here)
    ticket = await ticket_of(house)
    for number in range(5):
        await house.browser().post("/sign-in/code", ticket=ticket, recovery=f"aaaa-bbbb-cccc-ddd{number}")
    assert "too many attempts" in (await house.browser().post("/sign-in/code", ticket=ticket, recovery=codes[0])).text
    house.advance(SECOND)
    assert (await house.browser().post("/sign-in/code", ticket=ticket, recovery=codes[0])).status_code == 303


async def test_new_recovery_codes_ask_for_the_password_and_end_those_of_before(house: House) -> None:
    here = house.browser()
    await here.sign_in()
    _, codes = await turned_on(house, here)
    assert "not the password you have now" in (await here.post("/account/second-factor/codes", codes_password="no")).text
    fresh = codes_of((await here.done("/account/second-factor/codes", codes_password=PASSWORD)).text)
    assert (len(fresh), set(fresh) & set(codes)) == (10, set())
    there = house.browser()
    assert (await there.post("/sign-in/code", ticket=await ticket_of(house), recovery=codes[0])).status_code == 422
    assert (await there.post("/sign-in/code", ticket=await ticket_of(house), recovery=fresh[0])).status_code == 303
    await here.post("/account/second-factor/off", off_password=PASSWORD)
    assert await house.run(users.recovery_codes_left, await house.id_of(EDITOR)) == 0


async def test_what_is_shown_once_is_for_its_own_session_and_soon_over(house: House) -> None:
    here = house.browser()
    await here.sign_in()
    page = (await here.post("/account/second-factor/new")).text
    app = pyotp.TOTP(re.search(r'class="secret-words">(\w+)<', page)[1])  # type: ignore[index]
    sealed = re.search(r'name="sealed" value="([^"]+)"', page)[1]  # type: ignore[index]
    code = app.at(house.clock.now() // SECOND)
    done = await here.post("/account/second-factor", sealed=sealed, factor_password=PASSWORD, code=code)
    held = done.headers["set-cookie"]
    assert ("HttpOnly" in held, "SameSite=strict" in held, "Path=/account" in held) == (True, True, True)
    value = re.search(r"campana-once=\"?([^;\"]+)", held)[1]  # type: ignore[index]
    other = house.browser(Role.OWNER)
    other.http.cookies.set("campana-once", value)
    assert codes_of((await other.get("/account")).text) == []
    house.advance(6 * 60 * SECOND)
    assert codes_of((await here.get("/account?said=factor")).text) == []


async def test_who_has_no_password_turns_it_off_with_a_code(house: House) -> None:
    here = house.browser()
    await here.sign_in()
    app, codes = await turned_on(house, here)
    user_id: Id = await house.id_of(EDITOR)
    await house.run(lambda c: c.exec_driver_sql("UPDATE user_account SET password = NULL WHERE email_key = 'editor@example.com'"))
    page = (await here.get("/account")).text
    assert ('name="off_code"' in page, 'name="off_password"' in page) == (True, False)

    async def off(**given: Any) -> bool:
        answer = await here.post("/account/second-factor/off", **given)
        return answer.status_code == 303 and (await house.run(users.get, user_id)).totp is None

    assert not await off(off_password="")
    assert not await off(off_code="123456")
    assert not await off(off_code=app.at(house.clock.now() // SECOND))  # it was used when the step was turned on
    house.advance(30 * SECOND)
    assert await off(off_code=app.at(house.clock.now() // SECOND))
    assert codes


async def test_who_guesses_at_an_open_browser_is_told_to_wait_and_not_that_it_was_wrong(house: House) -> None:
    here = house.browser()
    await here.sign_in()
    for _ in range(5):
        assert (
            "not the password you have now"
            in (await here.post("/account/password", current_password="no", password="another long secret")).text
        )
    said = (await here.post("/account/password", current_password=PASSWORD, password="another long secret")).text
    assert ("Try again in 1 second" in said, "not the password you have now" in said) == (True, False)
