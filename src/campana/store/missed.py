"""The people of a run as the audience of a new draft: found by what became of them, and copied in the order of their rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace
from pydantic import ValidationError
from sqlalchemy import Column, ColumnElement, Connection, func, literal, not_, or_, select, update

from campana.core.audience import Summary, refusal, resolve_columns
from campana.core.campaign import AudienceSpec, CampaignFile
from campana.core.draft import read_draft
from campana.core.durations import MINUTE
from campana.core.ids import Id, first_id, numbered_id
from campana.core.journey import Outcome
from campana.core.missed import ELSE, NEVER, Choice, Medium, Origin, barred
from campana.core.tally import EMPTY
from campana.store import audiences, campaigns, counters, recipients, suppressions
from campana.store.audiences import Audience
from campana.store.campaigns import RunRow
from campana.store.dialect import SetStatement, given, in_turn
from campana.store.people import BY_OVER, OVER
from campana.store.progress import outcomes
from campana.store.recipients import OUTCOME_NUMBER
from campana.store.schema import audience, audience_row, campaign, recipient
from campana.store.types import IdType, RowNumber

AT_ONCE = 500  # people of one transaction, so that nobody waits long for the writer
LOOKED = 20_000  # rows that one reading looks through
SAME = 10 * MINUTE  # the same press again within this is the first one
R, A = recipient.c, audience_row.c
FROM = given(Column("from_id", IdType), Column("from_number", RowNumber), A.audience_id, A.number)
JSON = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Source:
    """A campaign that ran, with what became of its people."""

    campaign_id: Id
    name: str
    run: RunRow
    outcomes: Mapping[str, int]
    codes: Mapping[tuple[str, str], int]  # (channel, code) -> messages that failed with it
    reasons: Mapping[str, int] | None  # why the unreached were not reached; None: they are too many to look at each

    @property
    def goes_on(self) -> bool:
        """Whether people of it may still get something, or an outcome."""
        return self.run.status in campaigns.LIVE or self.being_ended

    @property
    def being_ended(self) -> bool:
        """Whether it was finished, and not everybody has an outcome yet: of these, nobody knows whether they were missed."""
        return being_ended(self.run)


@dataclass(frozen=True, slots=True)
class Found:
    """The next people that a choice takes, by the numbers of their rows."""

    numbers: Sequence[int]
    left_out: int  # that opted out, or are not to be written to
    through: int  # the last row that was looked at
    last: bool  # there are no more


def being_ended(run: RunRow) -> bool:
    """Whether a run was finished and its people are still being given their outcomes."""
    return run.status == "ended" and not run.swept


def source(c: Connection, workspace_id: Id, campaign_id: Id) -> Source | None:
    """The campaign, when the workspace has it and it was launched to an audience."""
    name = c.scalar(select(campaign.c.name).where(campaign.c.id == campaign_id, campaign.c.workspace_id == workspace_id))
    run = campaigns.latest_run(c, campaign_id) if name is not None else None
    if name is None or run is None or run.audience_id is None:
        return None
    counts = counters.figures_but_minutes(c, run.id)
    codes = counters.failures(counts)
    told = outcomes(counts, run.offered)
    why = reasons(c, run.id) if told.get(Outcome.UNREACHED, 0) <= LOOKED else None
    return Source(campaign_id, name, run, told, codes, why)


# --- finding them -----------------------------------------------------------------------------------------------------------


def fitting(c: Connection, run_id: Id, choice: Choice, media: Sequence[Medium], after: int, limit: int = AT_ONCE) -> Found | None:
    """The next people after a row, None when the run is gone. Who is not enrolled yet comes after all who are."""
    run = campaigns.get_run(c, run_id)
    if run is None:
        return None
    through = run.enrolled_through
    if after < through:
        return _enrolled(c, run, choice, media, after, min(after + LOOKED, through), limit)
    bound = after + LOOKED
    where = (A.audience_id == run.audience_id, A.number > after, A.number <= bound, A.left_out.is_(None))
    wanted = Outcome.WAITING in choice.outcomes and not run.enrolled
    rows = c.execute(select(A.number, A.phone, A.email).where(*where).order_by(A.number).limit(limit)).all() if wanted else []
    told = _told(c, run.workspace_id, rows)
    numbers = [row.number for row in rows if not barred(row.phone, row.email, told, media)]
    if len(rows) == limit:
        return Found(numbers, len(rows) - len(numbers), rows[-1].number, last=False)
    more = wanted and c.scalar(select(A.number).where(A.audience_id == run.audience_id, A.number > bound).limit(1)) is not None
    return Found(numbers, len(rows) - len(numbers), bound, last=not more)


def _enrolled(c: Connection, run: RunRow, choice: Choice, media: Sequence[Medium], after: int, bound: int, limit: int) -> Found:
    low, high = numbered_id(run.id, after), numbered_id(run.id, bound)
    statement = select(R.number, R.phone, R.email, R.outcome).where(R.id > low, R.id <= high, _chosen(choice))
    rows = c.execute(statement.order_by(R.id).limit(limit)).all()
    never = {OUTCOME_NUMBER[one] for one in NEVER}
    told = _told(c, run.workspace_id, rows)
    numbers = [row.number for row in rows if row.outcome not in never and not barred(row.phone, row.email, told, media)]
    through = rows[-1].number if len(rows) == limit else bound
    return Found(numbers, len(rows) - len(numbers), through, last=run.enrolled and through >= run.enrolled_through)


def _chosen(choice: Choice) -> ColumnElement[bool]:
    """Those that the choice takes, and those who wanted no messages: they are counted."""
    wanted = [OUTCOME_NUMBER[Outcome(one)] for one in (*choice.outcomes, *NEVER)]
    if not choice.tells_causes:
        return R.outcome.in_(wanted)
    unreached = OUTCOME_NUMBER[Outcome.UNREACHED]
    because = [_begins(choice.reasons)]
    if ELSE in choice.causes:
        because.append(not_(_begins(choice.besides)))
    return or_(R.outcome.in_([one for one in wanted if one != unreached]), (R.outcome == unreached) & or_(*because))


def _begins(reasons: Sequence[str]) -> ColumnElement[bool]:
    return or_(literal(False), *(func.substr(R.reason, 1, len(one)) == one for one in reasons))


def reasons(c: Connection, run_id: Id) -> Counter[str]:
    """Why the unreached of a run were not reached, the first of them by their rows: no more than one reading looks through."""
    low, high = recipients.id_range(run_id)
    where = (R.id.between(low, high), OVER, R.outcome == OUTCOME_NUMBER[Outcome.UNREACHED])
    some = select(R.reason).with_hint(*BY_OVER).where(*where).order_by(R.id).limit(LOOKED)
    return Counter(c.scalars(some))


def _told(c: Connection, workspace_id: Id, rows: Sequence[object]) -> set[tuple[str, str]]:
    values = {value for row in rows for value in (row.phone, row.email) if value is not None}  # type: ignore[attr-defined]
    return suppressions.among(c, workspace_id, values)


# --- copying them -----------------------------------------------------------------------------------------------------------

_COPIED = (A.cells, A.phone, A.email, A.issues, A.flag)
COPIED = SetStatement(
    audience_row.insert().from_select(
        ["audience_id", "number", *(one.name for one in _COPIED)],
        select(FROM.c.audience_id, FROM.c.number, *_COPIED).where(
            A.audience_id == FROM.c.from_id, A.number == FROM.c.from_number
        ),
    ),
    FROM,
)


def made_by(c: Connection, workspace_id: Id, press: str, now: int) -> Id | None:
    """The draft that this press of a button made a moment ago. Nobody makes one by it until the transaction ends."""
    in_turn(c, f"missed {workspace_id.hex()}")
    recent = select(campaign.c.id, audience.c.origin).join(audience, audience.c.id == campaign.c.audience_id)
    mine = (campaign.c.workspace_id == workspace_id, campaign.c.id >= first_id(now - SAME), audience.c.origin.is_not(None))
    for row in c.execute(recent.where(*mine).order_by(campaign.c.id)):
        if msgspec.json.decode(row.origin, type=Origin).press == press:
            return bytes(row.id)
    return None


def begin(c: Connection, of: Source, audience_id: Id, choice: Choice, now: int, press: str = "") -> None:
    """A new audience with the columns of the run's, whose rows are still to come."""
    wanted = (audience.c.file_name, audience.c.columns, audience.c.spec)
    like = c.execute(select(*wanted).where(audience.c.id == of.run.audience_id)).one()
    spec = _spec_of(c, of.campaign_id, like.spec)
    audiences.create(c, audience_id, of.run.workspace_id, like.file_name, "", like.columns, now, spec.model_dump_json())
    names = msgspec.json.decode(like.columns, type=list[str])
    nobody = replace(EMPTY, fields=resolve_columns(names, spec).custom, refusal=refusal(spec, 0, {}))
    audiences.count(c, audience_id, nobody)
    origin = Origin(of.campaign_id.hex(), of.run.id.hex(), of.name, choice, press=press)
    c.execute(update(audience).where(audience.c.id == audience_id).values(origin=JSON(origin).decode()))


