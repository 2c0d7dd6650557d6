"""When an account's webhooks were last heard."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("integration", sa.Column("heard_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("integration", "heard_at")
