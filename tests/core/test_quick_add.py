"""People typed by hand, one a line."""

from __future__ import annotations

import pytest

from campana.core.quick_add import Typed, read_line, read_lines


@pytest.mark.parametrize(
    ("line", "name", "phone", "email"),
    [
        ("+52 55 1122 3344", "", "+52 55 1122 3344", ""),
        ("Ana Silva, +52 55 1122 3344", "Ana Silva", "+52 55 1122 3344", ""),
        ("+52 55 1122 3344 Ana María\tana@x.com", "Ana María", "+52 55 1122 3344", "ana@x.com"),
        ("Ana <ana@x.com>", "Ana", "", "ana@x.com"),
        ("Ana ana@x.com", "Ana", "", "ana@x.com"),
        ('"Silva";"5511223344";"ana@x.com"', "Silva", "5511223344", "ana@x.com"),
        ("(55) 1122-3344", "", "(55) 1122-3344", ""),
        ("a@x.com; b@x.com", "", "", "a@x.com; b@x.com"),
        ("+5255112233 / +5255112244", "", "+5255112233 / +5255112244", ""),
        ("1234", "", "1234", ""),
        ("nobody", "nobody", "", ""),
    ],
)
def test_a_line_is_a_name_and_addresses(line: str, name: str, phone: str, email: str) -> None:
    assert read_line(line) == Typed(name, phone, email)


def test_blank_lines_are_nobody() -> None:
    assert read_lines("\n a@x.com \r\n\n ; ,\nb@x.com\n") == [Typed("", "", "a@x.com"), Typed("", "", "b@x.com")]
