"""Forms of pages, filled and sent as a browser does it, so that a test types only what a person would."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

VOID = {"input", "img", "br", "meta", "link", "hr"}


class Forms(HTMLParser):
    """The fields of a page's forms, with what stands in them."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, list[tuple[str, str]]] = {}
        self.choices: dict[str, list[str]] = {}  # of a select: the values of its options
        self.form = ""
        self._select: tuple[str, bool] | None = None
        self._area: tuple[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        got = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.form = got.get("id", got.get("action", ""))
            self.fields.setdefault(self.form, [])
        elif tag == "input" and got.get("name") and got.get("type") not in ("submit", "button"):
            if got.get("type") not in ("checkbox", "radio") or "checked" in got:
                self._put(got["name"], got.get("value", "on"), got.get("form"))
        elif tag == "select":
            self._select = (got["name"], False)
            self.choices[got["name"]] = []
            self._put(got["name"], "", got.get("form"))
        elif tag == "option" and self._select:
            name, chosen = self._select
            self.choices[name].append(got.get("value", ""))
            if "selected" in got or (not chosen and len(self.choices[name]) == 1):
                fields = self.fields[self.form]
                fields[:] = [(key, got.get("value", "") if key == name else value) for key, value in fields]
                self._select = (name, "selected" in got)
        elif tag == "textarea":
            self._area = (got["name"], "")

    def handle_data(self, data: str) -> None:
        if self._area:
            self._area = (self._area[0], self._area[1] + data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.form = ""
        elif tag == "select":
            self._select = None
        elif tag == "textarea" and self._area:
            self._put(*self._area)
            self._area = None

    def _put(self, name: str, value: str, form: str | None = None) -> None:
        self.fields.setdefault(form or self.form, []).append((name, value))


def read_forms(html: str) -> Forms:
    """The forms of a page."""
    forms = Forms()
    forms.feed(html)
    return forms


def filled(html: str, form: str, **typed: Any) -> dict[str, str]:
    """What a form sends once these fields are changed; a field that the page does not have cannot be. None: unticked.

    Names have __ where the page has a dot.
    """
    fields = dict(read_forms(html).fields[form])
    for name, value in typed.items():
        real = name.replace("__", ".")
        assert real in fields or real == "do" or real.endswith(".on"), f"the form has no {real}: {sorted(fields)}"
        fields[real] = value
    return {name: value for name, value in fields.items() if value is not None}
