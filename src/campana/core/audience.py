"""Whom a file offers: its columns, what is wrong with each cell, and what follows for the row. No file is opened here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal, Protocol

import msgspec

from campana.core.campaign import AudienceSpec
from campana.core.emails import EmailProblem, parse_email
from campana.core.phones import Phone, is_country, parse_phone
from campana.core.seen import Seen
from campana.core.template import column_key

CONTACT = "CONTACT"
DROPPED = "dropped"
DUPLICATE = "duplicate"
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
ADDRESS = re.compile(r"@|\+?\d[\d ().-]{6,}\d")

REASONS = {  # a reason for people
    "missing": "neither phone nor e-mail",
    "malformed": "not an address",
    "letters": "letters in a number",
    "notes": "words beside the address",
    "two_values": "two values in a cell",
    "spreadsheet": "number damaged by a spreadsheet",
    "too_short": "too few digits",
    "too_long": "too long",
    "no_country": "no country code",
    "not_in_country": "no number of the country",
    "too_many_cells": "more cells than the header",
    "empty": "a value is missing",
    "date": "not a date",
    DUPLICATE: "duplicate",
    DROPPED: "dropped by hand",
}


class BadAudience(ValueError):
    """A file that cannot be an audience. The sentence says what to change."""


class Issue(msgspec.Struct, frozen=True):
    """What a person should look at in one cell. A `problem` flags the row, a `warning` does not; when somebody said that the
    cell is right all the same, it is `accepted`."""

    column: str
    code: str
    words: str
    severity: Literal["problem", "warning", "accepted"] = "problem"
    of: int | msgspec.UnsetType = msgspec.UNSET  # of a duplicate: the row that it repeats


class Need(msgspec.Struct, frozen=True):
    """A column that an agent's Custom Data action asks for, named by the action's id (contract 25 to 30)."""

    column: str
    kind: Literal["text", "date"] = "text"
    default: str | None = None


class Columns(msgspec.Struct, frozen=True):
    """The columns of a file by the header, and which of them reach people (positions; None: there is none)."""

    names: tuple[str, ...]
    phone: int | None
    email: int | None
    warnings: tuple[str, ...] = ()

    @property
    def custom(self) -> tuple[str, ...]:
        """The columns that are fields only."""
        return tuple(name for at, name in enumerate(self.names) if at not in (self.phone, self.email))

    def fields(self, cells: Sequence[str]) -> dict[str, str]:
        """A row's cells by column, as texts use them."""
        return dict(zip(self.names, cells, strict=False))


class CheckedRow(msgspec.Struct, frozen=True):
    """One row: as it stood, as we read it, and whether its person is offered. `reason` is the code of its first problem."""

    number: int
    raw: list[str]
    phone: str | None
    email: str | None
    issues: tuple[Issue, ...]
    reason: str | None

    @property
    def offered(self) -> bool:
        return self.reason is None

    @property
    def flag(self) -> str | None:
        """What people look for it by: its reason, or the code of its first warning."""
        return self.reason or next((issue.code for issue in self.issues if issue.severity == "warning"), None)


class Summary(msgspec.Struct, frozen=True):
    """The audience in figures. `refusal` says why it cannot be used as it is; None when it can."""

    rows: int
    offered: int
    phones: int
    emails: int
    duplicates: int
    warnings: int
    left_out: dict[str, int]  # reason -> rows; with `offered` it sums to `rows`
    fields: tuple[str, ...]
    refusal: str | None
    warned: dict[str, int] = {}  # code of a warning -> rows that are offered all the same
    changed: int = 0  # rows that people fixed, dropped or added by hand


def resolve_columns(header: Sequence[str], spec: AudienceSpec, needs: Sequence[Need] = ()) -> Columns:
    """Which column is what; raises BadAudience with one sentence when that cannot be told."""
    if spec.country and not is_country(spec.country):
        raise BadAudience(f"There is no country '{spec.country}'. Write its two letters, as MX, US or GB.")
    names = tuple(name.strip() or f"Column {at}" for at, name in enumerate(header, 1))
    keys = [column_key(name) for name in names]
    _refuse_doubles(names, keys)
    phone = _place(spec.phone, keys, names) if spec.phone else _default_phone(keys, header)
    email = _place(spec.email, keys, names) if spec.email else _position("email", keys)
    if phone is None and email is None:
        raise BadAudience(_no_way_to_reach(names, keys))
    if phone == email:
        raise BadAudience(
            f"The column '{names[phone or 0]}' cannot hold both the phone and the e-mail address. Name two columns."
        )
    warnings = [f"Column {at} has no name and is called 'Column {at}'." for at, name in enumerate(header, 1) if not name.strip()]
    found = Columns(names, phone, email, (*warnings, *_unasked(names, keys, phone, email, needs)))
    missing = [need.column for need in needs if column_key(need.column) not in keys]
    if missing:
        raise BadAudience(f"The agent's actions need a column {_list(missing)}, and the file has none. Add it to the file.")
    return found


