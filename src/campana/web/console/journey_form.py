"""The form of the journey: what people chose and typed, as the steps of a draft."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from campana.core.draft import MOST_HOURS, Draft, DraftStep, add_step, move_step, remove_step, with_steps
from campana.web.console.page import number

HERE = ".here"  # says that the form shows a step, and of which kind it is
OWN = "own"  # of a template's field: a text of one's own instead of a column
COLUMN = re.compile(r"\{\{([^{}]+)\}\}")


def read_steps(draft: Draft, form: Mapping[str, Any]) -> Draft:
    """The draft with the steps that the form shows, as it has them: also those that somebody else removed meanwhile."""
    keys = [name.removesuffix(HERE) for name in form if name.endswith(HERE)]
    steps = [_step(step, form) for key in keys if (step := draft.step(key) or _gone(key, str(form[key + HERE]))) is not None]
    return with_steps(draft, steps) if any(step.kind == "primary" for step in steps) else draft


def _gone(key: str, kind: str) -> DraftStep | None:
    """A step that the draft has no more; None when it can be none."""
    try:
        return DraftStep.model_validate({"key": key, "kind": kind})
    except ValidationError:
        return None


def _step(step: DraftStep, form: Mapping[str, Any]) -> DraftStep:
    def said(name: str, default: str = "") -> str:
        return str(form.get(f"{step.key}.{name}", default))

    language, _, template = said("template", f"{step.language}:{step.template}").partition(":")
    text = said("text", step.text).replace("\r\n", "\n")
    return step.model_copy(
        update={
            "on": step.kind == "primary" or f"{step.key}.on" in form,
            "sender": said("sender", step.sender)[:64],
            "text": text,
            "template": template[:512],
            "language": language[:35],
            "values": _values(step, form),
            "deadline": number(said("deadline"), MOST_HOURS) or None,
            "after": number(said("after"), 7) or step.after,
        }
    )


def _values(step: DraftStep, form: Mapping[str, Any]) -> dict[str, str]:
    """The template's fields: a column, or a text of one's own. Those of another template are kept: it may come back."""
    values = dict(step.values)
    chosen = f"{step.key}.value."
    for name, value in form.items():
        if name.startswith(chosen):
            field = name.removeprefix(chosen)
            own = str(form.get(f"{step.key}.own.{field}", "")).replace("\r\n", "\n")
            values[field] = own if value == OWN else str(value)
    return {field: text for field, text in values.items() if text}


def owned(step: DraftStep, form: Mapping[str, Any]) -> frozenset[str]:
    """The fields for which a text of one's own is to be written, or is there already."""
    chosen = f"{step.key}.value."
    asked = {name.removeprefix(chosen) for name, value in form.items() if name.startswith(chosen) and value == OWN}
    shown = {name.removeprefix(chosen) for name in form if name.startswith(chosen)}
    written = {field for field, text in step.values.items() if COLUMN.fullmatch(text) is None}
    return frozenset(asked | (written - shown))


def rearranged(draft: Draft, do: str) -> Draft | None:
    """The draft after one of the buttons that add, remove and move steps; None for all other buttons."""
    what, _, which = do.partition(":")
    if what == "add" and which in ("fallback", "follow_up"):
        return add_step(draft, "fallback" if which == "fallback" else "follow_up")
    if what == "remove":
        return remove_step(draft, which)
    return move_step(draft, which, up=what == "up") if what in ("up", "down") else None


def touched(before: Draft, after: Draft) -> str:
    """The key of the step that was added or moved, to which the page goes back."""
    old: Sequence[str] = [step.key for step in before.steps]
    return next((step.key for step in after.steps if step.key not in old), "")
