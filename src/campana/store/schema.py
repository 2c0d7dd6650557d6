"""All tables. Every row belongs to a workspace; `workspace_id` comes first in every key that people's data is found by.

Times are UTC microseconds, ids 16 bytes, JSON is kept as text the database never looks into.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from campana.store.types import Count, IdType, Micros, Packed, RowNumber

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
    }
)


def _id() -> Column[bytes]:
    return Column("id", IdType, primary_key=True)


def _workspace() -> Column[bytes]:
    return Column("workspace_id", IdType, nullable=False)


# --- accounts -------------------------------------------------------------------------------------------------------------

workspace = Table(
    "workspace",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", Micros, nullable=False),
)

integration = Table(
    "integration",
    metadata,
    _id(),
    _workspace(),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("last_error", Text),
    Column("created_at", Micros, nullable=False),
    UniqueConstraint("workspace_id", "name"),
)

sender = Table(
    "sender",
    metadata,
    _id(),
    _workspace(),
    Column("integration_id", IdType, ForeignKey("integration.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("rate", Float, nullable=False),  # messages or segments a second, as the channel counts
    Column("tat", Micros, nullable=False, server_default=text("0")),  # when its pace has caught up with what was reserved
    Column("daily_limit", Integer),
    Column("day", Integer, nullable=False, server_default=text("0")),  # UTC day since 1970 that `day_used` counts
    Column("day_used", Integer, nullable=False, server_default=text("0")),
    Column("paused_at", Micros),
    Column("trouble", Text),  # why it is paused or slow, in words
    Column("setbacks", Integer, nullable=False, server_default=text("0")),  # vendor not reached this many times running
    Column("created_at", Micros, nullable=False),
    UniqueConstraint("workspace_id", "name"),
)

template = Table(
    "template",
    metadata,
    _workspace(),
    Column("integration_id", IdType, ForeignKey("integration.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("parameter_format", Text, nullable=False),
    Column("components", Text, nullable=False),
    Column("vendor_id", Text, nullable=False),
    Column("changed_at", Micros, nullable=False),
    PrimaryKeyConstraint("workspace_id", "integration_id", "name", "language"),
)

# --- people ---------------------------------------------------------------------------------------------------------------

contact = Table("contact", metadata, _id(), _workspace(), Column("created_at", Micros, nullable=False))

address = Table(
    "address",
    metadata,
    _workspace(),
    Column("kind", Text, nullable=False),  # phone, email, wa_id, user_id
    Column("value", Text, nullable=False),
    Column("contact_id", IdType, nullable=False),
    PrimaryKeyConstraint("workspace_id", "kind", "value"),
    Index("address_contact", "contact_id"),
)

contact_channel = Table(
    "contact_channel",
    metadata,
    _workspace(),
    Column("contact_id", IdType, nullable=False),
    Column("medium", Text, nullable=False),
    Column("last_in_at", Micros),  # opens the vendor's service window
    Column("withheld_until", Micros),  # the vendor asked for no marketing before then
    PrimaryKeyConstraint("workspace_id", "contact_id", "medium"),
)

suppression = Table(
    "suppression",
    metadata,
    _workspace(),
    Column("value", Text, nullable=False),  # the address, normalised
    Column("medium", Text, nullable=False),  # as channels call it, or all
    Column("at", Micros, nullable=False),
    Column("renewed_at", Micros, nullable=False),  # when the wish was last told: what was written before does not lift it
    Column("rule", Text, nullable=False),  # which rule said so
    Column("proof", Text, nullable=False),  # the words, the vendor's code or event
    Column("message_id", IdType),
    PrimaryKeyConstraint("workspace_id", "value", "medium"),
)

# --- what was offered -----------------------------------------------------------------------------------------------------

audience = Table(
    "audience",
    metadata,
    _id(),
    _workspace(),
    Column("file_name", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("columns", Text, nullable=False),  # JSON list
    Column("loaded", Boolean, nullable=False, server_default=text("false")),
    Column("rows", Count, nullable=False, server_default=text("0")),
    Column("offered", Count, nullable=False, server_default=text("0")),
    Column("summary", Text, nullable=False, server_default=text("'{}'")),
    Column("created_at", Micros, nullable=False),
)

audience_row = Table(
    "audience_row",
    metadata,
    Column("audience_id", IdType, nullable=False),
    Column("number", RowNumber, nullable=False),  # 1 is the first row under the header
    Column("cells", Text, nullable=False),  # JSON list, as they stood in the file
    Column("phone", Text),
    Column("email", Text),
    Column("issues", Text),  # JSON list of issues, each with its column; NULL when there are none
    Column("left_out", Text),  # why the row is not offered; NULL when it is
    PrimaryKeyConstraint("audience_id", "number"),
)

# --- campaigns ------------------------------------------------------------------------------------------------------------

campaign = Table(
    "campaign",
    metadata,
    _id(),
    _workspace(),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("kind", Text, nullable=False),  # one_time, recurring, triggered
    Column("definition", Text, nullable=False),  # JSON, as people wrote it
    Column("version", Integer, nullable=False, server_default=text("1")),
    Column("archived_at", Micros),
    Column("created_at", Micros, nullable=False),
    UniqueConstraint("workspace_id", "name_key"),
)

campaign_tag = Table(
    "campaign_tag",
    metadata,
    _workspace(),
    Column("campaign_id", IdType, ForeignKey("campaign.id"), nullable=False),
    Column("tag", Text, nullable=False),
    Column("is_default", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("workspace_id", "campaign_id", "tag"),
)

run = Table(
    "run",
    metadata,
    _id(),
    _workspace(),
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
    Column("created_at", Micros, nullable=False),
    Index("run_status", "status", "starts_at"),
    Index("run_campaign", "campaign_id"),
)

flow = Table(
    "flow",
    metadata,
    _id(),
    _workspace(),
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
    _id(),
    _workspace(),
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

unit = Table(
    "unit",
    metadata,
    _id(),
    _workspace(),
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
    _id(),
    _workspace(),
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

decision = Table(
    "decision",
    metadata,
    _id(),
    _workspace(),
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
    _id(),
    _workspace(),
    Column("message_id", IdType, nullable=False),
    Column("at", Micros, nullable=False),
    Column("request", Text, nullable=False),  # secrets struck out
    Column("answer", Text, nullable=False),
    Index("exchange_message", "message_id"),
)

# --- what comes back --------------------------------------------------------------------------------------------------------

inbox = Table(
    "inbox",
    metadata,
    _id(),
    Column("integration", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("headers", Text, nullable=False),
    Column("body", Packed, nullable=False),
    Column("at", Micros, nullable=False),
)

stray = Table(
    "stray",
    metadata,
    _id(),
    _workspace(),
    Column("integration", Text, nullable=False),
    Column("at", Micros, nullable=False),
    Column("words", Text, nullable=False),
)

inbound = Table(
    "inbound",
    metadata,
    _id(),
    _workspace(),
    Column("integration_id", IdType, nullable=False),
    Column("vendor_id", Text, nullable=False),
    Column("contact_id", IdType, nullable=False),
    Column("conversation_id", IdType),
    Column("recipient_id", IdType),
    Column("medium", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("at", Micros, nullable=False),
    UniqueConstraint("integration_id", "vendor_id"),
    Index("inbound_contact", "contact_id"),
)

conversation = Table(
    "conversation",
    metadata,
    _id(),
    _workspace(),
    Column("contact_id", IdType, nullable=False),
    Column("run_id", IdType),
    Column("recipient_id", IdType),
    Column("status", Text, nullable=False),  # open, closed
    Column("opened_at", Micros, nullable=False),
    Column("closed_at", Micros),
    Index("conversation_contact", "workspace_id", "contact_id"),
    Index("conversation_run", "run_id"),
)

turn = Table(
    "turn",
    metadata,
    _id(),
    _workspace(),
    Column("conversation_id", IdType, nullable=False),
    Column("inbound_id", IdType, nullable=False, unique=True),  # one answer to each inbound
    Column("flow_id", IdType, nullable=False),
    Column("due_at", Micros),
    Column("unit_id", IdType),
    Column("message_id", IdType),
    Column("status", SmallInteger, nullable=False, server_default=text("0")),
)

# --- figures and neighbours -------------------------------------------------------------------------------------------------

counter_delta = Table(
    "counter_delta",
    metadata,
    Column("number", RowNumber, primary_key=True, autoincrement=True),
    Column("run_id", IdType, nullable=False),
    Column("key", Text, nullable=False),
    Column("n", Integer, nullable=False),
)

counter = Table(
    "counter",
    metadata,
    Column("run_id", IdType, nullable=False),
    Column("key", Text, nullable=False),
    Column("n", Count, nullable=False),
    PrimaryKeyConstraint("run_id", "key"),
)

outbox = Table(
    "outbox",
    metadata,
    _id(),
    _workspace(),
    Column("stream", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("body", Packed, nullable=False),
    Column("at", Micros, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    _id(),
    _workspace(),
    Column("at", Micros, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("about", Text, nullable=False),
)
