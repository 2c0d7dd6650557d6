"""Roles: each may do what the one before it may, and nobody gives more than they have."""

from __future__ import annotations

from itertools import pairwise

import pytest

from campana.core.access import Permission, Role, may, may_give

RIGHTS = {  # what the pages promise
    Role.VIEWER: {Permission.VIEW},
    Role.OPERATOR: {Permission.VIEW, Permission.OPERATE},
    Role.EDITOR: {Permission.VIEW, Permission.OPERATE, Permission.EDIT},
    Role.ADMIN: {Permission.VIEW, Permission.OPERATE, Permission.EDIT, Permission.ADMIN},
    Role.OWNER: set(Permission),
}


@pytest.mark.parametrize("role", Role)
def test_what_a_role_may_do(role: Role) -> None:
    assert {needed for needed in Permission if may(role, needed)} == RIGHTS[role]


def test_only_admins_and_owners_give_roles_and_none_above_their_own() -> None:
    given = {(giver, role) for giver in Role for role in Role if may_give(giver, role)}
    assert {giver for giver, _ in given} == {Role.ADMIN, Role.OWNER}
    assert (Role.ADMIN, Role.OWNER) not in given
    assert {role for giver, role in given if giver is Role.OWNER} == set(Role)


def test_the_roles_are_in_order() -> None:
    assert all(RIGHTS[lower] < RIGHTS[higher] for lower, higher in pairwise(Role))
