"""Who is offered: columns, the issues of each cell, doubles, and the figures."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campana.core.audience import BadAudience, CheckedRow, Checker, Need, Summary, date_problem, resolve_columns
from campana.core.campaign import AudienceSpec
from campana.core.seen import Seen


def checked(
    header: list[str], rows: list[list[str]], needs: tuple[Need, ...] = (), **spec: Any
) -> tuple[list[CheckedRow], Summary]:
    asked = AudienceSpec(**spec)
    checker = Checker(resolve_columns(header, asked, needs), asked, needs)
    return [checker.check(number, row) for number, row in enumerate(rows, 1)], checker.summary()


def issues(row: CheckedRow) -> list[tuple[str, str, str]]:
    return [(issue.column, issue.code, issue.severity) for issue in row.issues]


@pytest.mark.parametrize(
    ("header", "spec", "phone", "email", "custom"),
    [
        (["phone"], {}, 0, None, ()),
        (["email"], {}, None, 0, ()),
        (["Name", "EMAIL", " Phone "], {}, 2, 1, ("Name",)),
        (["móvil", "correo", "phone"], {"phone": "MÓVIL", "email": "correo"}, 0, 1, ("phone",)),
        (["id", "mobile", "email"], {"phone": "mobile"}, 1, 2, ("id",)),
        (["CONTACT", "NOMBRE"], {}, 0, None, ("NOMBRE",)),
        (["CONTACT", "phone"], {}, 1, None, ("CONTACT",)),
        (["name", "email", "contact"], {}, None, 1, ("name", "contact")),
    ],
)
def test_the_phone_and_email_columns_are_found_by_name_or_chosen(
    header: list[str], spec: dict[str, str], phone: int | None, email: int | None, custom: tuple[str, ...]
) -> None:
    columns = resolve_columns(header, AudienceSpec(**spec))  # type: ignore[arg-type]
    assert (columns.phone, columns.email, columns.custom) == (phone, email, custom)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (["NOMBRE", "CONTACT"], "must be the first one, here it is number 2"),
        (["Contact", "NOMBRE"], "named 'Contact': write it exactly CONTACT"),
        (["contact"], "write it exactly CONTACT"),
        (["NOMBRE", "contact"], "must be the first one"),
    ],
)
def test_contact_must_be_first_and_exact(header: list[str], sentence: str) -> None:
    with pytest.raises(BadAudience, match=sentence):
        resolve_columns(header, AudienceSpec())


@pytest.mark.parametrize(
    ("header", "spec", "sentence"),
    [
        (["name", "city"], {}, "neither a phone nor an email column. Its columns are 'name', 'city'"),
        (["+525511223344", "Ana"], {}, "looks like a person"),
        (["phone", "name", "Name "], {}, "Columns 2 and 3 are both named 'Name'"),
        (["phone", "PHONE"], {}, "Columns 1 and 2"),
        (["phone"], {"country": "UK"}, "no country 'UK'"),
        (["phone"], {"phone": "mobile"}, "no column 'mobile'. Its columns are 'phone'"),
        (["phone"], {"phone": "phone", "email": "phone"}, "cannot hold both"),
    ],
)
def test_a_header_that_cannot_be_used_is_refused_in_words(header: list[str], spec: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadAudience) as told:
        resolve_columns(header, AudienceSpec(**spec))  # type: ignore[arg-type]
    assert sentence in str(told.value)


def test_a_column_without_a_name_is_called_by_its_place() -> None:
    columns = resolve_columns(["phone", " ", "city"], AudienceSpec())
    assert columns.names == ("phone", "Column 2", "city")
    assert columns.warnings == ("Column 2 has no name and is called 'Column 2'.",)


ACTIONS = (Need("MONTO"), Need("FECHA", "date"), Need("NIVEL", default="oro"))


def test_a_column_an_agent_needs_and_the_file_lacks_is_named() -> None:
    with pytest.raises(BadAudience, match="need a column 'FECHA', 'NIVEL'"):
        resolve_columns(["CONTACT", "MONTO"], AudienceSpec(), ACTIONS)
    assert resolve_columns(["CONTACT"], AudienceSpec()).names == ("CONTACT",)  # without actions all columns are optional


def test_a_column_no_action_asks_for_is_told_and_kept() -> None:
    columns = resolve_columns(["CONTACT", "monto", "FECHA", "NIVEL", "APODO"], AudienceSpec(), ACTIONS)
    assert columns.warnings == ("No action of the agent is named 'APODO'; the column is kept as a field.",)
    assert columns.custom == ("monto", "FECHA", "NIVEL", "APODO")


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["1200", "2016-12-25", "plata"], []),
        (["1200", "2016-12-25", ""], []),  # the action has a default
        (["", "2016-12-25", "plata"], [("MONTO", "empty", "problem")]),
        (["1200", " ", "plata"], [("FECHA", "empty", "problem")]),
        (["1200", "25/12/2016", "plata"], [("FECHA", "date", "problem")]),
    ],
)
def test_one_value_for_each_action(cells: list[str], found: list[tuple[str, str, str]]) -> None:
    rows, _ = checked(["CONTACT", "MONTO", "FECHA", "NIVEL"], [["+525511223344", *cells]], ACTIONS)
    assert issues(rows[0]) == found
    assert rows[0].offered is (not found)


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("2016-12-25", True),
        ("2024-02-29", True),
        ("25/12/2016", False),
        ("2016-13-01", False),
        ("2023-02-29", False),
        ("42729", False),
        ("20161225", False),
        ("2016-12-25 10:00", False),
    ],
)
def test_dates_are_year_month_day(text: str, fine: bool) -> None:
    assert (date_problem(text) is None) is fine


@pytest.mark.parametrize(
    ("email", "phone", "found", "reason"),
    [
        ("a@x.com", "+525511223344", [], None),
        ("a@x.com", "", [], None),
        ("", "+525511223344", [], None),
        ("", " ", [("phone", "missing", "problem")], "missing"),
        ("", "+122233344555", [("phone", "not_in_plan", "warning")], None),
        ("a@x.com; b@x.com", "+525511223344", [("email", "two_values", "problem")], "two_values"),
        ("", "+525511223344 / +525533445566", [("phone", "two_values", "problem")], "two_values"),
        ("a@x.com", "+525511223344 (work)", [("phone", "notes", "problem")], "notes"),
        ("a@x.com", "1.25501E+11", [("phone", "spreadsheet", "problem")], "spreadsheet"),
        ("nope", "12", [("phone", "too_short", "problem"), ("email", "malformed", "problem")], "too_short"),
    ],
)
def test_issues_are_told_for_each_cell(email: str, phone: str, found: list[tuple[str, str, str]], reason: str | None) -> None:
    rows, _ = checked(["email", "phone", "name"], [[email, phone, "Ana"]])
    assert (issues(rows[0]), rows[0].reason) == (found, reason)
    assert rows[0].raw == [email, phone, "Ana"]


def test_a_row_needs_a_phone_or_an_email() -> None:
    rows, summary = checked(["email", "phone"], [["", ""], ["a@x.com", ""], ["", "+525511223344"]], flagged="leave_out")
    assert [row.offered for row in rows] == [False, True, True]
    assert "nobody can be reached" in rows[0].issues[0].words
    assert (summary.offered, summary.left_out, summary.refusal) == (2, {"missing": 1}, None)


def test_doubles_are_found_after_normalising() -> None:
    rows, summary = checked(
        ["phone", "email"],
        [
            ["+52 55 1122 3344", "Ana@X.com"],
            ["whatsapp:+525511223344", "b@x.com"],  # the same phone with another address
            ["", "ANA@x.COM"],
            ["+525533445566", ""],
        ],
        duplicates="first",
    )
    assert [row.reason for row in rows] == [None, "duplicate", "duplicate", None]
    assert issues(rows[1]) == [("phone", "duplicate", "problem")]
    assert issues(rows[2]) == [("email", "duplicate", "problem")]
    assert "already in row 1" in rows[1].issues[0].words
    assert (summary.duplicates, summary.offered, summary.refusal) == (2, 2, None)


def test_nobody_is_missed_because_a_row_that_is_left_out_came_first() -> None:
    rows, summary = checked(
        ["phone", "email"],
        [
            ["+525511223344", "not an address"],  # flagged
            ["+525511223344", "a@x.com"],
            ["+525533445566", "a@x.com"],  # a double of row 2
            ["+525533445566", "c@x.com"],
        ],
        duplicates="first",
        flagged="leave_out",
    )
    assert [row.reason for row in rows] == ["malformed", None, "duplicate", None]
    assert summary.offered + sum(summary.left_out.values()) == summary.rows == 4


ONE_OF_EACH = [["+525511223344"], ["+525511223344"], ["nope"], ["+122233344555"]]


@pytest.mark.parametrize(
    ("rows", "spec", "refusal"),
    [
        (ONE_OF_EACH, {}, "1 of 4 rows have problems (letters in a number: 1)"),
        (ONE_OF_EACH, {"flagged": "leave_out"}, "1 of 4 rows are duplicates"),
        (ONE_OF_EACH, {"duplicates": "first"}, "1 of 4 rows have problems"),
        (ONE_OF_EACH, {"flagged": "leave_out", "duplicates": "first"}, None),
        ([["nope"]], {"flagged": "leave_out"}, "Nobody is left"),
        ([], {}, "The audience is empty"),
    ],
)
def test_a_file_with_flagged_rows_is_refused_unless_they_are_left_out(
    rows: list[list[str]], spec: dict[str, str], refusal: str | None
) -> None:
    _, summary = checked(["phone"], rows, **spec)
    assert (summary.refusal is None) if refusal is None else (refusal in str(summary.refusal))


def test_the_summary_counts_people_addresses_and_fields() -> None:
    _, summary = checked(
        ["email", "phone", "name", "plan"],
        [
            ["a@x.com", "+525511223344", "Ana", "gold"],
            ["", "+122233344555", "Ben", ""],
            ["c@x.com", "", "Cid", "x"],
            ["", "", "D", ""],
        ],
        flagged="leave_out",
    )
    assert summary == Summary(4, 3, 2, 2, 0, 1, {"missing": 1}, ("name", "plan"), None, {"not_in_plan": 1})


def test_extra_columns_are_fields() -> None:
    columns = resolve_columns(["phone", "name", "plan"], AudienceSpec())
    assert columns.custom == ("name", "plan")
    assert columns.fields(["+525511223344", "Ana", "gold"]) == {"phone": "+525511223344", "name": "Ana", "plan": "gold"}


def test_short_rows_are_filled_up_and_long_ones_flagged() -> None:
    rows, _ = checked(
        ["phone", "name"], [["+525511223344"], ["+525533445566", "Ben", "", " "], ["+525500998877", "Cid", "5", "x"]]
    )
    assert rows[0].raw == ["+525511223344", ""]
    assert [row.reason for row in rows] == [None, None, "too_many_cells"]
    assert "'5' belongs to no column" in rows[2].issues[0].words
    assert rows[2].raw == ["+525500998877", "Cid", "5", "x"]


@given(st.lists(st.integers(0, 400), max_size=2500))
def test_what_was_seen_is_remembered_with_its_first_row(values: list[int]) -> None:
    seen, first = Seen(size=4), dict[str, int]()
    for row, value in enumerate(map(str, values), 1):
        assert seen.row_of(value) == first.get(value, 0)
        if value not in first:
            first[value] = row
            seen.add(value, row)
    assert all(seen.row_of(value) == row for value, row in first.items())
