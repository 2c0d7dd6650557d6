"""Campaigns that are being built. Every change counts the version up, so of two editors the second sees what the first did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, exists, select, update
from sqlalchemy.exc import IntegrityError

from campana.core.campaign import CampaignFile, name_key, tag_of
from campana.core.draft import Draft, Schedule, draft_of_file, read_draft
from campana.core.ids import Id
from campana.store import audiences, audit, campaigns
from campana.store.dialect import counted, upsert
from campana.store.schema import campaign, campaign_tag, run, sender, user

ONE_TIME = "one_time"


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change, as the audit log names them."""

    user_id: Id | None
    who: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class DraftRow:
    """A draft as it stands. Times are UTC microseconds."""

    id: Id
    name: str
    tags: tuple[str, ...]  # the one made from the name first
    audience_id: Id | None
    version: int
    changed_by: str  # e-mail address; empty: nobody has changed it since it was made, or they are gone
    changed_by_id: Id | None
    changed_at: int
    draft: Draft

    @property
    def default_tag(self) -> str:
        """The tag that goes with the name."""
        return self.tags[0] if self.tags else ""


@dataclass(frozen=True, slots=True)
class Saved:
    """The change is made; this is the version now."""

    version: int


@dataclass(frozen=True, slots=True)
class Outdated:
    """Somebody else changed the draft first. None of the change was made."""

    theirs: DraftRow


Answer = Saved | Outdated | None  # None: there is no such draft, or it was launched meanwhile


def create(
    c: Connection, workspace_id: Id, name: str, draft: Draft, author: Author, now: int, audience_id: Id | None = None
) -> Id:
    """A new draft of that name, or of the name with a number where it is taken."""
    number, campaign_id = 1, None
    while campaign_id is None:
        tried = name if number == 1 else f"{name} {number}"
        definition = draft.model_dump_json(by_alias=True)
        campaign_id, number = campaigns.create(c, workspace_id, tried, ONE_TIME, definition, (), now), number + 1
    values = {"audience_id": audience_id, "owner_id": author.user_id, "changed_by": author.user_id, "changed_at": now}
    c.execute(update(campaign).where(campaign.c.id == campaign_id).values(**values))
    audit.note(c, workspace_id, author.user_id, author.who, "campaign.made", tried, now, campaign_id, address=author.address)
    return campaign_id


def load(c: Connection, workspace_id: Id, campaign_id: Id) -> DraftRow | None:
    """The draft of that id; None when the workspace has none, or it has a run already."""
    row = c.execute(
        select(
            campaign.c.id,
            campaign.c.name,
            campaign.c.definition,
            campaign.c.audience_id,
            campaign.c.version,
            campaign.c.changed_by,
            campaign.c.changed_at,
            campaign.c.created_at,
            user.c.email,
        )
        .outerjoin(user, user.c.id == campaign.c.changed_by)
        .where(*_a_draft(workspace_id, campaign_id))
    ).first()
    return _row(c, row) if row else None


def _row(c: Connection, row: Any) -> DraftRow:
    return DraftRow(
        row.id,
        row.name,
        tuple(campaigns.tags_of(c, [row.id])[row.id]),
        row.audience_id,
        row.version,
        row.email or "",
        row.changed_by,
        row.changed_at or row.created_at,
        read_draft(row.definition) or Draft(),
    )


def _a_draft(workspace_id: Id, campaign_id: Id) -> tuple[Any, ...]:
    has_run = exists().where(run.c.campaign_id == campaign.c.id)
    return campaign.c.workspace_id == workspace_id, campaign.c.id == campaign_id, campaign.c.kind == ONE_TIME, ~has_run


def _change(c: Connection, workspace_id: Id, campaign_id: Id, version: int, author: Author, now: int, **values: Any) -> Answer:
    where = (*_a_draft(workspace_id, campaign_id), campaign.c.version == version)
    values |= {"version": version + 1, "changed_by": author.user_id, "changed_at": now}
    if c.execute(update(campaign).where(*where).values(**values)).rowcount:
        return Saved(version + 1)
    theirs = load(c, workspace_id, campaign_id)
    return Outdated(theirs) if theirs else None


def save(c: Connection, workspace_id: Id, campaign_id: Id, version: int, draft: Draft, author: Author, now: int) -> Answer:
    """What the draft says is this, when nobody changed it since `version`."""
    return _change(c, workspace_id, campaign_id, version, author, now, definition=draft.model_dump_json(by_alias=True))


def name_taken(c: Connection, workspace_id: Id, name: str, but: Id | None = None) -> bool:
    """Whether another campaign of the workspace, of whatever kind, has that name (contract 5)."""
    found = campaigns.find_by_name(c, workspace_id, name)
    return found is not None and found.id != but


