"""What was offered to a campaign: files and their rows."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, PrimaryKeyConstraint, Table, Text, text

from campana.store.schema.base import an_id, metadata, of_workspace
from campana.store.types import Count, IdType, Micros, Packed, RowNumber

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
    Column("spec", Text, nullable=False, server_default=text("'{}'")),  # JSON of core.campaign.AudienceSpec: how it is read
    Column("reading", Text, nullable=False, server_default=text("'{}'")),  # JSON: separator and encoding, as chosen by people
    Column("trouble", Text),  # why the file cannot be read as it is
    Column("upload_id", IdType),  # of the file it is read from; NULL when that is not kept
    Column("origin", Text),  # JSON of core.missed.Origin: the campaign whose people these are; NULL: they came otherwise
    Column("created_at", Micros, nullable=False),
    Index("audience_upload", "upload_id"),
)

# A file itself, in pieces, so that any process can read it again in another way.
upload = Table(
    "upload",
    metadata,
    Column("upload_id", IdType, nullable=False),
    Column("number", RowNumber, nullable=False),
    Column("body", Packed, nullable=False),
    PrimaryKeyConstraint("upload_id", "number"),
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
    Column("flag", Text),  # what people look for it by: `left_out`, or the code of a warning; NULL: there is nothing to see
    PrimaryKeyConstraint("audience_id", "number"),
)
PROBLEM = "left_out IS NOT NULL AND left_out <> 'dropped'"
# What people look at first: the rows that something is wrong with, all of them and one kind after the other.
Index(
    "audience_row_problem",
    audience_row.c.audience_id,
    audience_row.c.number,
    sqlite_where=text(PROBLEM),
    postgresql_where=text(PROBLEM),
)
Index(
    "audience_row_flag",
    audience_row.c.audience_id,
    audience_row.c.flag,
    audience_row.c.number,
    sqlite_where=text("flag IS NOT NULL"),
    postgresql_where=text("flag IS NOT NULL"),
)

# Long work that somebody waits for: reading a file, counting what a launch would send.
job = Table(
    "job",
    metadata,
    an_id(),
    of_workspace(),
    Column("kind", Text, nullable=False),  # import, estimate, export
    Column("object_id", IdType, nullable=False),
    Column("done", Count, nullable=False, server_default=text("0")),
    Column("total", Count),  # NULL: nobody knows yet
    Column("result", Text),  # JSON
    Column("trouble", Text),  # why it failed, in words
    Column("started_at", Micros, nullable=False),
    Column("beat_at", Micros, nullable=False),  # whoever works on it says so; long ago: it is dead
    Column("finished_at", Micros),
    Index("job_object", "object_id", "kind"),
)
