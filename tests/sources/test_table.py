"""Tables of people: every format, what is guessed, what is refused in words, and the process that reads them."""

from __future__ import annotations

import codecs
import json
import shutil
import struct
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from campana.core.audience import BadAudience, Need, Summary
from campana.core.campaign import AudienceSpec
from campana.sources import table, workbook
from campana.sources.forms import CHUNK, Limits
from campana.sources.reader import FIRST
from campana.sources.table import BadTable, LoadedRow, Opened, TableOptions, fingerprint, inspect, load_checked, look, rows

GOLDEN = Path(__file__).parents[1] / "data/audiences"
MEXICANS = ["+525500998877", "+525511223344", "+525533445566"]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file and gives its path."""

    def write_file(content: str | bytes, name: str = "people.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write_file


def loaded(path: Path, spec: AudienceSpec | None = None, **more: Any) -> tuple[Opened, list[LoadedRow], Summary]:
    """Everything that comes from the reading process."""
    opened, *chunks, summary = load_checked(path, spec or AudienceSpec(), **more)
    assert isinstance(opened, Opened)
    assert isinstance(summary, Summary)
    return opened, [row for chunk in chunks if isinstance(chunk, list) for row in chunk], summary


def all_rows(path: Path, options: TableOptions | None = None) -> list[list[str]]:
    return [row for chunk in rows(path, inspect(path, options)) for row in chunk]


@pytest.mark.parametrize("name", ["row31.tsv", "row31.xls"])
def test_the_three_mexican_contacts_load_as_they_are(name: str) -> None:
    opened, people, summary = loaded(GOLDEN / name)
    assert opened.info.header == ["CONTACT", "NOMBRE", "MONTO", "FECHA"]
    assert [person["phone"] for person in people] == MEXICANS
    assert [json.loads(person["cells"])[1:] for person in people] == [
        ["Carlos", "1200", "2016-12-25"],
        ["Ana", "1350", "2016-10-25"],
        ["Alfredo", "1480", "2016-11-25"],
    ]
    assert (summary.offered, summary.refusal, summary.fields) == (3, None, ("NOMBRE", "MONTO", "FECHA"))


def test_the_three_row_example_loads_and_its_third_number_only_warns() -> None:
    _, people, summary = loaded(GOLDEN / "row101.csv")
    assert [person["phone"] for person in people] == ["+12025550101", "+442071838750", "+122233344555"]
    assert [person["email"] for person in people] == ["alex@example.com", "jamie@example.net", "priya@example.in"]
    assert [person["issues"] is None for person in people] == [True, True, False]
    (issue,) = json.loads(people[2]["issues"] or "[]")
    assert (issue["column"], issue["code"], issue["severity"]) == ("phone", "not_in_plan", "warning")
    assert (summary.offered, summary.phones, summary.emails, summary.warnings) == (3, 3, 3, 1)
    assert (summary.fields, summary.refusal) == (("name", "appointment_date"), None)


@pytest.mark.parametrize("name", ["people.xlsx", "people.ods"])
def test_workbook_cells_become_the_text_people_see(name: str) -> None:
    assert all_rows(GOLDEN / name) == [
        ["525511223344", "Ana Pérez", "1200", "2026-03-01", "TRUE"],
        ["442071838750", "Ben", "12.5", "2026-03-01 09:30", "FALSE"],
        ["+5511912345678", "Conceição", "", "", ""],
    ]
    assert loaded(GOLDEN / name)[2].phones == 3


@pytest.mark.parametrize(
    ("name", "form"),
    [("row31.xls", "xls"), ("row31.tsv", "tsv"), ("people.xlsx", "xlsx"), ("people.ods", "ods"), ("row101.csv", "csv")],
)
@pytest.mark.parametrize("wrong", ["people.csv", "people.xls", "people.xlsx", "people"])
def test_the_format_is_known_by_content_not_by_name(name: str, form: str, wrong: str, tmp_path: Path) -> None:
    disguised = tmp_path / wrong
    shutil.copy(GOLDEN / name, disguised)
    assert inspect(disguised).format == form
    assert len(all_rows(disguised)) == 3


ANA = [["+525511223344", "José Núñez", "5"]]


@pytest.mark.parametrize(
    ("content", "encoding", "separator", "people"),
    [
        ("phone,name,n\n+525511223344,José Núñez,5\n".encode(), "utf-8", ",", ANA),
        (codecs.BOM_UTF8 + "phone;name;n\r\n+525511223344;José Núñez;5".encode(), "utf-8-sig", ";", ANA),
        ("phone\tname\tn\n+525511223344\tJosé Núñez\t5\n".encode("utf-16"), "utf-16", "\t", ANA),
        ("phone|name|n\n+525511223344|José Núñez|5\n".encode("utf-16-le"), "utf-16-le", "|", ANA),
        ("phone,name,n\n+525511223344,José Núñez,5\n".encode("utf-16-be"), "utf-16-be", ",", ANA),
        ("phone;name;n\n+525511223344;José Núñez;5\n".encode("cp1252"), "cp1252", ";", ANA),
        ("phone,name\n1,“Ana”\n".encode("cp1252"), "cp1252", ",", [["1", "“Ana”"]]),
        (b"phone,name\n1,Jos\xe9\x81\n", "latin-1", ",", [["1", "José\x81"]]),
        (b"sep=;\nphone;name\n1;Ana\n", "utf-8", ";", [["1", "Ana"]]),
        (b"\n\n;;\nphone;name\n1;Ana\n", "utf-8", ";", [["1", "Ana"]]),
        (b"phone;price\n1;12,50\n2;3,20\n", "utf-8", ";", [["1", "12,50"], ["2", "3,20"]]),
        (b'phone,name\n1,"a;b;c"\n2,"d;e;f"\n', "utf-8", ",", [["1", "a;b;c"], ["2", "d;e;f"]]),
        (b'phone,text\r\n1,"two\r\nlines, ""quoted"""\r\n', "utf-8", ",", [["1", 'two\r\nlines, "quoted"']]),
        (b"phone,name\r1,Ana\r2,Ben", "utf-8", ",", [["1", "Ana"], ["2", "Ben"]]),
        (b"phone\n+525511223344\n", "utf-8", ",", [["+525511223344"]]),
        (b"phone,name,,\n1,Ana,,\n", "utf-8", ",", [["1", "Ana", "", ""]]),
        ("phone,name\n1,a\u2028b\x0bc\n".encode(), "utf-8", ",", [["1", "a\u2028b\x0bc"]]),
    ],
)
def test_encoding_separator_and_header_are_found_out_and_shown(
    content: bytes, encoding: str, separator: str, people: list[list[str]], write: Write
) -> None:
    path = write(content)
    info = inspect(path)
    assert (info.encoding, info.separator, info.has_header) == (encoding, separator, True)
    assert info.header[0] == "phone"
    assert all(info.header)
    assert all_rows(path) == people
    assert info.sample == people