def rename(c: Connection, workspace_id: Id, campaign_id: Id, version: int, name: str, author: Author, now: int) -> Answer | str:
    """The draft has that name, and the tag made from it (contract 88); a sentence when another campaign has the name."""
    shown = " ".join(name.split())
    try:
        with c.begin_nested():  # the database decides between two who take one name at the same moment
            answer = _change(c, workspace_id, campaign_id, version, author, now, name=shown, name_key=name_key(name))
    except IntegrityError:
        return f"There is already a campaign named '{shown}'. Choose another name."
    if isinstance(answer, Saved):
        _follow(c, workspace_id, campaign_id, shown)
    return answer


def _follow(c: Connection, workspace_id: Id, campaign_id: Id, name: str) -> None:
    t = campaign_tag.c
    others = select(t.tag).where(t.workspace_id == workspace_id, t.campaign_id != campaign_id).distinct()
    tag = tag_of(name, c.scalars(others))
    own = (t.workspace_id == workspace_id, t.campaign_id == campaign_id)
    c.execute(campaign_tag.delete().where(*own, t.is_default | (t.tag == tag)))
    c.execute(
        campaign_tag.insert().values(workspace_id=workspace_id, campaign_id=campaign_id, tag=tag, is_default=True),
    )


def add_tag(c: Connection, workspace_id: Id, campaign_id: Id, tag: str) -> bool:
    """The campaign has that tag; False when it had it, or there is no such campaign."""
    known = select(campaign.c.id).where(campaign.c.workspace_id == workspace_id, campaign.c.id == campaign_id)
    if c.scalar(known) is None:
        return False
    row = {"workspace_id": workspace_id, "campaign_id": campaign_id, "tag": tag, "is_default": False}
    return counted(c, upsert(c, campaign_tag).values(**row).on_conflict_do_nothing()) == 1


def remove_tag(c: Connection, workspace_id: Id, campaign_id: Id, tag: str) -> bool:
    """The campaign lost that tag; False when it had none, or it is the one made from the name, which stays (contract 89)."""
    t = campaign_tag.c
    where = (t.workspace_id == workspace_id, t.campaign_id == campaign_id, t.tag == tag, t.is_default.is_(False))
    return c.execute(campaign_tag.delete().where(*where)).rowcount == 1


def remove(c: Connection, workspace_id: Id, campaign_id: Id, author: Author, now: int) -> DraftRow | None:
    """The draft is gone, and is returned as it was; its people are tidied away later. None when there was none."""
    found = load(c, workspace_id, campaign_id)
    if found is None:
        return None
    c.execute(campaign_tag.delete().where(campaign_tag.c.workspace_id == workspace_id, campaign_tag.c.campaign_id == campaign_id))
    c.execute(campaign.delete().where(*_a_draft(workspace_id, campaign_id)))
    if found.audience_id is not None:
        audiences.let_go(c, found.audience_id)
    audit.note(
        c, workspace_id, author.user_id, author.who, "campaign.deleted", found.name, now, campaign_id, address=author.address
    )
    return found


def take(c: Connection, workspace_id: Id, campaign_id: Id, version: int, author: Author, now: int) -> bool:
    """Whoever launches the draft of that version has it for themselves; False when somebody changed or launched it first."""
    return isinstance(_change(c, workspace_id, campaign_id, version, author, now), Saved)


def was_draft(c: Connection, campaign_id: Id) -> bool:
    """Whether the campaign was built in the console, so that it can be a draft again."""
    definition = c.scalar(select(campaign.c.definition).where(campaign.c.id == campaign_id))
    return definition is not None and read_draft(definition) is not None


def reopen(c: Connection, workspace_id: Id, campaign_id: Id, author: Author, now: int) -> str:
    """The campaign, whose run is gone, is a draft of a new version. Returns its name."""
    found = load(c, workspace_id, campaign_id)
    if found is None:
        raise LookupError("a campaign is a draft again once its run is gone")
    _change(c, workspace_id, campaign_id, found.version, author, now)
    return found.name


def copy(c: Connection, workspace_id: Id, campaign_id: Id, name_of: Callable[[str], str], author: Author, now: int) -> Id | None:
    """A new draft says what that campaign says, launched or not, to nobody yet; None when there is no such campaign."""
    found = c.execute(
        select(campaign.c.name, campaign.c.definition).where(
            campaign.c.workspace_id == workspace_id, campaign.c.id == campaign_id
        )
    ).first()
    if found is None:
        return None
    draft = read_draft(found.definition)
    if draft is None:
        senders = c.execute(select(sender.c.name, sender.c.id).where(sender.c.workspace_id == workspace_id))
        draft = draft_of_file(CampaignFile.model_validate_json(found.definition), {row.name: row.id.hex() for row in senders})
    at_no_time = draft.model_copy(update={"schedule": Schedule()})  # its time may be past
    return create(c, workspace_id, name_of(found.name), at_no_time, author, now)
