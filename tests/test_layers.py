"""The river flows one way: what stands left never imports what stands right of it, and SQL stays in its house."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "campana"

# Later rows may import earlier ones; parts of one row do not import each other.
RIVER = [
    ["core", "clock", "metrics"],
    ["settings", "wire", "vault", "mail"],
    ["channels", "sources", "store", "bus"],
    ["engine", "standin"],
    ["web"],
    ["wiring"],
    ["cli", "__main__"],
]
PLACE = {part: row for row, parts in enumerate(RIVER) for part in parts}
ONLY_HERE = {"sqlalchemy": {"store", "sources"}, "alembic": {"store"}, "pycurl": {"wire"}, "litestar": {"web"}}
# A transaction is handed through as a Connection; who only names that type writes no SQL.
NAMES_ONLY = {"Connection"}

MODULES = sorted(path for path in SOURCE.rglob("*.py") if "migrations" not in path.parts)


def part_of(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> list[tuple[str, set[str]]]:
    found: list[tuple[str, set[str]]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, set()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found.append((node.module or "", {alias.name for alias in node.names}))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_left(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        return
    assert part in PLACE, f"{part} has no place in the river"
    for module, names in imports(path):
        top, _, rest = module.partition(".")
        if top == "campana":
            others = {rest.split(".")[0]} if rest else names
            for other in others - {"__version__"}:
                assert PLACE[other] < PLACE[part] or other == part, f"{path.name} imports campana.{other}"
        elif top in ONLY_HERE and part not in ONLY_HERE[top]:
            assert names, f"{path.name} uses {top}"
            assert names <= NAMES_ONLY, f"{path.name} uses {top}"


def test_vendors_are_named_in_their_channel_only() -> None:
    words = ("twilio", "whatsapp", "infobip")
    for path in MODULES:
        if part_of(path) in {"engine", "store", "bus", "core", "wiring", "settings"}:
            text = path.read_text(encoding="utf-8").casefold().replace("whatsapp:", "")  # a prefix people write
            assert [word for word in words if word in text] == [], f"{path.relative_to(SOURCE)} names a vendor"
