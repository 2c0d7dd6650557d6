"""Accounts, memberships, sessions, one-time links and throttles, on both databases."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection

from campana.core.access import IDLE, LONGEST, Role
from campana.core.durations import DAY, HOUR, MINUTE, SECOND
from campana.core.ids import Id
from campana.core.throttling import FORGOTTEN, PER_EMAIL, PER_GUESSER, Limit
from campana.store import accounts, links, sessions, throttle, users, workspaces
from campana.store.database import Database
from campana.store.links import Kind
from campana.store.workspaces import LastOwner
from tests.store.conftest import NOW, Begin


def a_user(c: Connection, email: str = "ana@example.com", role: Role | None = Role.OWNER, workspace: str = "default") -> Id:
    """Somebody with an account, in a workspace unless there is no role."""
    user_id = users.create(c, email, email.partition("@")[0], "hash", NOW)
    assert user_id is not None
    if role:
        workspaces.join(c, accounts.ensure_workspace(c, workspace, NOW), user_id, role, NOW)
    return user_id


def test_an_address_has_one_account_however_it_is_written(begin: Begin) -> None:
    with begin() as c:
        assert users.first_may_come(c)
        ana = a_user(c, "Ana@Example.com")
        assert users.create(c, " ana@EXAMPLE.com ", "Other", None, NOW) is None
        found = users.find(c, "ANA@example.COM ")
        assert found is not None
        assert (found.id, found.email) == (ana, "Ana@Example.com")
        assert not users.first_may_come(c)


def test_no_code_counts_twice(begin: Begin) -> None:
    with begin() as c:
        ana = a_user(c)
        users.set_second_factor(c, ana, b"sealed", 100)
        assert [users.use_code(c, ana, step) for step in (100, 99, 101, 101, 100, 102)] == [
            False,
            False,
            True,
            False,
            False,
            True,
        ]


def test_a_recovery_code_works_once_and_for_its_owner_only(begin: Begin) -> None:
    with begin() as c:
        ana, bo = a_user(c), a_user(c, "bo@example.com")
        users.set_recovery_codes(c, ana, [b"1", b"2", b"3"])
        users.set_recovery_codes(c, bo, [b"1"])
        assert [users.use_recovery_code(c, ana, code) for code in (b"2", b"2", b"4", b"3")] == [True, False, False, True]
        assert (users.recovery_codes_left(c, ana), users.recovery_codes_left(c, bo)) == (1, 1)
        users.set_recovery_codes(c, ana, [b"5"])
        assert not users.use_recovery_code(c, ana, b"1")  # those of before are over
        users.set_second_factor(c, ana, None)
        assert (users.recovery_codes_left(c, ana), users.recovery_codes_left(c, bo)) == (0, 1)


def test_two_tries_at_once_with_one_recovery_code_open_one_door(db: Database) -> None:
    def make(c: Connection) -> Id:
        user_id = a_user(c)
        users.set_recovery_codes(c, user_id, [b"one", b"two"])
        return user_id

    async def race() -> list[bool]:
        ana = await db.run(make)
        return list(await asyncio.gather(*(db.run(users.use_recovery_code, ana, b"one") for _ in range(6))))

    assert sorted(asyncio.run(race())) == [False] * 5 + [True]


def test_a_session_slides_and_ends(begin: Begin) -> None:
    with begin() as c:
        ana = a_user(c)
        session = sessions.begin(c, b"hash", ana, None, "Chromium", "127.0.0.1", NOW)
        assert sessions.find(c, b"other", NOW) is None
        found = sessions.find(c, b"hash", NOW + IDLE - 1)
        assert found is not None
        assert (found.user_id, found.role, found.workspace, found.begun) == (ana, Role.OWNER, "default", NOW)
        assert sessions.find(c, b"hash", NOW + IDLE) is None
        sessions.used(c, session, NOW, NOW + 10 * DAY)
        assert sessions.find(c, b"hash", NOW + IDLE + DAY) is not None
        sessions.used(c, session, NOW, NOW + LONGEST - DAY)
        assert sessions.find(c, b"hash", NOW + LONGEST - 1) is not None
        assert sessions.find(c, b"hash", NOW + LONGEST) is None  # however much it was used
        sessions.tidy(c, NOW + LONGEST)
        assert sessions.of_user(c, ana, NOW) == []


def test_who_left_a_workspace_sees_another_of_theirs_or_none(begin: Begin) -> None:
    with begin() as c:
        ana, bo = a_user(c), a_user(c, "bo@example.com")
        ours, other = (accounts.ensure_workspace(c, name, NOW) for name in ("default", "other"))
        workspaces.join(c, other, ana, Role.VIEWER, NOW + 1)
        session = sessions.begin(c, b"hash", ana, other, "", "", NOW)
        found = sessions.find(c, b"hash", NOW)
        assert found is not None
        assert (found.workspace, found.role, found.workspaces) == ("other", Role.VIEWER, ((ours, "default"), (other, "other")))
        sessions.look_at(c, session, ours)
        assert sessions.last_workspace(c, ana) == ours
        workspaces.leave(c, ours, ana)
        found = sessions.find(c, b"hash", NOW)
        assert found is not None
        assert found.workspace == "other"
        with pytest.raises(LastOwner):
            workspaces.leave(c, ours, bo)
        workspaces.leave(c, other, ana)
        assert sessions.find(c, b"hash", NOW) is None


def test_a_workspace_keeps_an_owner(begin: Begin) -> None:
    with begin() as c:
        ours = accounts.ensure_workspace(c, "default", NOW)
        ana, bo = a_user(c), a_user(c, "bo@example.com", Role.EDITOR)
        with pytest.raises(LastOwner):
            workspaces.set_role(c, ours, ana, Role.ADMIN)
        workspaces.set_role(c, ours, bo, Role.OWNER)
        workspaces.set_role(c, ours, ana, Role.ADMIN)
        assert {one.email: one.role for one in workspaces.members(c, ours)} == {
            "ana@example.com": Role.ADMIN,
            "bo@example.com": Role.OWNER,
        }
        assert not workspaces.join(c, ours, ana, Role.OWNER, NOW)  # who is there already keeps what they are
        assert workspaces.role_of(c, ours, ana) is Role.ADMIN


def test_sessions_are_revoked_one_or_all_and_only_ones_own(begin: Begin) -> None:
    with begin() as c:
        ana, bo = a_user(c), a_user(c, "bo@example.com")
        mine, second = (sessions.begin(c, name, ana, None, "", "", NOW) for name in (b"1", b"2"))
        theirs = sessions.begin(c, b"3", bo, None, "", "", NOW)
        sessions.end(c, ana, theirs)
        sessions.end_all(c, ana, but=second)
        assert [one.id for one in sessions.of_user(c, ana, NOW)] == [second]
        assert [one.id for one in sessions.of_user(c, bo, NOW)] == [theirs]
        assert mine != second
        sessions.end_all(c, ana)
        assert sessions.of_user(c, ana, NOW) == []


def test_a_link_works_once_and_not_too_late(begin: Begin) -> None:
    with begin() as c:
        ours, ana = accounts.ensure_workspace(c, "default", NOW), a_user(c)
        reset = links.make(c, Kind.RESET, b"reset", NOW, user_id=ana)
        links.make(c, Kind.INVITATION, b"invited", NOW, ours, email="bo@example.com", role=Role.EDITOR, made_by=ana)
        found = links.find(c, b"invited", NOW + 7 * DAY - 1)
        assert found is not None
        assert (found.kind, found.role, found.email) == (Kind.INVITATION, Role.EDITOR, "bo@example.com")
        assert links.find(c, b"invited", NOW + 7 * DAY) is None
        assert [links.use(c, reset, NOW), links.use(c, reset, NOW)] == [True, False]
        assert links.find(c, b"reset", NOW) is None
        links.make(c, Kind.RESET, b"another", NOW, user_id=ana)
        links.void(c, ana)
        assert links.find(c, b"another", NOW) is None
        assert [one.email for one in links.invitations(c, ours, NOW)] == ["bo@example.com"]
        assert links.revoke(c, accounts.ensure_workspace(c, "other", NOW), found.id) is None
        assert links.revoke(c, ours, found.id) is not None
        assert links.invitations(c, ours, NOW) == []


def test_guesses_wait_longer_and_longer_and_are_forgotten(begin: Begin) -> None:
    with begin() as c:
        assert [throttle.attempt(c, "email ana", PER_EMAIL, NOW) for _ in range(5)] == [0] * 5
        assert throttle.attempt(c, "email ana", PER_EMAIL, NOW) == NOW + SECOND
        assert throttle.attempt(c, "email bo", PER_EMAIL, NOW) == 0
        assert throttle.attempt(c, "email ana", PER_EMAIL, NOW + SECOND) == 0
        assert throttle.attempt(c, "email ana", PER_EMAIL, NOW + 2 * SECOND) == NOW + 3 * SECOND
        throttle.uncount(c, "email ana")
        assert throttle.attempt(c, "email ana", PER_EMAIL, NOW + 2 * SECOND) == 0
        throttle.forgive(c, "email ana")
        assert [throttle.attempt(c, "email ana", PER_EMAIL, NOW) for _ in range(6)][-1] == NOW + SECOND
        assert throttle.attempt(c, "email ana", PER_EMAIL, NOW + FORGOTTEN + SECOND) == 0
        throttle.tidy(c, NOW + 3 * FORGOTTEN)
        assert throttle.attempt(c, "email bo", Limit(free=1, longest=MINUTE), NOW + 3 * FORGOTTEN) == 0


def test_half_of_the_guesses_are_forgotten_each_hour(begin: Begin) -> None:
    with begin() as c:
        for number in range(12):
            assert throttle.attempt(c, "email ana", PER_GUESSER, NOW + number * 5 * MINUTE) == 0
        until = NOW + 55 * MINUTE + PER_GUESSER.delay(12)
        assert throttle.attempt(c, "email ana", PER_GUESSER, until - 1) == until
        again = until + HOUR  # 12 are 6, and this is the seventh
        assert throttle.attempt(c, "email ana", PER_GUESSER, again) == 0
        assert throttle.attempt(c, "email ana", PER_GUESSER, again) == again + PER_GUESSER.delay(7)


@pytest.mark.parametrize(
    ("failures", "delay"),
    [(0, 0), (4, 0), (5, SECOND), (6, 2 * SECOND), (10, 32 * SECOND), (14, 5 * MINUTE), (10_000, 5 * MINUTE)],
)
def test_a_delay_doubles_up_to_its_most(failures: int, delay: int) -> None:
    assert PER_GUESSER.delay(failures) == delay
