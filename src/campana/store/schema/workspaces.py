"""Workspaces, the users who sign in to them, and what was done in them by whom."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, PrimaryKeyConstraint, Table, Text, text

from campana.store.schema.base import an_id, metadata, of_workspace
from campana.store.types import IdType, Micros, Packed

workspace = Table(
    "workspace",
    metadata,
    an_id(),
    Column("name", Text, nullable=False, unique=True),
    Column("setting", Text, unique=True),  # what CAMPANA_WORKSPACE calls it; NULL: made in the console
    Column("zone", Text, nullable=False, server_default=text("'UTC'")),  # in which its times are shown
    Column("hours", Text),  # JSON of core.campaign.Hours: active hours of its campaigns that say nothing else
    Column("email_alpha", Boolean, nullable=False, server_default=text("false")),  # e-mail integrations are offered
    Column("stopped_at", Micros),  # by the emergency stop: nothing goes out until it is lifted
    Column("stopped_by", Text),
    Column("created_at", Micros, nullable=False),
)

user = Table(
    "user_account",
    metadata,
    an_id(),
    Column("email", Text, nullable=False),
    Column("email_key", Text, nullable=False, unique=True),  # trimmed and case folded
    Column("name", Text, nullable=False, server_default=text("''")),
    Column("password", Text),  # argon2; NULL for who signs in elsewhere
    Column("totp", Packed),  # the sealed secret; NULL when there is no second factor
    Column("totp_step", Integer, nullable=False, server_default=text("0")),  # of the last code used: no code counts twice
    Column("language", Text),  # NULL: as the browser asks
    Column("disabled_at", Micros),
    Column("created_at", Micros, nullable=False),
)

# What opens an account once, in place of a code of the app that shows them. A row is gone when its code was used.
recovery_code = Table(
    "recovery_code",
    metadata,
    Column("user_id", IdType, ForeignKey("user_account.id"), nullable=False),
    Column("code_hash", Packed, nullable=False),
    PrimaryKeyConstraint("user_id", "code_hash"),
)

# Who an identity provider says it is.
identity = Table(
    "identity",
    metadata,
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("user_id", IdType, ForeignKey("user_account.id"), nullable=False),
    PrimaryKeyConstraint("issuer", "subject"),
)

membership = Table(
    "membership",
    metadata,
    of_workspace(),
    Column("user_id", IdType, ForeignKey("user_account.id"), nullable=False),
    Column("role", Text, nullable=False),  # as core.access.Role
    Column("created_at", Micros, nullable=False),
    PrimaryKeyConstraint("workspace_id", "user_id"),
    Index("membership_user", "user_id"),
)

session = Table(
    "session",
    metadata,
    an_id(),  # what it is revoked by
    Column("token_hash", Packed, nullable=False, unique=True),  # the token itself is the browser's alone
    Column("user_id", IdType, ForeignKey("user_account.id"), nullable=False),
    Column("workspace_id", IdType),  # which one is looked at
    Column("agent", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("seen_at", Micros, nullable=False),
    Column("expires_at", Micros, nullable=False),
    Index("session_user", "user_id"),
)

# An address that works once: for the first owner, an invitation, a new password.
link = Table(
    "link",
    metadata,
    an_id(),
    Column("token_hash", Packed, nullable=False, unique=True),
    Column("kind", Text, nullable=False),  # owner, invitation, reset
    Column("workspace_id", IdType),
    Column("user_id", IdType),  # whose password; NULL for somebody new
    Column("email", Text, nullable=False, server_default=text("''")),
    Column("role", Text),
    Column("made_by", IdType),
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros, nullable=False),
    Column("used_at", Micros),
    Index("link_workspace", "workspace_id"),
)

# How often something was tried in vain, by what must not be tried for ever: an e-mail address, where it came from.
throttle = Table(
    "throttle",
    metadata,
    Column("key", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("since", Micros, nullable=False),
    Column("until", Micros, nullable=False),  # refused before then
)

audit = Table(
    "audit",
    metadata,
    an_id(),
    of_workspace(),
    Column("at", Micros, nullable=False),
    Column("user_id", IdType),
    Column("who", Text, nullable=False),  # e-mail address, or the program's own part
    Column("what", Text, nullable=False),  # a word like "campaign.launched"
    Column("about", Text, nullable=False),  # what it was done to, as people call it
    Column("object_id", IdType),
    Column("details", Text, nullable=False, server_default=text("'{}'")),  # JSON, without secrets
    Column("address", Text, nullable=False, server_default=text("''")),
    Index("audit_workspace", "workspace_id", "id"),
    Index("audit_who", "workspace_id", "who", "id"),
    Index("audit_what", "workspace_id", "what", "id"),
)
