"""What people look back at: indexes of logs and outcomes, saved views, reports by e-mail; a watch over runs, a stop for all."""

import sqlalchemy as sa
from alembic import op

from campana.store.types import IdType

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COLUMNS = (
    ("audience", "origin", sa.Text()),
    ("campaign", "owner_id", IdType()),
    ("run", "watch", sa.Text()),
    ("workspace", "stopped_at", sa.BigInteger()),
    ("workspace", "stopped_by", sa.Text()),
)
INDEXES = (
    ("recipient_over", "recipient", ("outcome", "id"), "stage = 4"),
    ("message_told", "message", ("run_id", "id"), "code IS NOT NULL"),
    ("message_code", "message", ("run_id", "code", "id"), "code IS NOT NULL"),
    ("message_unknown", "message", ("run_id", "id"), "status IN (20, 30)"),
)


def upgrade() -> None:
    for table, name, kind in COLUMNS:
        op.add_column(table, sa.Column(name, kind, nullable=True))
    for name, table, keys, where in INDEXES:
        op.create_index(name, table, list(keys), sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.create_table(
        "saved_view",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("owner_id", IdType(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("saved_view_pkey")),
        sa.UniqueConstraint("workspace_id", "page", "name", name=op.f("saved_view_workspace_id_page_name_key")),
    )
    op.create_table(
        "report_mail",
        sa.Column("id", IdType(), nullable=False),
        sa.Column("workspace_id", IdType(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("every", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("addresses", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("token", IdType(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("owner_id", IdType(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("report_mail_pkey")),
    )
    op.create_index("report_mail_due", "report_mail", ["active", "next_at"])
    op.create_index("run_started", "run", ["workspace_id", "started_at"])


def downgrade() -> None:
    op.drop_index("run_started", "run")
    op.drop_table("report_mail")
    op.drop_table("saved_view")
    for name, table, _, _ in INDEXES:
        op.drop_index(name, table)
    for table, name, _ in COLUMNS:
        op.drop_column(table, name)