def _refuse_doubles(names: Sequence[str], keys: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for at, key in enumerate(keys, 1):
        if key in first:
            raise BadAudience(f"Columns {first[key]} and {at} are both named '{names[at - 1]}'. Rename one of them.")
        first[key] = at


def _position(key: str, keys: Sequence[str]) -> int | None:
    return keys.index(key) if key in keys else None


def _place(asked: str, keys: Sequence[str], names: Sequence[str]) -> int:
    found = _position(column_key(asked), keys)
    if found is None:
        raise BadAudience(f"The file has no column '{asked}'. Its columns are {_list(names)}.")
    return found


def _default_phone(keys: Sequence[str], header: Sequence[str]) -> int | None:
    named = _position("phone", keys)
    return 0 if named is None and header and header[0].strip() == CONTACT else named


def _no_way_to_reach(names: Sequence[str], keys: Sequence[str]) -> str:
    at = _position(column_key(CONTACT), keys)
    if at is None:
        words = f"The file has neither a phone nor an email column. Its columns are {_list(names)}."
        if any(ADDRESS.search(name) for name in names):
            return f"{words} Its first row looks like a person: put the names of the columns above it."
        return f"{words} Name one of them phone or email, or say which one it is."
    if at > 0:
        return f"The column {CONTACT} must be the first one, here it is number {at + 1}. Move it, or name it phone."
    return f"The first column is named '{names[at]}': write it exactly {CONTACT}, or name it phone."


def _unasked(names: Sequence[str], keys: Sequence[str], phone: int | None, email: int | None, needs: Sequence[Need]) -> list[str]:
    asked = {column_key(need.column) for need in needs}
    if not asked:
        return []
    extra = [names[at] for at, key in enumerate(keys) if key not in asked and at not in (phone, email)]
    return [f"No action of the agent is named '{name}'; the column is kept as a field." for name in extra]


def _list(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(f"'{name[:60]}'" for name in names[:most]) + more


class Known(Protocol):
    """Remembers in which row a value came first."""

    def row_of(self, value: str) -> int:
        """The row where the value came first; 0 when it is new."""

    def add(self, value: str, row: int) -> None:
        """From now on the value, which was new, is known from that row."""


class Checker:
    """Checks rows one after the other and keeps count. `phones` and `emails` are those known before."""

    def __init__(
        self,
        columns: Columns,
        spec: AudienceSpec,
        needs: Sequence[Need] = (),
        phones: Known | None = None,
        emails: Known | None = None,
    ) -> None:
        self.columns = columns
        self.spec = spec
        keys = [column_key(name) for name in columns.names]
        self._needs = tuple((keys.index(column_key(need.column)), need) for need in needs)
        self._phones, self._emails = phones or Seen(), emails or Seen()
        self._rows = self._offered_phones = self._offered_emails = 0
        self._left_out: Counter[str] = Counter()
        self._warned: Counter[str] = Counter()

    def check(self, number: int, raw: list[str]) -> CheckedRow:
        """The row as we read it; short rows are filled up, `number` counts from 1 below the header."""
        issues: list[Issue] = []
        width = len(self.columns.names)
        if len(raw) < width:
            raw = raw + [""] * (width - len(raw))
        elif len(raw) > width:
            self._too_wide(raw, issues)
        phone = self._phone(raw, issues)
        email = self._email(raw, issues)
        if phone is None and email is None and not issues:
            issues.append(self._unreachable())
        if self._needs:
            self._check_needs(raw, issues)
        reason = next((issue.code for issue in issues if issue.severity == "problem"), None)
        if reason is None and self._is_double(number, phone, email, issues):
            reason = DUPLICATE
        return self._counted(CheckedRow(number, raw, phone, email, tuple(issues), reason))

    def summary(self) -> Summary:
        """The figures of all rows checked so far."""
        left_out = self._left_out
        return Summary(
            self._rows,
            self._rows - left_out.total(),
            self._offered_phones,
            self._offered_emails,
            left_out[DUPLICATE],
            self._warned.total(),
            dict(left_out.most_common()),
            self.columns.custom,
            refusal(self.spec, self._rows, left_out),
            dict(self._warned.most_common()),
        )

    def _phone(self, raw: list[str], issues: list[Issue]) -> str | None:
        at = self.columns.phone
        if at is None or not raw[at] or raw[at].isspace():
            return None
        found = parse_phone(raw[at], self.spec.country)
        if not isinstance(found, Phone):
            issues.append(Issue(self.columns.names[at], found.code, found.words))
            return None
        if found.warning is not None:
            issues.append(Issue(self.columns.names[at], found.code or "", found.warning, "warning"))
        return found.e164

    def _email(self, raw: list[str], issues: list[Issue]) -> str | None:
        at = self.columns.email
        if at is None or not raw[at] or raw[at].isspace():
            return None
        found = parse_email(raw[at])
        if isinstance(found, EmailProblem):
            issues.append(Issue(self.columns.names[at], found.code, found.words))
            return None
        return found

    def _unreachable(self) -> Issue:
        names = [self.columns.names[at] for at in (self.columns.phone, self.columns.email) if at is not None]
        return Issue(
            names[0], "missing", f"The row has nothing in {_list(names)}: nobody can be reached. Fill it in, or remove it."
        )

    def _too_wide(self, raw: list[str], issues: list[Issue]) -> None:
        extra = [cell for cell in raw[len(self.columns.names) :] if cell.strip()]
        if extra:
            words = f"The row has more cells than the header: '{extra[0][:60]}' belongs to no column. A cell may lack its quotes."
            issues.append(Issue(self.columns.names[-1], "too_many_cells", words))

    def _check_needs(self, raw: list[str], issues: list[Issue]) -> None:
        for at, need in self._needs:
            value = raw[at].strip()
            if not value and need.default is None:
                issues.append(Issue(self.columns.names[at], "empty", f"The agent's action '{need.column}' needs a value here."))
            elif value and need.kind == "date" and (words := date_problem(value)):
                issues.append(Issue(self.columns.names[at], "date", words))

    def _is_double(self, number: int, phone: str | None, email: str | None, issues: list[Issue]) -> bool:
        """Whether an earlier row offers the same address. Only rows that are kept are remembered: the repetition of a row that
        is left out is somebody who would be missed."""
        known_phone = self._phones.row_of(phone) if phone is not None else 0
        known_email = self._emails.row_of(email) if email is not None else 0
        if known_phone:
            issues.append(self._double(self.columns.phone, f"The phone {phone}", known_phone))
        if known_email:
            issues.append(self._double(self.columns.email, f"The e-mail address {email}", known_email))
        if known_phone or known_email:
            return True
        if phone is not None:
            self._phones.add(phone, number)
        if email is not None:
            self._emails.add(email, number)
        return False

    def _double(self, at: int | None, what: str, first: int) -> Issue:
        words = f"{what} is already in row {first}. Keep one of the two."
        return Issue(self.columns.names[at or 0], DUPLICATE, words, of=first)

    def _counted(self, row: CheckedRow) -> CheckedRow:
        self._rows += 1
        if row.reason is not None:
            self._left_out[row.reason] += 1
            return row
        if row.issues and (flag := row.flag):
            self._warned[flag] += 1
        self._offered_phones += row.phone is not None
        self._offered_emails += row.email is not None
        return row


def refusal(spec: AudienceSpec, rows: int, left_out: Mapping[str, int]) -> str | None:
    """Why an audience with so many rows left out cannot be used as it is; None when it can."""
    doubles, dropped = left_out.get(DUPLICATE, 0), left_out.get(DROPPED, 0)
    flagged = sum(left_out.values()) - doubles - dropped
    if not rows:
        return "The audience is empty: the file has no rows below its header. Add people to it."
    if flagged and spec.flagged == "refuse":
        ordered = sorted(left_out.items(), key=lambda pair: (-pair[1], pair[0]))
        why = ", ".join(f"{REASONS.get(reason, reason)}: {n}" for reason, n in ordered if reason not in (DUPLICATE, DROPPED))
        return f"{flagged} of {rows} rows have problems ({why}). Fix or remove them, or leave flagged rows out."
    if doubles and spec.duplicates == "refuse":
        return f"{doubles} of {rows} rows are duplicates. Remove them, or keep the first of each."
    if rows == flagged + doubles + dropped:
        return "Nobody is left in the audience: every row has a problem. Fix the rows and load the file again."
    return None


def date_problem(text: str) -> str | None:
    """Why a text is no date in the form YYYY-MM-DD (contract 30)."""
    if ISO_DATE.fullmatch(text):
        try:
            date.fromisoformat(text)
        except ValueError:
            return f"'{text}' is no day of the calendar. Write the date as 2016-12-25."
        return None
    return f"'{text[:60]}' is not a date in the form YYYY-MM-DD. Write it as 2016-12-25."
