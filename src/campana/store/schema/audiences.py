"""What was offered to a campaign: files and their rows."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, PrimaryKeyConstraint, Table, Text, text

from campana.store.schema.base import an_id, metadata, of_workspace
from campana.store.types import Count, IdType, Micros, RowNumber

audience = Table(
    "audience",
    metadata,
    an_id(),
    of_workspace(),
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
