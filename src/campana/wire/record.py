"""What may be kept of an exchange: everything but the secrets."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

from campana.core.exchange import Request

STRUCK = "***"
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"})


def redacted(request: Request, secrets: Iterable[str]) -> dict[str, Any]:
    """A request as people may read it afterwards: every secret is struck out, however it was written."""
    struck = sorted({spelling for secret in secrets if secret for spelling in _spellings(secret)}, key=len, reverse=True)

    def strike(text: str) -> str:
        for spelling in struck:
            text = text.replace(spelling, STRUCK)
        return text

    return {
        "method": request.method,
        "url": strike(re.sub(r"(?<=://)[^/@]*@", f"{STRUCK}@", request.url)),
        "headers": [[name, STRUCK if name.lower() in SECRET_HEADERS else strike(value)] for name, value in request.headers],
        "body": strike(request.body.decode("utf-8", "replace")),
    }


def _spellings(secret: str) -> set[str]:
    """A secret as it stands in headers, URLs, forms and JSON."""
    plain = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), base64.b64encode(secret.encode()).decode()}
    return plain | {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
