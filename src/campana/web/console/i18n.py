"""Languages: which one a reader gets, and how numbers, times and sentences are written in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import Any

from babel import Locale
from babel.dates import format_date, format_datetime, format_time, format_timedelta, get_timezone_location
from babel.numbers import format_decimal, format_percent
from babel.support import NullTranslations, Translations
from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.bccache import Bucket

from campana.core.hours import zone_of
from campana.core.preflight import grouped
from campana.web.console import troubles

HERE = Path(__file__).parent
SOURCE = "en"
LANGUAGES = {"en": "English", "pt_BR": "Português (Brasil)", "es": "Español"}
NEAREST = {code.partition("_")[0]: code for code in LANGUAGES}  # Portuguese of anywhere is better than English
SECOND = 1_000_000
REMEMBERED = 65_536  # figures as they are written: pages of two readers, or of one a second later, show much the same ones


def choose(wanted: str | None, accepted: str) -> str:
    """The language asked for by cookie or address, else the first one of the browser's list that we speak."""
    if wanted in LANGUAGES:
        return wanted
    for tag in _by_weight(accepted):
        if found := NEAREST.get(tag.partition("-")[0].lower()):
            return found
    return SOURCE


def _by_weight(accepted: str) -> list[str]:
    """The tags of an Accept-Language header, best first."""
    weighted: list[tuple[float, str]] = []
    for part in accepted.split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighted.append((-float(weight or 1), tag))
        except ValueError:
            continue
    return [tag for _, tag in sorted(weighted, key=lambda pair: pair[0])]


class _Compiled(BytecodeCache):
    """Templates compiled once for every language and zone: all of them take two seconds, and their code is the same in each."""

    def __init__(self) -> None:
        self._codes: dict[str, CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get(bucket.key)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._codes[bucket.key] = bucket.code


COMPILED, PLAIN = _Compiled(), _Compiled()  # what is escaped, and what is not: the same template is other code


def compile_all() -> None:
    """Compiles every template beforehand, so that no page's first reader waits for it."""
    env = environment(SOURCE, "UTC", {})
    for name in env.list_templates():
        env.get_template(name)


def environment(language: str, zone: str, names: Mapping[str, Any]) -> Environment:
    """Templates in one language: escaped always, undefined names refused, figures as the language writes them."""
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=COMPILED,
        auto_reload=False,  # else each part of each page asks the disk whether it has changed
    )
    found = NullTranslations() if language == SOURCE else Translations.load(HERE / "locale", [language])
    env.install_gettext_translations(found, newstyle=True)  # type: ignore[attr-defined]
    env.filters.update(figures(language, zone), grouped=grouped)
    env.filters["trouble"] = lambda text: troubles.told(text, found.gettext)
    env.globals.update(names, language=language, languages=LANGUAGES, zone=zone)
    return env


def plain(templates: Environment) -> Environment:
    """The same templates for what is no HTML: nothing is escaped."""
    return templates.overlay(autoescape=False, bytecode_cache=PLAIN)


def _local(moment: int, zone: str) -> datetime:
    return datetime.fromtimestamp(moment / SECOND, tz=UTC).astimezone(zone_of(zone))


def place_of(zone: str, language: str) -> str:
    """The place whose time a zone is, as people of the language call it; a zone of no place by its name."""
    return get_timezone_location(zone, locale=language, return_city=True) if "/" in zone else zone


@lru_cache(REMEMBERED)
def _number(locale: Locale, n: float) -> str:
    return format_decimal(n, locale=locale)


@lru_cache(REMEMBERED)
def _share(locale: Locale, part: float, whole: float) -> str:
    return format_percent(part / whole, "#,##0.0%", locale=locale) if whole else "–"


@lru_cache(REMEMBERED)
def _moment(locale: Locale, zone: str, moment: int, pattern: str) -> str:
    return format_datetime(_local(moment, zone), pattern, locale=locale)


def figures(language: str, zone: str) -> dict[str, Callable[..., str]]:
    """Filters that write numbers and times. Times come as UTC microseconds and are shown in `zone`."""
    locale = Locale.parse(language)

    def local(moment: int) -> datetime:
        return _local(moment, zone)

    def written(pattern: str) -> Callable[[int], str]:
        return lambda moment: _moment(locale, zone, moment, pattern)

    return {
        "number": lambda n: _number(locale, n),
        "share": lambda part, whole: _share(locale, part, whole),
        "moment": written("d MMM y, HH:mm"),
        "second": written("d MMM y, HH:mm:ss"),
        "planned": lambda us, where: _moment(locale, where or zone, us, "EEE d MMM y, HH:mm"),
        "place": lambda where: place_of(where or zone, language),
        "hour": lambda us: format_time(local(us).time(), "HH:mm", locale=locale),
        "clock": lambda us: format_time(local(us).time(), "HH:mm:ss", locale=locale),
        "day": lambda day: format_date(day, "d MMM y", locale=locale),
        "minute": lambda minute: _moment(locale, zone, minute * 60 * SECOND, "d MMM, HH:mm"),
        "lasting": lambda us: format_timedelta(us / SECOND, granularity="minute", locale=locale),
    }
