"""The workbench: every row of a draft's audience, what is wrong with it, and how it is mended; as a page and as its parts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect, Stream

from campana.channels.contract import N_
from campana.core.access import Permission
from campana.core.audience import DROPPED, REASONS, BadAudience, Columns
from campana.core.campaign import tag_of
from campana.core.ids import Id, id_of
from campana.core.workbench import Row, columns_of
from campana.engine import workbench as benches
from campana.engine.readings import NotADraft, Note, Place, Readings
from campana.engine.report import guard
from campana.engine.workbench import Unchangeable
from campana.store import audience_rows, audiences, audit
from campana.store.audience_rows import PROBLEMS
from campana.store.drafts import DraftRow
from campana.store.workbench import Bench, look, rows_of
from campana.web.console.audience_form import (
    ENCODINGS,
    KINDS,
    PAGE,
    ROLES,
    SEPARATORS,
    WARNINGS,
    Wanted,
    asked_of,
    cells_of,
    countries,
    mended,
    open_cells,
    separator_of,
    surplus,
    told_of,
)
from campana.web.console.csv_files import lines, sent
from campana.web.console.drafts import Wizard, author_of, home_of, house_of, known_draft, workspace_of
from campana.web.console.page import MOST, AnyRequest, Desk, Refused, draw, language_of, number, preference
from campana.web.visitor import Visitor

WHATS = ("save", "drop", "restore", "accept")
AT_ONCE = 2000  # rows of a file in one piece


@dataclass(frozen=True, slots=True)
class BenchView:
    """What the fragments draw from."""

    b: Bench
    wanted: Wanted
    wizard: Wizard
    now: int
    columns: Columns | None
    done: str = ""  # what was just done, as verb:number
    trouble: str = ""  # why something could not be done
    may_edit: bool = True
    typed: Mapping[int, Mapping[int, str]] = field(default_factory=dict)  # row -> what somebody typed that is not kept

    @property
    def home(self) -> str:
        return f"{self.wizard.home}/audience"

    @property
    def reading(self) -> bool:
        return self.b.reading is not None and self.b.reading.runs(self.now)

    @property
    def died(self) -> bool:
        return self.b.reading is not None and self.b.reading.died(self.now)

    @property
    def changing(self) -> bool:
        return self.b.change is not None and self.b.change.runs(self.now)

    @property
    def copying(self) -> bool:
        """Whether people of another campaign are being copied into this audience."""
        return self.b.copying is not None and self.b.copying.runs(self.now)

    @property
    def change_died(self) -> bool:
        return self.b.change is not None and self.b.change.died(self.now)

    @property
    def editable(self) -> bool:
        """Whether rows can be changed now."""
        a = self.b.audience
        return bool(self.may_edit and a and a.loaded and not self.b.shared and not self.reading and not self.changing)

    @property
    def kinds(self) -> list[tuple[str, int]]:
        """What can be filtered by, and how many rows that is; what is chosen stays, though it is empty now."""
        if self.b.audience is None:
            return []
        of = {**self.b.audience.summary.warned, **self.b.audience.summary.left_out}
        return [(kind, of.get(kind, 0)) for kind in KINDS if of.get(kind) or kind == self.wanted.shown]

    @property
    def problems(self) -> int:
        """Rows that something is wrong with, dropped ones apart."""
        return sum(n for kind, n in self.kinds if kind in REASONS and kind != DROPPED)

    @property
    def of_shown(self) -> int:
        """How many rows the filter takes."""
        rows = self.b.audience.summary.rows if self.b.audience else 0
        return {"": rows, PROBLEMS: self.problems}.get(self.wanted.shown, dict(self.kinds).get(self.wanted.shown, 0))

    @property
    def first(self) -> int:
        return self.b.rows[0].number if self.b.rows else 0

    @property
    def last(self) -> int:
        return self.b.rows[-1].number if self.b.rows else 0

    def cells(self, row: Row) -> set[int]:
        """The cells of a row that can be typed into."""
        if not self.editable or self.b.audience is None:
            return set()
        places = (self.columns.phone, self.columns.email) if self.columns else (None, None)
        edit = row.number == self.wanted.edit or bool(self.typed.get(row.number))
        return open_cells(row, self.b.audience.columns, places, edit)

    def surplus(self, row: Row) -> list[int]:
        """The cells of a row that belong to no column."""
        return sorted(surplus(row, self.b.audience.columns)) if self.b.audience else []

    def text(self, row: Row, at: int) -> str:
        """What stands in a cell that can be typed into."""
        return self.typed.get(row.number, {}).get(at, row.cells[at] if at < len(row.cells) else "")

    @property
    def said(self) -> tuple[str, str]:
        """What is to be said of what was just done: a verb, and the row. One that was saved may be wrong still."""
        verb, _, about = self.done.partition(":")
        wrong = verb == "save" and any(str(row.number) == about and row.left_out for row in self.b.rows)
        return "wrong" if wrong else verb, about

    def focus(self) -> tuple[int, int] | None:
        """The cell to go on with: the first that is open, below the row that was just changed if there is one."""
        verb, _, which = self.done.partition(":")
        after = number(which) if verb in WHATS else 0
        if not after and not self.wanted.edit:
            return None
        rows = [row for row in self.b.rows if (row.number > after and not self.wanted.edit) or row.number == self.wanted.edit]
        return next(((row.number, min(cells)) for row in rows if (cells := self.cells(row))), None)


def place_of(request: AnyRequest, campaign: str) -> Place:
    """Whose audience an address means."""
    campaign_id = id_of(campaign)
    if campaign_id is None:
        raise NotFoundException
    return Place(workspace_of(request), campaign_id)


def readings_of(request: AnyRequest) -> Readings:
    """What reads files in this process."""
    found = Desk.of(request).console.readings
    if found is None:
        raise Refused(N_("This process does not read files. Open the console of one that does."))
    return found


def noted(request: AnyRequest, at: Place, what: str, about: str, **details: Any) -> Note:
    """Writes a change into the audit log."""
    author, now = author_of(request), Desk.of(request).console.clock.now()

    def note(c: Any) -> None:
        who = (author.user_id, author.who)
        audit.note(c, at.workspace_id, *who, what, about, now, at.campaign_id, details, author.address)

    return note


async def view_of(request: AnyRequest, draft: DraftRow, wanted: Wanted, done: str = "", trouble: str = "") -> BenchView:
    """The bench of a draft, with the rows that are wanted."""
    console = Desk.of(request).console
    page = (wanted.shown, wanted.first, wanted.until, PAGE)
    found: Bench | None = await console.read(look, workspace_of(request), draft.id, *page)
    if found is None:
        raise NotFoundException
    columns = columns_of(found.audience.columns, found.audience.spec) if found.audience and found.audience.columns else None
    wizard, may = Wizard(draft.id, draft.name, "setup"), Visitor.of(request).may(Permission.EDIT)
    return BenchView(found, wanted, wizard, console.clock.now(), columns, done, trouble, may)


def answered(request: AnyRequest, view: BenchView, status: int = 200) -> Response[Any]:
    """The page, or the part of it that a part asked for."""
    template = "_bench.html" if "hx-request" in request.headers else "workbench.html"
    words = {"countries": countries(language_of(request)), "separators": SEPARATORS, "encodings": ENCODINGS, "roles": ROLES}
    return draw(request, template, status=status, v=view, warnings=WARNINGS, **words)


@get("/campaigns/{campaign:str}/audience", needs=Permission.VIEW, include_in_schema=False)
async def workbench(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """The workbench as a page, complete without script."""
    if answer := preference(request):
        return answer
    return await _shown(request, campaign, request.query_params.get("done", ""))


@get("/campaigns/{campaign:str}/audience/bench", needs=Permission.VIEW, include_in_schema=False)
async def bench(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """The part of the page that changes."""
    return await _shown(request, campaign)


async def _shown(request: AnyRequest, campaign: str, done: str = "") -> Response[Any]:
    draft = await known_draft(request, campaign)
    if isinstance(draft, Redirect):
        return cast("Response[Any]", draft)
    view = await view_of(request, draft, asked_of(request), done)
    answer = answered(request, view)
    if view.wanted.poll and not view.reading and not view.changing and not view.copying:
        answer.headers["HX-Refresh"] = "true"  # the work is over: there is more to see than this part
    return answer


# --- changing rows ----------------------------------------------------------------------------------------------------------


@post("/campaigns/{campaign:str}/audience/rows/{number:int}", needs=Permission.EDIT, include_in_schema=False)
async def change_row(request: AnyRequest, campaign: FromPath[str], number: FromPath[int]) -> Response[Any]:
    """Mends a row, drops it, brings it back, or takes it as it is."""
    if not 0 < number <= MOST:
        raise NotFoundException
    form = dict((await request.form()).multi_items())
    do = str(form.get("do", "save"))
    what = cast("benches.What", do if do in WHATS else "save")
    at = place_of(request, campaign)
    note = noted(request, at, "audience.row", f"row {number}", how=what)
    cells = cells_of(form) if what == "save" else {}

    async def act(audience_id: Id) -> str:
        new = cells
        if do not in WHATS:
            audience = await Desk.of(request).console.read(audiences.load, at.workspace_id, audience_id)
            new = mended(cells, audience.columns, do, separator_of(audience)) if audience else cells
        await benches.change(house_of(request), at, audience_id, number, what, new, note, str(form.get("seen", "")))
        return f"{what}:{number}"

    return await _acted(request, campaign, form, act, {number: cells})


@post("/campaigns/{campaign:str}/audience/rows", needs=Permission.EDIT, include_in_schema=False)
async def change_rows(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """Drops all rows of a kind, takes them as they are, or brings all that were dropped back."""
    form = dict((await request.form()).multi_items())
    do, _, kind = str(form.get("do", "")).partition(":")
    if do not in WHATS[1:] or kind not in KINDS:
        raise NotFoundException
    at = place_of(request, campaign)
    note = noted(request, at, "audience.rows", kind, how=do)

    async def act(audience_id: Id) -> str:
        await benches.change_all(readings_of(request), at, audience_id, cast("benches.What", do), kind, note)
        return f"all-{do}:{kind}"

    return await _acted(request, campaign, form, act)


async def _acted(
    request: AnyRequest, campaign: str, form: Mapping[str, Any], act: Any, typed: Mapping[int, Mapping[int, str]] | None = None
) -> Response[Any]:
    """Does it, then shows the same rows again: as a part, or on the page of their address; with what was typed when it could
    not be done."""
    draft, done, trouble = await known_draft(request, campaign), "", ""
    if isinstance(draft, Redirect):
        raise Refused(N_("This campaign was launched meanwhile: its people are those it was launched with."))
    wanted = Wanted.read({**form, "edit": ""})
    try:
        done = await act(id_of(str(form.get("audience", ""))) or b"")
    except (Unchangeable, NotADraft) as error:
        trouble = str(error)
    if trouble:
        view = await view_of(request, draft, wanted, trouble=trouble)
        return answered(request, replace(view, typed=typed or {}), 409)
    if "hx-request" in request.headers:
        return answered(request, await view_of(request, draft, wanted, done))
    query = wanted.query()
    return Redirect(f"{home_of(draft.id)}/audience{query}{'&' if query else '?'}done={done}", status_code=303)


# --- reading again ----------------------------------------------------------------------------------------------------------


@post("/campaigns/{campaign:str}/audience/read", needs=Permission.EDIT, include_in_schema=False)
async def read_again(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """Reads the file again, as the form says; as before when the button says so."""
    form, at = dict((await request.form()).multi_items()), place_of(request, campaign)
    draft = await known_draft(request, campaign)
    if isinstance(draft, Redirect):
        raise Refused(N_("This campaign was launched meanwhile: its people are those it was launched with."))
    view = await view_of(request, draft, Wanted())
    audience, attempt = view.b.audience, view.b.attempt
    if audience is None:
        raise Refused("There is no file to read again. Upload it.")
    found = attempt.found if attempt and attempt.found else audience.reading.found
    told, spec = told_of(form, found, audience.spec)
    if form.get("do") == "same" and attempt:
        told, spec = attempt.told, audience.spec.model_validate(attempt.spec)
    note = noted(request, at, "audience.read", audience.file_name)
    try:
        await readings_of(request).again(at, told, spec, note)
    except (BadAudience, NotADraft) as error:
        raise Refused(str(error)) from error
    return Redirect(f"{home_of(draft.id)}/audience", status_code=303)


# --- files ------------------------------------------------------------------------------------------------------------------


@get("/campaigns/{campaign:str}/audience/problems.csv", needs=Permission.VIEW, include_in_schema=False)
async def problems_csv(request: AnyRequest, campaign: FromPath[str]) -> Response[Any] | Stream:
    """The rows that something is wrong with, each with its reasons, as a file to mend and upload again."""
    draft = await known_draft(request, campaign)
    if isinstance(draft, Redirect):
        return cast("Response[Any]", draft)
    view = await view_of(request, draft, Wanted())
    if view.b.audience is None:
        raise NotFoundException
    return sent(f"{tag_of(draft.name)}-problems.csv", _problem_lines(request, view))


async def _problem_lines(request: AnyRequest, view: BenchView) -> AsyncIterator[bytes]:
    audience, read = view.b.audience, Desk.of(request).console.read
    assert audience is not None  # noqa: S101 - asked before
    words = Desk.of(request).templates(request).get_template("_issues.html").module
    heads = [str(words.head_row()).strip(), str(words.head_reasons()).strip()]  # type: ignore[attr-defined]
    yield lines([[*map(guard, audience.columns), *heads]], first=True)
    number = 0
    while rows := rows_of(await read(audience_rows.from_number, audience.id, PROBLEMS, number + 1, AT_ONCE)):
        said = [
            " ".join(str(words.issue_words(issue, audience.spec)).strip() for issue in row.issues)  # type: ignore[attr-defined]
            for row in rows
        ]
        yield lines([[*map(guard, row.cells), str(row.number), why] for row, why in zip(rows, said, strict=True)])
        number = rows[-1].number


@get("/audience-template.csv", needs=Permission.VIEW, include_in_schema=False)
async def template_csv(request: AnyRequest) -> Stream:
    """A file to fill in."""

    async def example() -> AsyncIterator[bytes]:
        yield lines([["name", "phone", "email"], ["Ana", "+525511223344", "ana@example.com"]], first=True)

    return sent("audience-template.csv", example())
