"""Who may do what: five roles, each of which may do all that the one before it may."""

from __future__ import annotations

from enum import IntEnum, StrEnum

from campana.core.durations import DAY, MINUTE


class Permission(IntEnum):
    """What a page or an action needs; the higher ones hold the lower ones."""

    VIEW = 1  # see campaigns, people, figures
    OPERATE = 2  # pause, resume and finish what runs; answer people
    EDIT = 3  # make and launch campaigns
    ADMIN = 4  # integrations, people and their roles, settings
    OWN = 5  # make and unmake owners, give the workspace away


class Role(StrEnum):
    """What somebody is in a workspace."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    EDITOR = "editor"
    ADMIN = "admin"
    OWNER = "owner"


MOST = {
    Role.VIEWER: Permission.VIEW,
    Role.OPERATOR: Permission.OPERATE,
    Role.EDITOR: Permission.EDIT,
    Role.ADMIN: Permission.ADMIN,
    Role.OWNER: Permission.OWN,
}


def may(role: Role, needed: Permission) -> bool:
    """Whether somebody in that role may do what needs that."""
    return MOST[role] >= needed


def may_give(giver: Role, given: Role) -> bool:
    """Whether somebody may give that role to another, or take it away: nobody gives more than they have."""
    return may(giver, Permission.ADMIN) and MOST[giver] >= MOST[given]


def email_key(email: str) -> str:
    """What makes two spellings of an address the same account."""
    return email.strip().casefold()


# --- sessions ---------------------------------------------------------------------------------------------------------------

IDLE = 14 * DAY  # a session that nobody used for so long is over
LONGEST = 90 * DAY  # and every session after this
NOTICED = 5 * MINUTE  # using a session is written down no more often than this


def expiry(begun: int, now: int) -> int:
    """When a session ends that is used now."""
    return min(now + IDLE, begun + LONGEST)
