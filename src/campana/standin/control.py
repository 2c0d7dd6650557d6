"""The stand-in's own interface under /_standin/: what it has seen, and what shall happen next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from pydantic import Field, ValidationError

from campana.core.exchange import Request, Response
from campana.core.flaws import flaws
from campana.standin.faults import Faults, Model
from campana.standin.numbers import person_of
from campana.standin.vendors import Vendors

PREFIX = "/_standin/"
PHONE_OR_NAME = r"^(\+?[1-9][0-9]{6,14}|[A-Za-z][A-Za-z0-9 ]{0,10})$"


class Inbound(Model):
    """A person writes, or asks WhatsApp for no more marketing (`preference`)."""

    vendor: Literal["twilio", "whatsapp", "infobip"]
    sender: str = Field(alias="from", pattern=PHONE_OR_NAME)
    to: str = Field("", description="Number or phone number id they write to; default: the first of the account")
    text: str = Field("", max_length=4096)
    quotes: str = ""
    preference: Literal["stop", "resume"] | None = None


class TemplateStatus(Model):
    """A template's status changes."""

    name: str
    language: str
    status: Literal["APPROVED", "REJECTED", "PENDING", "PAUSED", "DISABLED"]
    reason: str = "NONE"


class Control:
    """Answers what is asked under /_standin/."""

    def __init__(self, vendors: Vendors, ledger: Path | None) -> None:
        self._vendors, self._ledger = vendors, ledger
        self._routes: dict[tuple[str, str], Callable[[bytes, int], Response]] = {
            ("GET", "state"): self._state,
            ("GET", "ledger"): self._lines,
            ("POST", "faults"): self._faults,
            ("POST", "inbound"): self._inbound,
            ("POST", "templates"): self._template,
        }

    def answer(self, request: Request, now: int) -> Response:
        """One answer in JSON, a sentence where the request cannot be carried out."""
        name = urlsplit(request.url).path.removeprefix(PREFIX)
        route = self._routes.get((request.method, name))
        if not route:
            ways = ", ".join(f"{method} {PREFIX}{each}" for method, each in self._routes)
            return _problem(404, f"There is no {request.method} {PREFIX}{name}. There are {ways}.")
        try:
            return route(request.body, now)
        except ValidationError as error:
            return _problem(400, "; ".join(flaws(error)))

    def _state(self, body: bytes, now: int) -> Response:
        vendors = self._vendors
        return _json(
            {
                "now": now,
                "counts": vendors.counts(),
                "faults": vendors.twilio.faults.model_dump(mode="json"),
                "templates": [
                    {"name": name, "language": language, "status": template["status"]}
                    for (name, language), template in vendors.whatsapp.templates.items()
                ],
                "ledger": str(self._ledger) if self._ledger else None,
            }
        )

    def _lines(self, body: bytes, now: int) -> Response:
        if not self._ledger:
            return _problem(404, "This stand-in keeps its ledger in memory. Start it with --ledger FILE.")
        return Response(200, {"content-type": "application/x-ndjson"}, self._ledger.read_bytes())

    def _faults(self, body: bytes, now: int) -> Response:
        self._vendors.change_faults(Faults.model_validate_json(body), now)
        return self._state(b"", now)

    def _inbound(self, body: bytes, now: int) -> Response:
        words = Inbound.model_validate_json(body)
        named = words.sender[0].isalpha()
        vendors, person = self._vendors, words.sender if named else person_of(words.sender)
        if named and words.vendor != "infobip":
            return _problem(400, "Only Infobip tells messages of senders that are names. Give from as +525511223344.")
        known = vendors.by_name[words.vendor].senders
        to = words.to or next(iter(known), "")
        if to not in known:
            return _problem(400, f"{to} is none of this account's senders: {', '.join(known)}.")
        if words.preference:
            if words.vendor != "whatsapp":
                return _problem(400, "Only WhatsApp knows preferences. Over SMS people send the text STOP.")
            vendors.whatsapp.prefer(person, to, words.preference == "stop", now)
            return _json({"id": None})
        if not words.text:
            return _problem(400, "A person writes something: give text.")
        return _json({"id": vendors.by_name[words.vendor].hear(person, to, words.text, now, words.quotes)})

    def _template(self, body: bytes, now: int) -> Response:
        asked = TemplateStatus.model_validate_json(body)
        if (asked.name, asked.language) not in self._vendors.whatsapp.templates:
            return _problem(404, f"There is no template {asked.name} in {asked.language}.")
        self._vendors.whatsapp.set_template(asked.name, asked.language, asked.status, now, asked.reason)
        return _json({"name": asked.name, "language": asked.language, "status": asked.status})


def _json(body: object, code: int = 200) -> Response:
    return Response(code, {"content-type": "application/json"}, msgspec.json.encode(body))


def _problem(code: int, words: str) -> Response:
    return _json({"problem": words}, code)
