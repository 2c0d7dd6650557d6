"""The contract is accounted for: each of its rows stands in docs/contract.md once, with tests that exist or `later`.

That the named tests also ran is seen to at the end of a full run, in tests/conftest.py.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"\|\s*(\d+)\s*\|\s*(\S.*?)\s*\|\s*(\S.*?)\s*\|")
TEST = re.compile(r"`(tests/[\w/.-]+\.py)::(\w+)(?:::(\w+))?`")
ROWS = [
    (int(row[1]), row[2], row[3])
    for line in (ROOT / "docs/contract.md").read_text(encoding="utf-8").splitlines()
    if (row := ROW.fullmatch(line))
]


@cache
def names_in(path: Path) -> frozenset[str]:
    """The tests a file defines; those of a class, and names a test case is given, too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(name for name in found if name.casefold().startswith("test"))


def test_every_row_of_the_contract_is_there_once() -> None:
    assert [number for number, _, _ in ROWS] == list(range(1, 137))


@pytest.mark.parametrize(("number", "behaviour", "shown"), ROWS, ids=[str(number) for number, *_ in ROWS])
def test_a_row_names_tests_that_exist_or_says_later(number: int, behaviour: str, shown: str) -> None:
    if shown == "`later`":
        return
    named = TEST.findall(shown)
    assert TEST.sub("", shown).strip(", ") == "", "each test is written as `tests/path.py::test_name`"
    assert named
    for path, name, _ in named:
        assert (ROOT / path).is_file(), path
        assert name in names_in(ROOT / path), f"{path} has no {name}"


RUNS = [
    ("all that is named ran", "tests/test_a.py::test_one", [], 0),
    ("one that is named is gone", "tests/test_a.py::test_gone", [], 1),
    ("one that is named was skipped", "tests/test_a.py::test_skipped", [], 1),
    ("a part of the tests was asked for", "tests/test_a.py::test_gone", ["tests/test_a.py"], 0),
    ("some were deselected", "tests/test_a.py::test_gone", ["-k", "one"], 0),
]


@pytest.mark.parametrize(("label", "cited", "asked", "code"), RUNS, ids=[row[0] for row in RUNS])
def test_a_full_run_fails_when_a_named_test_did_not_run(
    tmp_path: Path, label: str, cited: str, asked: list[str], code: int
) -> None:
    for folder in ("tests", "docs"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "tests/attendance.py", tmp_path / "tests/conftest.py")
    (tmp_path / "docs/contract.md").write_text(f"| 1 | words | `{cited}` |\n", encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n", encoding="utf-8")
    (tmp_path / "tests/test_a.py").write_text(
        "import pytest\n\ndef test_one():\n    pass\n\n@pytest.mark.skip\ndef test_skipped():\n    pass\n", encoding="utf-8"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *asked]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout
    assert (f"names {cited}" in done.stdout) == bool(code)
