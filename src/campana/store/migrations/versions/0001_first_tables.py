"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from campana.store.types import BySigns, IdType, Packed

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "address",
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", BySigns, nullable=False),
        sa.Column("contact_id", IdType(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "kind", "value", name=op.f("address_pkey")),
    )
    with op.batch_alter_table("address", schema=None) as batch_op:
        batch_op.create_index("address_contact", ["contact_id"], unique=False)

    op.create_table(
        "audience",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("loaded", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("rows", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("offered", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("summary", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("spec", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("reading", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("upload_id", IdType(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("audience_pkey")),
    )
    with op.batch_alter_table("audience", schema=None) as batch_op:
        batch_op.create_index("audience_upload", ["upload_id"], unique=False)

    op.create_table(
        "audience_row",
        sa.Column("audience_id", IdType(), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("cells", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("issues", sa.Text(), nullable=True),
        sa.Column("left_out", sa.Text(), nullable=True),
        sa.Column("flag", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("audience_id", "number", name=op.f("audience_row_pkey")),
    )
    with op.batch_alter_table("audience_row", schema=None) as batch_op:
        batch_op.create_index(
            "audience_row_flag",
            ["audience_id", "flag", "number"],
            unique=False,
            sqlite_where=sa.text("flag IS NOT NULL"),
            postgresql_where=sa.text("flag IS NOT NULL"),
        )
        batch_op.create_index(
            "audience_row_problem",
            ["audience_id", "number"],
            unique=False,
            sqlite_where=sa.text("left_out IS NOT NULL AND left_out <> 'dropped'"),
            postgresql_where=sa.text("left_out IS NOT NULL AND left_out <> 'dropped'"),
        )

    op.create_table(
        "audit",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("user_id", IdType(), nullable=True),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("object_id", IdType(), nullable=True),
        sa.Column("details", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("address", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_pkey")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index("audit_workspace", ["workspace_id", "id"], unique=False)
        batch_op.create_index("audit_who", ["workspace_id", "who", "id"], unique=False)
        batch_op.create_index("audit_what", ["workspace_id", "what", "id"], unique=False)

    op.create_table(
        "campaign",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("audience_id", IdType(), nullable=True),
        sa.Column("changed_by", IdType(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=True),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("campaign_pkey")),
        sa.UniqueConstraint("workspace_id", "name_key", name=op.f("campaign_workspace_id_name_key_key")),
    )
    op.create_table(
        "contact",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("contact_pkey")),
    )
    op.create_table(
        "contact_channel",
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("contact_id", IdType(), nullable=False),
        sa.Column("medium", sa.Text(), nullable=False),
        sa.Column("last_in_at", sa.BigInteger(), nullable=True),
        sa.Column("withheld_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "contact_id", "medium", name=op.f("contact_channel_pkey")),
    )
    op.create_table(
        "conversation",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("contact_id", IdType(), nullable=False),
        sa.Column("run_id", IdType(), nullable=True),
        sa.Column("recipient_id", IdType(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("conversation_pkey")),
    )
    with op.batch_alter_table("conversation", schema=None) as batch_op:
        batch_op.create_index("conversation_contact", ["workspace_id", "contact_id"], unique=False)
        batch_op.create_index("conversation_run", ["run_id"], unique=False)

    op.create_table(
        "counter",
        sa.Column("run_id", IdType(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "key", name=op.f("counter_pkey")),
    )
    op.create_table(
        "counter_delta",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("run_id", IdType(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("counter_delta_pkey")),
    )
    op.create_table(
        "decision",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("run_id", IdType(), nullable=False),
        sa.Column("recipient_id", IdType(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("step", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("decision_pkey")),
    )
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.create_index("decision_recipient", ["recipient_id"], unique=False)

    op.create_table(
        "exchange",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("message_id", IdType(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("exchange_pkey")),
    )
    with op.batch_alter_table("exchange", schema=None) as batch_op:
        batch_op.create_index("exchange_message", ["message_id"], unique=False)

    op.create_table(
        "inbound",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("integration_id", IdType(), nullable=False),
        sa.Column("vendor_id", sa.Text(), nullable=False),
        sa.Column("contact_id", IdType(), nullable=False),
        sa.Column("conversation_id", IdType(), nullable=True),
        sa.Column("recipient_id", IdType(), nullable=True),
        sa.Column("medium", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("inbound_pkey")),
        sa.UniqueConstraint("integration_id", "vendor_id", name=op.f("inbound_integration_id_vendor_id_key")),
    )
    with op.batch_alter_table("inbound", schema=None) as batch_op:
        batch_op.create_index("inbound_contact", ["contact_id"], unique=False)

    op.create_table(
        "inbox",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("body", Packed(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("inbox_pkey")),
    )
    op.create_table(
        "integration",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("hook", sa.Text(), nullable=False),
        sa.Column("credentials", Packed(), nullable=False),
        sa.Column("moved_at", sa.BigInteger(), nullable=True),
        sa.Column("from_file", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("refused", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("refused_since", sa.BigInteger(), nullable=True),
        sa.Column("refused_at", sa.BigInteger(), nullable=True),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("integration_pkey")),
        sa.UniqueConstraint("hook", name=op.f("integration_hook_key")),
    )
    with op.batch_alter_table("integration", schema=None) as batch_op:
        batch_op.create_index("integration_changed", ["changed_at"], unique=False)
        batch_op.create_index(
            "integration_name",
            ["workspace_id", "name"],
            unique=True,
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )

    op.create_table(
        "job",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("object_id", IdType(), nullable=False),
        sa.Column("done", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("beat_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("job_pkey")),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.create_index("job_object", ["object_id", "kind"], unique=False)

    op.create_table(
        "link",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("token_hash", Packed(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=True),
        sa.Column("user_id", IdType(), nullable=True),
        sa.Column("email", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("made_by", IdType(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("link_pkey")),
        sa.UniqueConstraint("token_hash", name=op.f("link_token_hash_key")),
    )
    with op.batch_alter_table("link", schema=None) as batch_op:
        batch_op.create_index("link_workspace", ["workspace_id"], unique=False)

    op.create_table(
        "message",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("run_id", IdType(), nullable=False),
        sa.Column("recipient_id", IdType(), nullable=False),
        sa.Column("unit_id", IdType(), nullable=True),
        sa.Column("step", sa.SmallInteger(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("sender_id", IdType(), nullable=False),
        sa.Column("to", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("weight", sa.SmallInteger(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("vendor_id", sa.Text(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("uncertain_at", sa.BigInteger(), nullable=True),
        sa.Column("unknown_at", sa.BigInteger(), nullable=True),
        sa.Column("queued_at", sa.BigInteger(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("read_at", sa.BigInteger(), nullable=True),
        sa.Column("undelivered_at", sa.BigInteger(), nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("error_at", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("words", sa.Text(), nullable=True),
        sa.Column("ask_at", sa.BigInteger(), nullable=True),
        sa.Column("asks", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("message_pkey")),
        postgresql_partition_by="RANGE (id)",
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute("CREATE TABLE message_default PARTITION OF message DEFAULT")  # the months' own come with the work
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index(
            "message_ask",
            ["status", "ask_at"],
            unique=False,
            sqlite_where=sa.text("ask_at IS NOT NULL"),
            postgresql_where=sa.text("ask_at IS NOT NULL"),
        )
        batch_op.create_index(
            "message_open",
            ["unit_id"],
            unique=False,
            sqlite_where=sa.text("status = 10"),
            postgresql_where=sa.text("status = 10"),
        )
        batch_op.create_index("message_recipient", ["recipient_id"], unique=False)
        batch_op.create_index(
            "message_vendor",
            ["vendor_id"],
            unique=False,
            sqlite_where=sa.text("vendor_id IS NOT NULL"),
            postgresql_where=sa.text("vendor_id IS NOT NULL"),
        )

    op.create_table(
        "outbox",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body", Packed(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("outbox_pkey")),
    )
    op.create_table(
        "recipient",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("run_id", IdType(), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("contact_id", IdType(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("cells", sa.Text(), nullable=False),
        sa.Column("stage", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("step", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tries", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("flow_id", IdType(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("unit_id", IdType(), nullable=True),
        sa.Column("message_id", IdType(), nullable=True),
        sa.Column("step_at", sa.BigInteger(), nullable=True),
        sa.Column("reached_at", sa.BigInteger(), nullable=True),
        sa.Column("flags", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("recipient_pkey")),
    )
    with op.batch_alter_table("recipient", schema=None) as batch_op:
        batch_op.create_index("recipient_contact", ["contact_id"], unique=False)
        batch_op.create_index(
            "recipient_due",
            ["flow_id", "due_at"],
            unique=False,
            sqlite_where=sa.text("due_at IS NOT NULL AND unit_id IS NULL"),
            postgresql_where=sa.text("due_at IS NOT NULL AND unit_id IS NULL"),
        )
        batch_op.create_index(
            "recipient_key",
            ["workspace_id", "key"],
            unique=True,
            sqlite_where=sa.text("key IS NOT NULL"),
            postgresql_where=sa.text("key IS NOT NULL"),
        )
        batch_op.create_index(
            "recipient_open", ["id"], unique=False, sqlite_where=sa.text("stage < 4"), postgresql_where=sa.text("stage < 4")
        )

    op.create_table(
        "stray",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("stray_pkey")),
    )
    op.create_table(
        "suppression",
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("value", BySigns, nullable=False),
        sa.Column("medium", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("renewed_at", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("proof", sa.Text(), nullable=False),
        sa.Column("message_id", IdType(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "value", "medium", name=op.f("suppression_pkey")),
    )
    op.create_table(
        "throttle",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("throttle_pkey")),
    )
    op.create_table(
        "trial",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("press", Packed(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("trial_pkey")),
    )
    with op.batch_alter_table("trial", schema=None) as batch_op:
        batch_op.create_index("trial_workspace", ["workspace_id", "at"], unique=False)

    op.create_table(
        "turn",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("conversation_id", IdType(), nullable=False),
        sa.Column("inbound_id", IdType(), nullable=False),
        sa.Column("flow_id", IdType(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("unit_id", IdType(), nullable=True),
        sa.Column("message_id", IdType(), nullable=True),
        sa.Column("status", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("turn_pkey")),
        sa.UniqueConstraint("inbound_id", name=op.f("turn_inbound_id_key")),
    )
    op.create_table(
        "unit",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("flow_id", IdType(), nullable=False),
        sa.Column("sender_id", IdType(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("people", Packed(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("ready_at", sa.BigInteger(), nullable=False),
        sa.Column("token", IdType(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("unit_pkey")),
    )
    with op.batch_alter_table("unit", schema=None) as batch_op:
        batch_op.create_index("unit_ready", ["token", "lane", "ready_at"], unique=False)

    op.create_table(
        "upload",
        sa.Column("upload_id", IdType(), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("body", Packed(), nullable=False),
        sa.PrimaryKeyConstraint("upload_id", "number", name=op.f("upload_pkey")),
    )
    if op.get_context().dialect.name == "postgresql":  # whoever uploads waits while a file is packed
        op.execute("ALTER TABLE upload ALTER COLUMN body SET STORAGE EXTERNAL")
    op.create_table(
        "user_account",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("totp", Packed(), nullable=True),
        sa.Column("totp_step", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("user_account_pkey")),
        sa.UniqueConstraint("email_key", name=op.f("user_account_email_key_key")),
    )
    op.create_table(
        "workspace",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("setting", sa.Text(), nullable=True),
        sa.Column("zone", sa.Text(), server_default=sa.text("'UTC'"), nullable=False),
        sa.Column("hours", sa.Text(), nullable=True),
        sa.Column("email_alpha", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("workspace_pkey")),
        sa.UniqueConstraint("name", name=op.f("workspace_name_key")),
        sa.UniqueConstraint("setting", name=op.f("workspace_setting_key")),
    )
    op.create_table(
        "campaign_tag",
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("campaign_id", IdType(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("campaign_tag_campaign_id_fkey")),
        sa.PrimaryKeyConstraint("workspace_id", "campaign_id", "tag", name=op.f("campaign_tag_pkey")),
    )
    op.create_table(
        "identity",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("user_id", IdType(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("identity_user_id_fkey")),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("identity_pkey")),
    )
    op.create_table(
        "recovery_code",
        sa.Column("user_id", IdType(), nullable=False),
        sa.Column("code_hash", Packed(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("recovery_code_user_id_fkey")),
        sa.PrimaryKeyConstraint("user_id", "code_hash", name=op.f("recovery_code_pkey")),
    )
    op.create_table(
        "membership",
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("user_id", IdType(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("membership_user_id_fkey")),
        sa.PrimaryKeyConstraint("workspace_id", "user_id", name=op.f("membership_pkey")),
    )
    with op.batch_alter_table("membership", schema=None) as batch_op:
        batch_op.create_index("membership_user", ["user_id"], unique=False)

    op.create_table(
        "run",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("campaign_id", IdType(), nullable=False),
        sa.Column("mode", sa.Text(), server_default=sa.text("'live'"), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("audience_id", IdType(), nullable=True),
        sa.Column("offered", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "enrolled_through", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("enrolled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("swept", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("paused_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("run_campaign_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("run_pkey")),
    )
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.create_index("run_campaign", ["campaign_id"], unique=False)
        batch_op.create_index("run_status", ["status", "starts_at"], unique=False)

    op.create_table(
        "seal",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("proof", Packed(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("seal_pkey")),
    )
    op.create_table(
        "sender",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("integration_id", IdType(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("moved_at", sa.BigInteger(), nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("weight", sa.Text(), nullable=True),
        sa.Column("rate", sa.Float(), nullable=False),
        sa.Column("tat", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("daily_limit", sa.Integer(), nullable=True),
        sa.Column("day", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("day_used", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("paused_at", sa.BigInteger(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("setbacks", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["integration_id"], ["integration.id"], name=op.f("sender_integration_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("sender_pkey")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("sender_workspace_id_name_key")),
    )
    op.create_table(
        "session",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("token_hash", Packed(), nullable=False),
        sa.Column("user_id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=True),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("session_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("session_pkey")),
        sa.UniqueConstraint("token_hash", name=op.f("session_token_hash_key")),
    )
    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.create_index("session_user", ["user_id"], unique=False)

    op.create_table(
        "template",
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("integration_id", IdType(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("parameter_format", sa.Text(), nullable=False),
        sa.Column("components", sa.Text(), nullable=False),
        sa.Column("vendor_id", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["integration_id"], ["integration.id"], name=op.f("template_integration_id_fkey")),
        sa.PrimaryKeyConstraint("workspace_id", "integration_id", "name", "language", name=op.f("template_pkey")),
    )
    op.create_table(
        "flow",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("run_id", IdType(), nullable=False),
        sa.Column("step", sa.SmallInteger(), nullable=False),
        sa.Column("sender_id", IdType(), nullable=True),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("open_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("held", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("flow_run_id_fkey")),
        sa.ForeignKeyConstraint(["sender_id"], ["sender.id"], name=op.f("flow_sender_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("flow_pkey")),
        sa.UniqueConstraint("run_id", "step", "lane", name=op.f("flow_run_id_step_lane_key")),
    )


def downgrade() -> None:
    op.drop_table("flow")
    op.drop_table("template")
    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.drop_index("session_user")

    op.drop_table("session")
    op.drop_table("sender")
    op.drop_table("seal")
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.drop_index("run_status")
        batch_op.drop_index("run_campaign")

    op.drop_table("run")
    with op.batch_alter_table("membership", schema=None) as batch_op:
        batch_op.drop_index("membership_user")

    op.drop_table("membership")
    op.drop_table("recovery_code")
    op.drop_table("identity")
    op.drop_table("campaign_tag")
    op.drop_table("workspace")
    op.drop_table("user_account")
    op.drop_table("upload")
    with op.batch_alter_table("unit", schema=None) as batch_op:
        batch_op.drop_index("unit_ready")

    op.drop_table("unit")
    op.drop_table("turn")
    with op.batch_alter_table("trial", schema=None) as batch_op:
        batch_op.drop_index("trial_workspace")

    op.drop_table("trial")
    op.drop_table("throttle")
    op.drop_table("suppression")
    op.drop_table("stray")
    with op.batch_alter_table("recipient", schema=None) as batch_op:
        batch_op.drop_index("recipient_open", sqlite_where=sa.text("stage < 4"), postgresql_where=sa.text("stage < 4"))
        batch_op.drop_index("recipient_key", sqlite_where=sa.text("key IS NOT NULL"), postgresql_where=sa.text("key IS NOT NULL"))
        batch_op.drop_index(
            "recipient_due",
            sqlite_where=sa.text("due_at IS NOT NULL AND unit_id IS NULL"),
            postgresql_where=sa.text("due_at IS NOT NULL AND unit_id IS NULL"),
        )
        batch_op.drop_index("recipient_contact")

    op.drop_table("recipient")
    op.drop_table("outbox")
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_index(
            "message_vendor", sqlite_where=sa.text("vendor_id IS NOT NULL"), postgresql_where=sa.text("vendor_id IS NOT NULL")
        )
        batch_op.drop_index("message_recipient")
        batch_op.drop_index("message_open", sqlite_where=sa.text("status = 10"), postgresql_where=sa.text("status = 10"))
        batch_op.drop_index(
            "message_ask", sqlite_where=sa.text("ask_at IS NOT NULL"), postgresql_where=sa.text("ask_at IS NOT NULL")
        )

    op.drop_table("message")
    with op.batch_alter_table("link", schema=None) as batch_op:
        batch_op.drop_index("link_workspace")

    op.drop_table("link")
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_index("job_object")

    op.drop_table("job")
    with op.batch_alter_table("integration", schema=None) as batch_op:
        batch_op.drop_index(
            "integration_name", sqlite_where=sa.text("removed_at IS NULL"), postgresql_where=sa.text("removed_at IS NULL")
        )
        batch_op.drop_index("integration_changed")

    op.drop_table("integration")
    op.drop_table("inbox")
    with op.batch_alter_table("inbound", schema=None) as batch_op:
        batch_op.drop_index("inbound_contact")

    op.drop_table("inbound")
    with op.batch_alter_table("exchange", schema=None) as batch_op:
        batch_op.drop_index("exchange_message")

    op.drop_table("exchange")
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.drop_index("decision_recipient")

    op.drop_table("decision")
    op.drop_table("counter_delta")
    op.drop_table("counter")
    with op.batch_alter_table("conversation", schema=None) as batch_op:
        batch_op.drop_index("conversation_run")
        batch_op.drop_index("conversation_contact")

    op.drop_table("conversation")
    op.drop_table("contact_channel")
    op.drop_table("contact")
    op.drop_table("campaign")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index("audit_what")
        batch_op.drop_index("audit_who")
        batch_op.drop_index("audit_workspace")

    op.drop_table("audit")
    with op.batch_alter_table("audience_row", schema=None) as batch_op:
        batch_op.drop_index(
            "audience_row_problem",
            sqlite_where=sa.text("left_out IS NOT NULL AND left_out <> 'dropped'"),
            postgresql_where=sa.text("left_out IS NOT NULL AND left_out <> 'dropped'"),
        )
        batch_op.drop_index(
            "audience_row_flag", sqlite_where=sa.text("flag IS NOT NULL"), postgresql_where=sa.text("flag IS NOT NULL")
        )

    op.drop_table("audience_row")
    with op.batch_alter_table("audience", schema=None) as batch_op:
        batch_op.drop_index("audience_upload")

    op.drop_table("audience")
    with op.batch_alter_table("address", schema=None) as batch_op:
        batch_op.drop_index("address_contact")

    op.drop_table("address")