def test_what_a_person_says_beats_the_guess(write: Write) -> None:
    path = write("phone;na,me\n1;Ana\n")
    assert inspect(path, TableOptions(separator=",")).header == ["phone;na", "me"]
    assert inspect(path, TableOptions(header=False)).header == ["Column 1", "Column 2"]
    assert inspect(write("phone\n\u20ac", encoding="cp1252"), TableOptions(encoding="latin-1")).sample == [["\x80"]]
    assert inspect(write("\ufeffphone,name\n1,a"), TableOptions(encoding="UTF8")).header == ["phone", "name"]
    assert inspect(GOLDEN / "people.xlsx", TableOptions(sheet="Notes")).header == ["nothing to see"]
    assert inspect(GOLDEN / "people.xlsx").other_sheets == ["Notes"]


def test_a_file_without_a_header_is_told(write: Write) -> None:
    path = write("+525511223344,Ana\n+525533445566,Ben\n")
    info = inspect(path)
    assert (info.has_header, info.header, len(info.sample)) == (False, ["Column 1", "Column 2"], 2)
    with pytest.raises(BadAudience, match="first row looks like a person"):
        loaded(path)
    assert loaded(path, AudienceSpec(phone="Column 1"))[2].offered == 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty"),
        (b"\n \n,,\n", "no row with anything in it"),
        (b"phone,name\n1,A\0na\n", "NUL bytes"),
        (b'phone,name\n1,"Ana\n2,Ben\n', "opened and never closed"),
        (b'phone,name\n1,"Ana "La Reina" Diaz"\n', "Line 2 has a quote"),
        (b"phone,name\n1," + b"x" * 10_001 + b"\n", "Line 2 has a cell of more than 10,000 characters"),
        (b",".join(b"c%d" % n for n in range(501)) + b"\n", "501 columns; 500 are possible"),
        (b"x" * 4_000_000, "a line without end"),
        (b"<html><table><tr><td>phone", "The file is a web page"),
        (b"%PDF-1.7 ...", "no table that can be read"),
        (b"PK\x03\x04 broken", "archive cannot be opened"),
        (b"\xff\xfeabc", "begins as utf-16 text and then breaks off"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2000, "cannot be read"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"), "protected with a password"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(content: bytes, sentence: str, write: Write) -> None:
    path = write(content)
    with pytest.raises(BadTable, match=sentence) as told:
        all_rows(path)
    assert str(told.value).endswith(".")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (TableOptions(encoding="klingon"), "no encoding 'klingon'"),
        (TableOptions(encoding="base64"), "no encoding 'base64'"),
        (TableOptions(encoding="utf-8"), "not written in utf-8"),
        (TableOptions(separator=";;"), "cannot be used"),
        (TableOptions(limits=Limits(rows=2)), "more than 2 rows"),
        (TableOptions(limits=Limits(file_bytes=10)), "10 are possible"),
    ],
)
def test_what_a_person_says_wrong_is_refused_in_words(options: TableOptions, sentence: str, write: Write) -> None:
    path = write("phone,name\n1,José\n2,Ben\n3,Cid\n", encoding="cp1252")
    with pytest.raises(BadTable, match=sentence):
        all_rows(path, options)


