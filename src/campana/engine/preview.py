"""A draft looked at step by step: what is missing, and what each step says to one person, by the renderer that sends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from campana.channels.contract import Channel, Content, Render, TemplateField, UnfitContent, VendorTemplate
from campana.core import segments
from campana.core.draft import LONGEST, Draft, DraftStep
from campana.core.message import Reach, Rendered
from campana.core.preflight import Finding, Where, blocker, warning
from campana.core.segments import Segments
from campana.core.template import compile_text, suspicious, unknown_fields
from campana.engine.house import vendor_template
from campana.store import suppressions
from campana.store.choices import Choices, SenderChoice
from campana.store.previews import Person

EXAMPLE_LINK = "https://example.com/"
EMAIL = "email"
APPROVED = "APPROVED"
TOO_LONG = "text_too_long"


@dataclass(frozen=True, slots=True)
class Sheet:
    """One step with all that it stands on. `findings` say what is missing; `render` is there when it can say something."""

    number: int
    step: DraftStep
    sender: SenderChoice | None = None
    channel: Channel | None = None
    template: VendorTemplate | None = None
    templates: Sequence[VendorTemplate] = ()  # approved ones of its sender's account
    fields: Sequence[TemplateField] = ()
    buttons: Sequence[str] = ()
    render: Render | None = None
    findings: Sequence[Finding] = ()

    @property
    def by_template(self) -> bool:
        """Whether its channel takes templates and no text of ours."""
        return self.channel is not None and self.channel.templates is not None

    @property
    def countable(self) -> bool:
        """Whether everybody's text can be made: previews show a template's empty fields by name, a sending cannot."""
        return self.render is not None and not any(finding.code == "unmapped" for finding in self.findings)

    @property
    def content(self) -> Content:
        """What it says, for its channel."""
        return content_of(self.step, self.by_template)


def content_of(step: DraftStep, by_template: bool) -> Content:
    """What a step says: of text and template only what its channel takes; values that say nothing are left away."""
    if by_template:
        values = {name: text for name, text in step.values.items() if text}
        return Content(template=step.template, language=step.language, values=values)
    return Content(text=step.text)


def offered_senders(choices: Choices, channels: Mapping[str, Channel]) -> list[SenderChoice]:
    """Those that can be chosen: in use, and e-mail only where the workspace takes part in its trial (contract 85, 86)."""
    return [one for one in choices.senders if one.active and _allowed(one, choices, channels)]


def _allowed(sender: SenderChoice, choices: Choices, channels: Mapping[str, Channel]) -> bool:
    channel = channels.get(sender.kind)
    return channel is not None and (channel.suppresses != EMAIL or choices.email_alpha)


def sheets(draft: Draft, choices: Choices, channels: Mapping[str, Channel], columns: Sequence[str]) -> list[Sheet]:
    """Every step of a draft, looked at."""
    return [_sheet(number, step, choices, channels, columns) for number, step in enumerate(draft.steps, 1)]


def _sheet(number: int, step: DraftStep, choices: Choices, channels: Mapping[str, Channel], columns: Sequence[str]) -> Sheet:
    sender, where = choices.sender(step.sender), f"{step.key}-sender"
    if sender is None or sender.kind not in channels:
        code = "sender_gone" if step.sender else "no_sender"
        return Sheet(number, step, findings=(blocker(code, Where.JOURNEY, where),))
    sheet = Sheet(number, step, sender, channels[sender.kind])
    findings = _of_sender(sender, where, choices, channels)
    filled = _with_template(sheet, choices, columns) if sheet.by_template else _with_text(sheet, columns)
    return replace(filled, findings=(*findings, *filled.findings))


def _of_sender(sender: SenderChoice, where: str, choices: Choices, channels: Mapping[str, Channel]) -> list[Finding]:
    if not sender.active or not _allowed(sender, choices, channels):
        return [blocker("sender_off", Where.JOURNEY, where, name=sender.name)]
    if sender.paused_at is not None:
        return [warning("sender_paused", Where.JOURNEY, where, name=sender.name, words=sender.trouble or "")]
    return []


def _with_text(sheet: Sheet, columns: Sequence[str]) -> Sheet:
    where, text = f"{sheet.step.key}-text", sheet.step.text
    if not text.strip():
        return replace(sheet, findings=(blocker("no_text", Where.JOURNEY, where),))
    if sheet.channel and sheet.channel.needs_template:
        return replace(sheet, findings=(blocker("text_not_taken", Where.JOURNEY, where, label=sheet.channel.label),))
    if len(text) > LONGEST:
        return replace(sheet, findings=(_too_long(text, where),))
    findings = _unknown([text], columns, where)
    findings += [warning(one.code, Where.JOURNEY, where, found=one.found, name=one.name) for one in suspicious(text)]
    return _compiled(sheet, findings, sheet.content, where)


def _with_template(sheet: Sheet, choices: Choices, columns: Sequence[str]) -> Sheet:
    step, where = sheet.step, f"{sheet.step.key}-template"
    known = templates_of(choices, sheet.sender)
    sheet = replace(sheet, templates=[one for one in known if one.status == APPROVED])
    if not step.template:
        return replace(sheet, findings=(blocker("no_template", Where.JOURNEY, where),))
    named = {"name": step.template, "language": step.language}
    found = next((one for one in known if (one.name, one.language) == (step.template, step.language)), None)
    if found is None:
        return replace(sheet, findings=(blocker("template_gone", Where.JOURNEY, where, **named),))
    if found.status != APPROVED:
        finding = blocker("template_not_approved", Where.JOURNEY, where, **named, status=found.status)
        return replace(sheet, template=found, findings=(finding,))
    return _filled(replace(sheet, template=found), columns, where)


def _filled(sheet: Sheet, columns: Sequence[str], where: str) -> Sheet:
    """With the fields of its template; those that nobody filled show their name in previews."""
    told = sheet.channel.templates if sheet.channel else None
    if told is None or sheet.template is None:
        raise ValueError("a sheet is filled once its template is known")
    try:
        fields, buttons = told.fields(sheet.template), told.buttons(sheet.template)
    except UnfitContent as error:
        return replace(sheet, findings=(blocker("unfit", Where.JOURNEY, where, words=str(error), why=error.why),))
    sheet = replace(sheet, fields=fields, buttons=buttons)
    content = sheet.content
    known = {one.key for one in fields}
    values = {name: text for name, text in content.values.items() if name in known}
    missing = [one for one in fields if one.needed and not values.get(one.key, "").strip()]
    findings = [
        blocker("unmapped", Where.JOURNEY, f"{sheet.step.key}-value-{one.key}", part=one.part, name=one.name) for one in missing
    ]
    findings += [
        finding for name, text in values.items() for finding in _unknown([text], columns, f"{sheet.step.key}-value-{name}")
    ]
    long = [_too_long(text, f"{sheet.step.key}-value-{name}") for name, text in values.items() if len(text) > LONGEST]
    if long:
        return replace(sheet, findings=(*findings, *long))
    shown = {one.key: EXAMPLE_LINK if one.link else f"[{one.name}]" for one in missing}
    return _compiled(sheet, findings, replace(content, values=values | shown), where)


def _too_long(text: str, where: str) -> Finding:
    return blocker(TOO_LONG, Where.JOURNEY, where, characters=len(text), most=LONGEST)


def _unknown(texts: Iterable[str], columns: Sequence[str], where: str) -> list[Finding]:
    """The columns that are named and are none of the audience's, perhaps no more (contract 84)."""
    names = [name for text in texts for name in unknown_fields(compile_text(text), columns)]
    return [blocker("unknown_column", Where.JOURNEY, where, column=name) for name in names]