def _spec_of(c: Connection, campaign_id: Id, kept: str) -> AudienceSpec:
    """How the columns are read: as the audience says, or as the file of a campaign from the command line does."""
    found = AudienceSpec.model_validate_json(kept)
    definition = c.scalar(select(campaign.c.definition).where(campaign.c.id == campaign_id)) or ""
    if found != AudienceSpec() or read_draft(definition) is not None:
        return found
    try:
        return CampaignFile.model_validate_json(definition).audience
    except ValidationError:
        return found


def append(c: Connection, into: Audience, from_id: Id, origin: Origin, found: Found) -> Summary:
    """The people found are rows at the end of the audience. Returns its figures with them."""
    before = into.summary.rows
    rows = [
        {"from_id": from_id, "from_number": number, "audience_id": into.id, "number": before + place}
        for place, number in enumerate(found.numbers, 1)
    ]
    COPIED.run(c, rows)
    moved = _with(c, into.id, into.spec, into.summary) if rows else into.summary
    further = replace(origin, through=found.through, left_out=origin.left_out + found.left_out)
    if rows:
        audiences.count(c, into.id, moved)
    c.execute(update(audience).where(audience.c.id == into.id).values(origin=JSON(further).decode()))
    return moved


def _with(c: Connection, audience_id: Id, spec: AudienceSpec, summary: Summary) -> Summary:
    """The figures with the rows that came after them."""
    fresh = (A.audience_id == audience_id, A.number > summary.rows)
    counted = select(A.flag, func.count().label("rows"), func.count(A.phone).label("phones"), func.count(A.email).label("emails"))
    warned = dict(summary.warned)
    rows = phones = emails = 0
    for row in c.execute(counted.where(*fresh).group_by(A.flag)):
        rows, phones, emails = rows + row.rows, phones + row.phones, emails + row.emails
        if row.flag is not None:
            warned[row.flag] = warned.get(row.flag, 0) + row.rows
    total = summary.rows + rows
    return replace(
        summary,
        rows=total,
        offered=total,
        phones=summary.phones + phones,
        emails=summary.emails + emails,
        warnings=sum(warned.values()),
        warned=warned,
        refusal=refusal(spec, total, {}),
    )
