"""The campaign file: what it takes, and the sentences for what it does not."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from campana.core.campaign import CampaignFile, json_schema, name_key, parse_length, tag_of
from campana.core.durations import DAY, HOUR, MINUTE, SECOND

FULL: dict[str, Any] = {
    "name": "Spring",
    "tags": ["spring"],
    "audience": {"phone": "mobile", "email": "mail", "country": "MX", "duplicates": "first", "flagged": "leave_out"},
    "primary": {
        "from": "whatsapp",
        "template": "welcome",
        "language": "es_MX",
        "values": {"first_name": "{{name}}"},
        "not_delivered_after": "24h",
    },
    "fallbacks": [{"from": "sms", "text": "Hola {{name}}"}],
    "follow_ups": [{"after": "2 days", "from": "sms", "text": "¿Hola?"}],
    "start": "2026-12-24 09:00 America/Mexico_City",
    "hours": {"from": "08:00", "to": "21:00", "zone": "-05:00", "days": ["mon"]},
}
LEAST: dict[str, Any] = {"name": "Spring", "primary": {"from": "sms", "text": "Hola"}}


def with_(path: str, value: Any) -> dict[str, Any]:
    """The full file with one place changed; `path` is as fallbacks.0.text."""
    changed = copy.deepcopy(FULL)
    at: Any = changed
    *way, last = path.split(".")
    for part in way:
        at = at[int(part)] if part.isdigit() else at[part]
    at[last] = value
    return changed


def test_the_whole_file_is_read() -> None:
    file = CampaignFile.model_validate(FULL)
    assert file.primary.sender == "whatsapp"
    assert file.primary.not_delivered_after == DAY
    assert file.follow_ups[0].after == 2 * DAY
    assert file.hours is not None
    assert (file.hours.start, file.hours.end) == ("08:00", "21:00")


def test_little_is_needed() -> None:
    file = CampaignFile.model_validate(LEAST)
    assert (file.start, file.audience.duplicates, file.audience.flagged, file.fallbacks) == ("now", "refuse", "refuse", [])


@pytest.mark.parametrize("example", [FULL, LEAST])
def test_the_schema_takes_what_the_file_takes(example: dict[str, Any]) -> None:
    jsonschema.validate(example, json_schema())


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (with_("name", ""), "at least 1 character"),
        (with_("nmae", "x"), "Extra inputs are not permitted"),
        (with_("audience.country", "mexico"), "should match pattern"),
        (with_("audience.duplicates", "drop"), "'first' or 'refuse'"),
        (with_("primary.text", "both"), "either 'text' or 'template'"),
        (with_("primary.language", None), "needs its 'language'"),
        (with_("fallbacks.0.text", "  "), "the text is empty"),
        (with_("fallbacks.0.values", {"a": "b"}), "belong to a 'template'"),
        (with_("follow_ups.0.after", "8 days"), "1 to 7 whole days"),
        (with_("follow_ups.0.after", "36h"), "1 to 7 whole days"),
        (with_("follow_ups.0.after", "soon"), "not a length of time"),
        (with_("hours.to", "25:00"), "should match pattern"),
        (with_("hours.days", ["monday"]), "'mon'"),
    ],
)
def test_what_is_wrong_is_told(file: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as told:
        CampaignFile.model_validate(file)
    assert sentence in str(told.value)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("24h", DAY),
        ("2 days", 2 * DAY),
        ("1 day", DAY),
        ("30 min", 30 * MINUTE),
        ("30m", 30 * MINUTE),
        ("90s", 90 * SECOND),
        ("1 hour", HOUR),
    ],
)
def test_lengths_of_time(text: str, length: int) -> None:
    assert parse_length(text) == length


def test_names_that_look_the_same_are_the_same() -> None:
    assert name_key("  Spring   Sale ") == name_key("spring sale") == name_key("ＳＰＲＩＮＧ sale")


@pytest.mark.parametrize(
    ("name", "taken", "tag"),
    [
        ("Promoción de Abril!", [], "promocion-de-abril"),
        ("Promoción", ["promocion"], "promocion-2"),
        ("Promoción", ["promocion", "promocion-2"], "promocion-3"),
        ("活动", [], "campaign"),
    ],
)
def test_the_tag_is_made_from_the_name(name: str, taken: list[str], tag: str) -> None:
    assert tag_of(name, taken) == tag
