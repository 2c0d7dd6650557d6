"""What Infobip makes of a text: letters it replaces when asked to, and how many parts it takes."""

from __future__ import annotations

import unicodedata
from typing import Any

from campana.core.segments import NATIONAL, Segments, count
from campana.standin.infobip_request import Preview

SIZES = {"GSM7": (160, 153), "GSM7+": (155, 149), "GSM7++": (152, 146), "UCS2": (70, 67)}
TYPOGRAPHY = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "\u00a0": " ", "`": "'"})


def written(text: str, transliteration: str) -> str:
    """The text as it leaves: NON_UNICODE writes what the 7-bit alphabet does not have with letters it has, where it can."""
    if transliteration != "NON_UNICODE":
        return text
    return "".join(sign if count(sign).encoding == "GSM7" else _plain(sign) for sign in text.translate(TYPOGRAPHY))


def _plain(sign: str) -> str:
    bare = "".join(part for part in unicodedata.normalize("NFKD", sign) if not unicodedata.combining(part))
    return bare if bare and count(bare).encoding == "GSM7" else sign


def measured(text: str, language: str) -> Segments:
    """How long a text is when that language's shift tables may be used."""
    tried = NATIONAL if language == "AUTODETECT" else (language,)
    return min((count(text, one) for one in tried), key=lambda found: found.segments)


def preview(asked: Preview) -> dict[str, Any]:
    """What the text costs as it is, and beside it with the language and transliteration asked for."""
    shown = [_previewed(asked.text, "NONE", {})]
    if asked.languageCode or asked.transliteration:
        how: dict[str, Any] = {"language": {"languageCode": asked.languageCode}} if asked.languageCode else {}
        how |= {"transliteration": asked.transliteration} if asked.transliteration else {}
        shown.append(_previewed(written(asked.text, asked.transliteration or "NONE"), asked.languageCode or "NONE", how))
    return {"originalText": asked.text, "previews": shown}


def _previewed(text: str, language: str, how: dict[str, Any]) -> dict[str, Any]:
    found = measured(text, language)
    single, several = SIZES[found.encoding.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ") if "+" in found.encoding else found.encoding]
    room = single if found.segments == 1 else several * found.segments
    return {
        "textPreview": text,
        "messageCount": found.segments,
        "charactersRemaining": room - found.units,
        "configuration": how,
    }
