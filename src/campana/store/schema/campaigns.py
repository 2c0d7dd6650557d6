"""Campaigns and their runs: each person's journey, what waits, and every attempt."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from campana.store.schema.base import an_id, metadata, of_workspace
from campana.store.types import Count, IdType, Micros, Packed, RowNumber

campaign = Table(
    "campaign",
    metadata,
    an_id(),
    of_workspace(),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("kind", Text, nullable=False),  # one_time, recurring, triggered
    Column("definition", Text, nullable=False),  # JSON, as people wrote it; of a draft: core.draft.Draft
    Column("version", Integer, nullable=False, server_default=text("1")),  # of two editors, one sees the other's
    Column("audience_id", IdType),  # of a draft
    Column("owner_id", IdType),  # who made it; NULL on the command line
    Column("changed_by", IdType),
    Column("changed_at", Micros),
    Column("archived_at", Micros),
    Column("created_at", Micros, nullable=False),
    UniqueConstraint("workspace_id", "name_key"),
)

campaign_tag = Table(
    "campaign_tag",
    metadata,
    of_workspace(),
    Column("campaign_id", IdType, ForeignKey("campaign.id"), nullable=False),
    Column("tag", Text, nullable=False),
    Column("is_default", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("workspace_id", "campaign_id", "tag"),
)

run = Table(
    "run",
    metadata,
    an_id(),
    of_workspace(),
    Column("campaign_id", IdType, ForeignKey("campaign.id"), nullable=False),
    Column("mode", Text, nullable=False, server_default=text("'live'")),  # live or test
    Column("status", Text, nullable=False),  # scheduled, sending, paused, sent, ended, failed_to_start
    Column("plan", Text, nullable=False),  # JSON, frozen at launch
    Column("columns", Text, nullable=False),  # JSON list: names of the cells of its recipients
    Column("audience_id", IdType),
    Column("offered", Count, nullable=False, server_default=text("0")),
    Column("enrolled_through", RowNumber, nullable=False, server_default=text("0")),
    Column("enrolled", Boolean, nullable=False, server_default=text("false")),
    Column("swept", Boolean, nullable=False, server_default=text("false")),  # after Finish: everybody has an outcome
    Column("starts_at", Micros, nullable=False),
    Column("started_at", Micros),
    Column("paused_at", Micros),
    Column("finished_at", Micros),
    Column("note", Text),
    Column("watch", Text),  # JSON of core.canary.Watch: whom it was sent to first, and how that goes; NULL: nothing is watched
    Column("created_at", Micros, nullable=False),
    Index("run_status", "status", "starts_at"),
    Index("run_campaign", "campaign_id"),
    Index("run_started", "workspace_id", "started_at"),
)

flow = Table(
    "flow",
    metadata,
    an_id(),
    of_workspace(),
    Column("run_id", IdType, ForeignKey("run.id"), nullable=False),
    Column("step", SmallInteger, nullable=False),  # of the plan; -1: the run's receipt clocks, which no gate holds
    Column("sender_id", IdType, ForeignKey("sender.id")),  # NULL for the clocks
    Column("lane", SmallInteger, nullable=False),  # 0 replies, 1 triggered, 2 bulk
    Column("open_at", Micros, nullable=False, server_default=text("0")),
    Column("held", Text),  # why it is closed, in words
    UniqueConstraint("run_id", "step", "lane"),
)

# The id is `numbered_id(run, audience row)`: a row is enrolled once, and the people of a run lie side by side.
recipient = Table(
    "recipient",
    metadata,
    an_id(),
    of_workspace(),
    Column("run_id", IdType, nullable=False),
    Column("number", RowNumber),  # the audience row; NULL for a triggered one
    Column("key", Text),  # of a triggered recipient: the caller's, never used twice
    Column("contact_id", IdType, nullable=False),
    Column("phone", Text),
    Column("email", Text),
    Column("cells", Text, nullable=False),
    Column("stage", SmallInteger, nullable=False, server_default=text("0")),
    Column("step", SmallInteger, nullable=False, server_default=text("0")),
    Column("tries", SmallInteger, nullable=False, server_default=text("0")),
    Column("flow_id", IdType, nullable=False),  # the flow of its next step, or of its receipt clock
    Column("due_at", Micros),
    Column("unit_id", IdType),
    Column("message_id", IdType),  # its latest attempt
    Column("step_at", Micros),
    Column("reached_at", Micros),
    Column(
        "flags", SmallInteger, nullable=False, server_default=text("0")
    ),  # tried 1, unknown 2, barred 4, handed over 8, read 16
    Column("outcome", SmallInteger, nullable=False, server_default=text("0")),
    Column("reason", Text, nullable=False, server_default=text("''")),
    Index(
        "recipient_key",
        "workspace_id",
        "key",
        unique=True,
        sqlite_where=text("key IS NOT NULL"),
        postgresql_where=text("key IS NOT NULL"),
    ),
    Index("recipient_contact", "contact_id"),
)
# What waits and is in nobody's hands.
Index(
    "recipient_due",
    recipient.c.flow_id,
    recipient.c.due_at,
    sqlite_where=text("due_at IS NOT NULL AND unit_id IS NULL"),
    postgresql_where=text("due_at IS NOT NULL AND unit_id IS NULL"),
)
# Whose journey is not over: few at the end, when it is asked most whether all is over.
Index(
    "recipient_open",
    recipient.c.id,
    sqlite_where=text("stage < 4"),
    postgresql_where=text("stage < 4"),
)
# Those whose journey is over, by what became of them.
Index(
    "recipient_over",
    recipient.c.outcome,
    recipient.c.id,
    sqlite_where=text("stage = 4"),
    postgresql_where=text("stage = 4"),
)

unit = Table(
    "unit",
    metadata,
    an_id(),
    of_workspace(),
    Column("kind", SmallInteger, nullable=False),  # 0 journey steps, 1 conversation turns
    Column("flow_id", IdType, nullable=False),
    Column("sender_id", IdType, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("people", Packed, nullable=False),  # ids, 16 bytes each
    Column("size", Integer, nullable=False),
    Column("cursor", Integer, nullable=False, server_default=text("0")),
    Column("ready_at", Micros, nullable=False),
    Column("token", IdType),  # NULL: nobody works on it
    Column("lease_until", Micros),
    Index("unit_ready", "token", "lane", "ready_at"),
)

message = Table(
    "message",
    metadata,
    an_id(),
    of_workspace(),
    Column("run_id", IdType, nullable=False),
    Column("recipient_id", IdType, nullable=False),
    Column("unit_id", IdType),
    Column("step", SmallInteger, nullable=False),
    Column("attempt", SmallInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("sender_id", IdType, nullable=False),
    Column("to", Text, nullable=False),
    Column("content", Text, nullable=False),  # JSON, frozen as sent
    Column("text", Text, nullable=False),  # as the person reads it
    Column("weight", SmallInteger, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("vendor_id", Text),
    Column("started_at", Micros, nullable=False),
    Column("uncertain_at", Micros),
    Column("unknown_at", Micros),
    Column("queued_at", Micros),
    Column("sent_at", Micros),
    Column("delivered_at", Micros),
    Column("read_at", Micros),
    Column("undelivered_at", Micros),
    Column("failed_at", Micros),
    Column("error_at", Micros),
    Column("code", Text),
    Column("words", Text),
    Column("ask_at", Micros),  # when the vendor is asked what became of it
    Column("asks", SmallInteger, nullable=False, server_default=text("0")),
    Index("message_recipient", "recipient_id"),
    postgresql_partition_by="RANGE (id)",  # a partition a month: see store.partitions
)
Index(
    "message_vendor",
    message.c.vendor_id,
    sqlite_where=text("vendor_id IS NOT NULL"),
    postgresql_where=text("vendor_id IS NOT NULL"),
)
Index(
    "message_open",
    message.c.unit_id,
    sqlite_where=text("status = 10"),
    postgresql_where=text("status = 10"),
)
Index(
    "message_ask",
    message.c.status,
    message.c.ask_at,
    sqlite_where=text("ask_at IS NOT NULL"),
    postgresql_where=text("ask_at IS NOT NULL"),
)
# What people look for in a run's log: what a vendor said something against, all of it and by its code, and what nobody knows.
for name, keys, where in (
    ("message_told", (message.c.run_id, message.c.id), "code IS NOT NULL"),
    ("message_code", (message.c.run_id, message.c.code, message.c.id), "code IS NOT NULL"),
    ("message_unknown", (message.c.run_id, message.c.id), "status IN (20, 30)"),
):
    Index(name, *keys, sqlite_where=text(where), postgresql_where=text(where))

decision = Table(
    "decision",
    metadata,
    an_id(),
    of_workspace(),
    Column("run_id", IdType, nullable=False),
    Column("recipient_id", IdType, nullable=False),
    Column("at", Micros, nullable=False),
    Column("kind", Text, nullable=False),
    Column("step", SmallInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Index("decision_recipient", "recipient_id"),
)

exchange = Table(
    "exchange",
    metadata,
    an_id(),
    of_workspace(),
    Column("message_id", IdType, nullable=False),
    Column("at", Micros, nullable=False),
    Column("request", Text, nullable=False),  # secrets struck out
    Column("answer", Text, nullable=False),
    Index("exchange_message", "message_id"),
)
