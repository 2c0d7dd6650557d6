"""What every SMS channel does with a text of ours: the person's own is merged, made sendable and measured."""

from __future__ import annotations

import re
from collections.abc import Mapping

from campana.channels.contract import Content, Render, UnfitContent
from campana.core.message import Rendered
from campana.core.segments import count
from campana.core.template import compile_text

LIMIT = 1600
SURROGATES = re.compile("[\ud800-\udfff]")


def compile_sms(content: Content, channel: str) -> Render:
    """A text with fields; the person's own text is measured when it is merged."""
    if content.text is None:
        raise UnfitContent(f"{channel} sends texts, not templates. Write 'text' in this step.")
    text_of = compile_text(content.text).render

    def render(values: Mapping[str, str]) -> Rendered:
        text = text_of(values)
        if not text.isascii():
            text = SURROGATES.sub("\ufffd", text)  # half a character cannot be sent
        if not text or text.isspace():
            return Rendered(problem="The text is empty for this person.", why={"code": "text_empty"})
        if len(text) > LIMIT:
            words = f"The text has {len(text)} characters for this person; SMS takes {LIMIT}."
            return Rendered(problem=words, why={"code": "text_long", "characters": len(text), "most": LIMIT})
        return Rendered(text, {"text": text}, count(text).segments)

    return render