def _compiled(sheet: Sheet, findings: Sequence[Finding], content: Content, where: str) -> Sheet:
    if sheet.channel is None:
        raise ValueError("a sheet is compiled once its channel is known")
    try:
        return replace(sheet, findings=tuple(findings), render=sheet.channel.compile(content, sheet.template))
    except UnfitContent as error:
        return replace(sheet, findings=(*findings, blocker("unfit", Where.JOURNEY, where, words=str(error), why=error.why)))


def templates_of(choices: Choices, sender: SenderChoice | None) -> list[VendorTemplate]:
    """The templates of a sender's account, whatever the vendor thinks of them."""
    return [
        vendor_template(row) for row in choices.templates if sender is not None and row.integration_id == sender.integration_id
    ]


# --- for one person ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """What one person gets of one step. `skipped` says why they get nothing of it: no_phone, no_email, opted_out, problem."""

    text: str = ""
    skipped: str = ""
    words: str = ""  # with `problem`: the channel's
    why: Mapping[str, Any] = field(default_factory=dict)  # the same in codes, where the channel has them
    empty: Sequence[str] = ()  # columns of the text that are empty for this person
    count: Segments | None = None  # where the channel counts parts


def shown(sheet: Sheet, person: Person) -> Shown | None:
    """What that person gets of the step; None while the step says nothing."""
    if sheet.render is None or sheet.channel is None:
        return None
    if reason := cannot(sheet.channel, person):
        return Shown(skipped=reason)
    rendered = sheet.render(person.cells)
    empty = empty_columns(sheet, person.cells)
    if rendered.problem:
        return Shown(skipped="problem", why=rendered.why, words=rendered.problem, empty=empty)
    return Shown(rendered.text, empty=empty, count=counted(sheet.channel, rendered))


def cannot(channel: Channel, person: Person) -> str:
    """Why a person cannot be reached on that channel; empty when they can."""
    address = person.phone if channel.reaches is Reach.PHONE else person.email
    if address is None:
        return "no_phone" if channel.reaches is Reach.PHONE else "no_email"
    barred = (address, channel.suppresses) in person.barred or (address, suppressions.ALL) in person.barred
    return "opted_out" if barred else ""


def counted(channel: Channel, rendered: Rendered) -> Segments | None:
    """How the text is written and in how many parts, where the channel counts them."""
    if channel.weight != "segments":
        return None
    return segments.count(rendered.text)._replace(segments=rendered.segments)


def empty_columns(sheet: Sheet, cells: Mapping[str, str]) -> list[str]:
    """The columns that the step names and that are empty for this person."""
    content = sheet.content
    texts = [content.text] if content.text else list(content.values.values())
    return list(dict.fromkeys(name for text in texts for name in compile_text(text).empty_fields(cells)))