def test_a_missing_file_and_a_missing_sheet_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadTable, match="cannot be opened"):
        inspect(tmp_path / "nobody.csv")
    with pytest.raises(BadTable, match="no sheet 'Gente'"):
        inspect(GOLDEN / "people.xlsx", TableOptions(sheet="Gente"))


def test_a_workbook_that_unpacks_too_far_is_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 20_000_000)
    with pytest.raises(BadTable, match="unpacks to 20,000,011 bytes"):
        inspect(bomb)
    plain = tmp_path / "photos.zip"
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr("a.txt", b"phone")
    with pytest.raises(BadTable, match="archive and no workbook"):
        inspect(plain)


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [(Limits(rows=2), "more than 2 rows"), (Limits(columns=3), "5 columns; 3 are possible"), (Limits(cell=4), "more than 4")],
)
def test_limits_hold_for_workbooks_too(limits: Limits, sentence: str) -> None:
    with pytest.raises(BadTable, match=sentence):
        all_rows(GOLDEN / "people.xlsx", TableOptions(limits=limits))


@pytest.mark.parametrize(
    ("cell", "text"),
    [(1e15, "1000000000000000"), (525511223344.0, "525511223344"), (0.1, "0.1"), (-3.0, "-3"), (True, "TRUE"), (7, "7")],
)
def test_numbers_keep_their_digits(cell: object, text: str) -> None:
    assert workbook.text_of(cell) == text


def test_the_fingerprint_follows_the_content(write: Write) -> None:
    one, same, other = write("phone\n1\n", "a.csv"), write("phone\n1\n", "b.csv"), write("phone\n2\n", "c.csv")
    assert fingerprint(one) == fingerprint(same) == inspect(one).fingerprint
    assert fingerprint(one) != fingerprint(other)


def test_a_refusal_crosses_the_border_between_the_processes(write: Write) -> None:
    with pytest.raises(BadTable, match="opened and never closed"):
        loaded(write('phone,name\n1,"Ana\n2,Ben\n'))
    with pytest.raises(BadAudience, match="neither a phone nor an email column"):
        loaded(write("name,city\nAna,Lima\n"))


def test_a_header_alone_is_an_empty_audience(write: Write) -> None:
    _, people, summary = loaded(write("phone,name\n"))
    assert people == []
    assert str(summary.refusal).startswith("The audience is empty")


