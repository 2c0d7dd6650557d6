"""What is wrong with how a page looks to somebody: for those who hear it or use a keyboard, and at the edge of the window."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import BrowserContext, Page

AXE = (Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js").read_text("utf-8")
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
CUT = """() => [...document.querySelectorAll('body *')].filter((e) => e.checkVisibility()
  && e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.box, .uplot'))
  .map((e) => e.outerHTML.slice(0, 120))"""


def looks(context: BrowserContext, page: Page, url: str, width: int, theme: str, language: str = "pt_BR") -> None:
    """The page is seen from now on in a window of that width, in a theme and a language: Portuguese has the longest words."""
    context.add_cookies([{"name": name, "value": value, "url": url} for name, value in (("theme", theme), ("lang", language))])
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(reduced_motion="reduce")


def flaws(page: Page) -> list[str]:
    """Every rule of WCAG 2.2 AA that the page breaks, and whatever is cut off."""
    found = page.evaluate(
        f"async (tags) => {{ {AXE}; return (await axe.run(document, {{runOnly: tags}})).violations }}", list(RULES)
    )
    broken = [f"{each['id']}: {[node['target'] for node in each['nodes']]}" for each in found]
    wide = [] if page.evaluate("document.documentElement.scrollWidth <= innerWidth") else ["the page is wider than its window"]
    return broken + [f"cut off: {element}" for element in page.evaluate(CUT)] + wide
