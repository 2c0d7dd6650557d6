"""Signing in at an identity provider that runs beside us: who gets in, and what is not believed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from campana.clock import VirtualClock
from campana.core.access import Role
from campana.core.durations import MINUTE
from campana.store import links, sessions, users, workspaces
from campana.store.links import Kind
from campana.vault import Vault
from campana.web import second_factor
from campana.web.app import create_app
from campana.web.doors import Doors
from campana.web.oidc import Provider
from campana.wire import Wire

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("world", ROOT / "tests" / "browser" / "world.py")
worlds: Any = importlib.util.module_from_spec(_spec)  # type: ignore[arg-type]
_spec.loader.exec_module(worlds)  # type: ignore[union-attr]
NOW = worlds.NOW // 1_000_000
CLIENT, SECRET = "campana", "client secret: with signs"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """A provider as a process of its own."""
    process = subprocess.Popen([sys.executable, "-m", "tests.oidc_provider"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.terminate()
    process.wait()


class House:
    """The console with a provider, and a browser that follows redirects between the two."""

    def __init__(self, issuer: str, secret: str = SECRET) -> None:
        self.issuer, self.world, self.wire = issuer, worlds.World(), Wire()
        self.clock = VirtualClock(worlds.NOW)
        self.provider = Provider("Example ID", issuer, CLIENT, secret, self.wire.exchange, self.clock)
        self.doors = Doors(Vault(["k" * 40]), None, self.provider)
        self.app = create_app(replace(self.world.console(), clock=self.clock, doors=self.doors))
        self.http = self.browser()

    def browser(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://localhost:8700")

    def says(self, claims: dict[str, Any] | None = None, **more: Any) -> None:
        """What the provider says of whoever signs in next."""
        httpx.post(f"{self.issuer}/next", content=json.dumps({"claims": claims or {}, "now": NOW, **more}))

    async def leave(self, goes_to: str = "") -> str:
        """Goes to the provider and signs in there; the address that leads back."""
        answer = await self.http.get("/sign-in/provider", params={"next": goes_to} if goes_to else {})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"{self.issuer}/authorize?"), answer.headers["location"]
        async with httpx.AsyncClient() as there:
            return (await there.get(answer.headers["location"])).headers["location"]

    async def sign_in(self, goes_to: str = "") -> str:
        """Goes there and comes back; where one is led then, or what the page says."""
        answer = await self.http.get(await self.leave(goes_to))
        return answer.headers.get("location") or answer.text

    async def is_in(self) -> bool:
        return (await self.http.get("/account")).status_code == 200

    async def close(self) -> None:
        await self.http.aclose()
        await self.wire.close()
        self.world.close()


@pytest.fixture
async def house(issuer: str) -> AsyncIterator[House]:
    house = House(issuer)
    house.says()
    yield house
    await house.close()


FAILED = "/sign-in?said=provider"


async def test_a_verified_address_opens_its_account_and_the_subject_does_from_then_on(house: House) -> None:
    assert "Sign in with Example ID" in (await house.http.get("/sign-in")).text
    assert await house.sign_in("/campaigns?status=sent") == "/campaigns?status=sent"
    assert await house.is_in()
    house.says({"email": "changed@example.com", "email_verified": False})
    house.http = house.browser()
    assert await house.sign_in() == "/campaigns"
    assert "editor@example.com" in (await house.http.get("/account")).text


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"claims": {"email_verified": False}}, id="the address is not verified"),
        pytest.param({"claims": {"email_verified": "true"}}, id="verified is a word"),
        pytest.param({"claims": {"email": "unknown@example.com"}}, id="neither account nor invitation"),
        pytest.param({"claims": {"aud": "another"}}, id="for another program"),
        pytest.param({"claims": {"aud": ["campana", "another"]}}, id="for several, and not said by whom"),
        pytest.param({"claims": {"iss": "https://evil.example"}}, id="by another provider"),
        pytest.param({"claims": {"nonce": "replayed"}}, id="of another sign-in"),
        pytest.param({"claims": {"exp": NOW - 61}}, id="too old"),
        pytest.param({"claims": {"iat": NOW + 3600}}, id="of the future"),
        pytest.param({"claims": {"sub": ""}}, id="of nobody"),
        pytest.param({"wrong": "unsigned"}, id="unsigned"),
        pytest.param({"wrong": "by_secret"}, id="signed with what the client knows"),
        pytest.param({"wrong": "key"}, id="signed by somebody else"),
        pytest.param({"denies": True}, id="refused there"),
    ],
)
async def test_what_is_wrong_opens_nothing(house: House, said: dict[str, Any]) -> None:
    house.says(**said)
    assert await house.sign_in() == FAILED
    assert not await house.is_in()
    assert await house.world.db.read(users.known_as, house.issuer, "user-1") is None
    assert "did not succeed" in (await house.http.get(FAILED)).text


async def test_only_who_set_out_arrives_once_and_in_time(house: House) -> None:
    back = await house.leave()
    async with house.browser() as other:
        assert (await other.get(back)).headers["location"] == FAILED  # a stranger's browser has no journey
    assert (await house.http.get(back.replace("state=", "state=0"))).headers["location"] == FAILED
    back = await house.leave()
    house.clock.advance_to(house.clock.now() + 11 * MINUTE)
    assert (await house.http.get(back)).headers["location"] == FAILED
    house.says(now=house.clock.now() // 1_000_000)
    back = await house.leave()
    journey = dict(house.http.cookies)
    assert (await house.http.get(back)).headers["location"] == "/campaigns"
    async with house.browser() as thief:
        thief.cookies.update({name: value for name, value in journey.items() if name == "campana-provider"})
        assert (await thief.get(back)).headers["location"] == FAILED  # the code was used


async def test_keys_that_the_provider_changed_are_asked_for_anew(house: House) -> None:
    assert await house.sign_in() == "/campaigns"
    house.says(new_key=True)
    house.http = house.browser()
    assert await house.sign_in() == "/campaigns"


async def test_an_invitation_lets_somebody_new_in(house: House) -> None:
    house.says({"sub": "user-2", "email": "Nia@Example.com", "name": "Nia"})
    made = {"email": "nia@example.com", "role": Role.OPERATOR}
    await house.world.db.run(links.make, Kind.INVITATION, b"hash", house.clock.now(), worlds.WORKSPACE, **made)
    assert await house.sign_in() == "/campaigns"
    account = await house.world.db.read(users.find, "nia@example.com")
    assert (account.name, account.password) == ("Nia", None)
    assert await house.world.db.read(workspaces.role_of, worlds.WORKSPACE, account.id) is Role.OPERATOR
    assert await house.world.db.read(links.invited, "nia@example.com", house.clock.now()) == []


async def test_the_first_tie_takes_the_account_from_whoever_chose_its_password(house: House) -> None:
    run, read = house.world.db.run, house.world.db.read
    account = await read(users.find, "editor@example.com")
    await run(users.set_password, account.id, "a hash of somebody else's password")
    await run(users.set_second_factor, account.id, second_factor.sealed(house.doors.vault, second_factor.new_secret()))
    await run(links.make, Kind.RESET, b"theirs", house.clock.now(), user_id=account.id)
    before = {one.id for one in await read(sessions.of_user, account.id, house.clock.now())}
    assert await house.sign_in() == "/campaigns"
    found = await read(users.get, account.id)
    assert (found.password, found.totp) == (None, None)
    assert not before & {one.id for one in await read(sessions.of_user, account.id, house.clock.now())}
    assert await read(links.find, b"theirs", house.clock.now()) is None
    await run(users.set_password, account.id, "a hash of their own")
    house.http = house.browser()
    assert await house.sign_in() == "/campaigns"
    assert (await read(users.get, account.id)).password == "a hash of their own"  # only the first time


async def test_a_second_step_of_ours_is_asked_for_as_well(house: House) -> None:
    account = await house.world.db.read(users.find, "editor@example.com")
    sealed = second_factor.sealed(house.doors.vault, second_factor.new_secret())
    await house.world.db.run(users.set_second_factor, account.id, sealed)
    assert "One more step" in await house.sign_in()
    assert not await house.is_in()


async def test_a_provider_that_is_away_or_refuses_us_is_no_way_in(issuer: str) -> None:
    for where, secret in (("http://127.0.0.1:9", SECRET), (issuer, "wrong")):
        house = House(where, secret)
        try:
            if where == issuer:
                house.says()
                assert await house.sign_in() == FAILED
            else:
                assert (await house.http.get("/sign-in/provider")).headers["location"] == FAILED
        finally:
            await house.close()


async def test_without_a_provider_there_is_no_such_way() -> None:
    world = worlds.World()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(world.app()), base_url="http://localhost") as http:
        for path in ("/sign-in/provider", "/sign-in/provider/back"):
            assert (await http.get(path)).status_code == 404
        assert "Sign in with" not in (await http.get("/sign-in")).text
    world.close()