def test_rows_keep_their_place_and_blank_ones_are_nobody(write: Write) -> None:
    _, people, summary = loaded(write("phone,name\n+525511223344,Ana\n\n , \n+525533445566\n+525500998877,Cid,,\n"))
    assert [person["number"] for person in people] == [1, 4, 5]
    assert [json.loads(person["cells"]) for person in people][1] == ["+525533445566", ""]
    assert (summary.rows, summary.offered) == (3, 3)


def test_the_table_previews_every_row_with_an_issue_for_each_cell(write: Write) -> None:
    text = "phone,email,name\n+525511223344,a@x.com,Ana\n,,Ben\n+525511223344,c@x.com,Cid\n1.25501E+11,nope,Dan\n"
    _, people, summary = loaded(write(text))
    found = [[(issue["column"], issue["code"]) for issue in json.loads(row["issues"] or "[]")] for row in people]
    assert found == [[], [("phone", "missing")], [("phone", "duplicate")], [("phone", "spreadsheet"), ("email", "malformed")]]
    assert [row["left_out"] for row in people] == [None, "missing", "duplicate", "spreadsheet"]
    assert summary.refusal is not None


def test_agents_needs_reach_the_reading_process(write: Write) -> None:
    path = write("CONTACT,FECHA\n+525511223344,25/12/2016\n")
    _, people, _ = loaded(path, needs=[Need("FECHA", "date")])
    assert people[0]["left_out"] == "date"
    with pytest.raises(BadAudience, match="'MONTO'"):
        loaded(path, needs=[Need("MONTO")])


def many(count: int) -> Iterator[str]:
    yield "phone,name\n"
    for number in range(count):
        yield f"+5255{10_000_000 + number},Ana {number}\n"


def test_rows_come_in_chunks_and_all_of_them(write: Write) -> None:
    parts = list(load_checked(write("".join(many(CHUNK * 2 + 10))), AudienceSpec()))
    sizes = [len(part) for part in parts if isinstance(part, list)]
    assert sum(sizes) == CHUNK * 2 + 10
    assert max(sizes) <= CHUNK
    assert sizes[0] == FIRST  # they are shown while the others are still being read
    assert isinstance(parts[-1], Summary)
    assert parts[-1].rows == CHUNK * 2 + 10


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The reading processes that were started."""
    started: list[subprocess.Popen[bytes]] = []

    class Watched(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            started.append(self)

    monkeypatch.setattr(table.subprocess, "Popen", Watched)
    return started


def test_the_reading_process_ends_when_nobody_listens_any_more(write: Write, readers: list[subprocess.Popen[bytes]]) -> None:
    parts = load_checked(write("".join(many(CHUNK * 8))), AudienceSpec())
    next(parts)
    assert [reader.poll() for reader in readers] == [None]  # it waits for us: eight chunks do not fit into the pipe
    parts.close()
    assert [reader.returncode for reader in readers] == [-9]


def test_a_reading_process_that_dies_is_a_clear_error(write: Write, readers: list[subprocess.Popen[bytes]]) -> None:
    parts = load_checked(write("".join(many(CHUNK * 8))), AudienceSpec())
    next(parts)
    readers[0].kill()
    with pytest.raises(BadTable, match="damaged or needs too much memory"):
        list(parts)


def test_long_rows_come_in_smaller_chunks_and_all_of_them(write: Write) -> None:
    text = "phone,text\n" + "".join(f"+5255{10_000_000 + number},{'x' * 9_999}\n" for number in range(1200))
    path = write(text)
    assert max(len(chunk) for chunk in rows(path, inspect(path))) < 600
    _, people, summary = loaded(path)
    assert (len(people), summary.rows) == (1200, 1200)


def test_a_damaged_workbook_that_runs_in_a_circle_harms_only_its_reader(write: Write) -> None:
    content = bytearray((GOLDEN / "row31.xls").read_bytes())
    (table_at,) = struct.unpack_from("<I", content, 76)  # where the file keeps which sector follows which
    struct.pack_into("<I", content, 512 * (table_at + 1) + 4 * 9, 9)  # the directory's sector follows itself
    with pytest.raises(BadTable, match="damaged or needs too much memory"):
        look(write(bytes(content), "people.xls"), TableOptions(limits=Limits(memory_bytes=1 << 29)))


def test_a_file_is_looked_at_in_a_process_of_its_own() -> None:
    assert look(GOLDEN / "people.ods") == inspect(GOLDEN / "people.ods")
