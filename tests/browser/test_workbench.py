"""A campaign is set up and its audience mended in a real browser: by mouse, by keyboard, on a phone, in Portuguese."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from looks import flaws, looks
from playwright.sync_api import Browser, BrowserContext, Page, expect

sys.path.insert(0, str(Path(__file__).parent))

from builder import Builder
from conftest import Faults

from campana.web.access import COOKIE

pytestmark = pytest.mark.browser

PEOPLE = """name,phone,email,city
Ana,+525511223344,ana@example.com,Lima
Bruno,+525511223344,,São Paulo
Carla,12,,Quito
Dora,,,
Eva,+122233344555,eva@example.com,México
"""


@pytest.fixture(scope="module")
def builder() -> Iterator[Builder]:
    """One server for all tests of this file."""
    with Builder() as builder:
        yield builder


@pytest.fixture
def home(builder: Builder) -> str:
    """A fresh draft without people."""
    return builder.begin(people=())


@pytest.fixture
def faults(builder: Builder) -> Faults:
    return Faults(builder.url)


@pytest.fixture
def context(browser: Browser, builder: Builder) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=builder.url, viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": COOKIE, "value": "session-of-ana", "url": builder.url}])
    context.set_default_timeout(15_000)
    yield context
    context.close()


def uploaded(page: Page, home: str, text: str, button: str = "Upload") -> None:
    """Chooses a file, uploads it, and waits until it was read."""
    page.goto(f"{home}/setup")
    file = {"name": "people.csv", "mimeType": "text/csv", "buffer": text.encode()}
    page.locator("#file").set_input_files(file)
    page.get_by_role("button", name=button, exact=True).click()
    page.wait_for_url("**/audience")
    expect(page.locator("#poll")).to_have_count(0)
    expect(page.locator("#reading")).to_be_attached()


def test_bad_rows_are_mended_by_keyboard_until_none_is_left(page: Page, home: str):
    uploaded(page, home, PEOPLE)
    page.get_by_role("link", name="Only problems 3").click()
    rows = page.get_by_role("rowheader")
    expect(rows).to_have_text(["2", "3", "4"])
    first = page.get_by_label("phone of row 2")
    expect(first).to_have_accessible_description("The same address is in row 1 already. Keep one of the two.")
    first.fill("+52 55 1122 3355")
    first.press("Enter")
    expect(page.get_by_text("Row 2 is mended.")).to_be_attached()
    expect(rows).to_have_text(["3", "4"])
    expect(page.get_by_label("phone of row 3")).to_be_focused()
    page.keyboard.type("55")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Row 3 still has a problem.")).to_be_attached()
    page.get_by_role("button", name="Drop row 3").press("Enter")
    expect(rows).to_have_text(["4"])
    page.get_by_label("email of row 4").fill("dora@example.com")
    page.get_by_role("button", name="Save row 4").press("Enter")
    expect(page.get_by_role("heading", name="Nothing to mend.")).to_be_visible()
    page.get_by_role("link", name="Show all rows").click()
    expect(page.get_by_role("row", name="Dropped")).to_contain_text("Bring back")
    page.get_by_role("button", name="Bring back row 3").click()
    expect(page.get_by_role("link", name="Too few digits 1")).to_be_visible()


def test_a_warning_is_accepted_and_a_good_row_edited(page: Page, home: str):
    uploaded(page, home, PEOPLE)
    page.get_by_role("button", name="Use as it is row 5").click()
    expect(page.get_by_text("Row 5 is used as it is.")).to_be_attached()
    expect(page.get_by_role("link", name="In no numbering plan")).to_have_count(0)
    page.get_by_role("link", name="Edit row 1").click()
    name = page.get_by_label("name of row 1")
    expect(name).to_be_focused()
    name.fill("Ana María")
    name.press("Enter")
    expect(page.get_by_role("row", name="Ana María")).to_be_visible()


def test_a_file_without_known_columns_is_read_once_people_say_what_is_what(page: Page, home: str):
    uploaded(page, home, "cliente;celular;ciudad\nAna;5511223344;Lima\nBea;5511223355;Quito\n")
    expect(page.get_by_role("alert")).to_contain_text("The file cannot be read this way:")
    page.get_by_label("What the column celular is", exact=True).select_option("Phone")
    page.get_by_label("What the column cliente is called").fill("name")
    page.get_by_label("What the column ciudad is", exact=True).select_option("Left away")
    page.get_by_label("Country of numbers without a country code").select_option("Mexico")
    page.get_by_role("button", name="Read the file this way").click()
    expect(page.get_by_role("columnheader")).to_have_text(["Row", "State", "name", "celular", "Actions"])
    expect(page.get_by_role("row", name="Fine")).to_have_count(2)


def test_a_name_is_looked_at_when_its_field_is_left(page: Page, builder: Builder, home: str):
    page.goto(f"{home}/setup")
    name = page.get_by_label("Name of the campaign")
    name.fill("Llamada de otoño")
    name.press("Tab")
    expect(page.get_by_text("llamada-de-otono")).to_be_visible()
    page.get_by_role("button", name="Save and exit").click()
    other = builder.begin(people=())
    page.goto(f"{other}/setup")
    name.fill(" LLAMADA de otoño")
    name.press("Tab")
    expect(page.get_by_text("Another campaign has this name. Choose another one.")).to_be_visible()


def test_people_are_typed_by_hand_on_a_phone_in_portuguese(page: Page, context: BrowserContext, builder: Builder, home: str):
    context.add_cookies([{"name": "lang", "value": "pt_BR", "url": builder.url}])
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{home}/setup")
    page.get_by_label("Números ou endereços de e-mail").fill("Ana, +55 11 91234-5678\nana@example.com\n123")
    page.get_by_role("button", name="Adicionar pessoas").click()
    page.wait_for_url("**/audience")
    expect(page.get_by_text("Faltam dígitos. Complete o número.")).to_be_visible()
    page.get_by_role("button", name="Descartar a linha 3").click()
    expect(page.get_by_text("A linha 3 foi descartada.")).to_be_attached()


SCREENS = ["setup", "setup with people", "workbench", "problems", "trouble", "nobody"]


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
@pytest.mark.parametrize("screen", SCREENS)
def test_everybody_can_use_it_and_nothing_is_cut_off(page: Page, context, builder, home: str, screen, width, theme):
    looks(context, page, builder.url, width, theme)
    if screen not in ("setup", "nobody"):
        uploaded(page, home, "a;b\n1;2\n" if screen == "trouble" else PEOPLE, "Enviar")
    paths = {"problems": "audience?show=problems", "workbench": "audience?edit=1", "trouble": "audience", "nobody": "audience"}
    page.goto(f"{home}/{paths.get(screen, 'setup')}")
    page.evaluate("document.querySelectorAll('details.reading, details.way').forEach((each) => { each.open = true; })")
    assert flaws(page) == []
