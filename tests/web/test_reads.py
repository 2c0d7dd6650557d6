"""What a page says of messages that were read, where a channel cannot tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from campana.channels.registry import channels
from campana.store.progress import StepLine
from campana.web.console import i18n
from campana.web.console.page import Face
from campana.web.console.progress import View
from tests.web.doorstep import worlds

FACES = {kind: Face.of(channel) for kind, channel in channels().items()}
CASES = [
    (["twilio_sms"], 0, False),
    (["twilio_sms"], 3, True),
    (["whatsapp"], 0, True),
    (["whatsapp", "twilio_sms"], 0, True),
]


@pytest.mark.parametrize(("kinds", "read", "said"), CASES)
def test_nobody_is_said_to_have_read_nothing_where_that_is_not_known(kinds: list[str], read: int, said: bool) -> None:
    figures = worlds.figures(worlds.line("x", "sending"))
    steps = [StepLine("primary", kind, sent=9, read=read) for kind in kinds]
    figures = replace(figures, line=replace(figures.line, channels=kinds), funnel={**figures.funnel, "read": read}, steps=steps)
    env = i18n.environment("en", "UTC", {"channels": FACES, "asset": str})
    for part in ("_tiles.html", "_funnel.html", "_steps.html"):
        assert ("Read<" in env.get_template(part).render(v=View.of(figures))) is said, part
