"""How Infobip says what became of a message: its statuses and errors, its reports in both versions, its logs, its refusals."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from campana.standin.ledger import Step
from campana.standin.messages import NOT_DELIVERED, Message

ACCEPTED, DUPLICATE, MISSING, INVALID, SOURCE, TOO_LONG = 26, 23, 51, 52, 11, 25
NOT_DELIVERED_ID, NO_ERROR, STOPPED = 9, 0, 603
# A refusal of the platform is told in the answer; the others only when a list or an operator was asked.
IN_ANSWER = frozenset({6, 8, 11, 12, 13, 17, 18, 19, 20, 21, 23, 24, 25, 51, 52})
# The status an error comes with, where it is not UNDELIVERABLE_NOT_DELIVERED.
STATUS_OF = {603: 14, 604: 14, 2052: 14, 2050: 10, 4101: 15, 4098: 15, 811: 15, 4099: 12, 4103: 20, 4104: 20, 608: 87, 609: 87}
SAID = {26: "Message sent to next instance", 23: "Duplicate messageId", 52: "Invalid destination address"}
PRICE = {"pricePerMessage": 0.01, "currency": "EUR"}
NETWORKS = {"1": "310260", "34": "21407", "44": "23415", "52": "334020", "54": "722310", "55": "72405"}

REFUSALS = {  # by HTTP status: what the older envelope calls it and says, what the newer one says and advises
    400: ("BAD_REQUEST", "Bad Request", "Request cannot be processed.", "Check the syntax, violations and adjust the request."),
    401: (
        "UNAUTHORIZED",
        "Invalid login details",
        "The request lacks valid authentication credentials for the requested resource.",
        "Check the resources and adjust authentication credentials.",
    ),
    404: ("NOT_FOUND", "Not Found", "Requested resource not found.", "Check the resource path."),
    429: (
        "TOO_MANY_REQUESTS",
        "Too many requests",
        "Too many requests sent.",
        "Check request rate limit specified in the API endpoint documentation resource.",
    ),
    500: ("GENERAL_ERROR", "Something went wrong. Please contact support.", "Something went wrong.", "Contact the support."),
}


class Known(NamedTuple):
    """A row of Infobip's tables."""

    group: int
    group_name: str
    name: str
    permanent: bool = False


def _rows(table: str) -> list[dict[str, str]]:
    text = resources.files("campana.standin").joinpath(f"schemas/infobip_{table}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def statuses() -> dict[int, Known]:
    """By id. Of the one id that two groups share, the first counts."""
    rows = reversed(_rows("statuses"))
    return {int(row["id"]): Known(int(row["group_id"]), row["group_name"], row["name"]) for row in rows}


@cache
def errors() -> dict[int, Known]:
    """By id. Of the one id that two groups share, the first counts."""
    return {
        int(row["id"]): Known(int(row["group_id"]), row["group_name"], row["name"], row["permanent_flag"] == "true")
        for row in reversed(_rows("errors"))
    }


def failing(code: int, status: int) -> Step | None:
    """How a message with that error, that status, or both ends; None: well."""
    if not code and not status:
        return None
    number = status or STATUS_OF.get(code, NOT_DELIVERED_ID)
    known = statuses().get(number)
    return Step("failed" if known is None or known.group == 5 else "undelivered", 0, code, detail=number)


@cache
def status(number: int) -> dict[str, Any]:
    """A status as Infobip shows it."""
    known = statuses().get(number, Known(5, "REJECTED", f"STATUS_{number}"))
    said = SAID.get(number, known.name.replace("_", " ").capitalize())
    return {
        "groupId": known.group,
        "groupName": known.group_name,
        "id": number,
        "name": known.name,
        "description": said,
    }


@cache
def error(number: int) -> dict[str, Any]:
    """An error as Infobip shows it."""
    known = errors().get(number, Known(3, "OPERATOR_ERRORS", f"EC_{number}"))
    return {
        "groupId": known.group,
        "groupName": known.group_name,
        "id": number,
        "name": known.name,
        "description": known.name if number else "No Error",
        "permanent": known.permanent,
    }


def ids(message: Message, word: str) -> tuple[int, int]:
    """Infobip's status and error of a message that is so far. One that stays at *sent* was taken by the operator for good."""
    if word in NOT_DELIVERED:
        step = next(step for step in message.plan if step.status == word)
        return step.detail, step.code
    if word == "sent":
        return (2 if is_last(message, word) else 7), NO_ERROR
    return (5 if word == "delivered" else ACCEPTED), NO_ERROR


def is_last(message: Message, word: str) -> bool:
    """Whether nothing follows that word in the life of the message."""
    if word == "sent":
        return all(step.status in ("queued", "sent") for step in message.plan)
    return word in NOT_DELIVERED or word == "delivered"


def date(at: int) -> str:
    """Without a colon in the offset, as Infobip writes it."""
    return datetime.fromtimestamp(at / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at // 1000 % 1000:03}+0000"


def report(message: Message, word: str, done: int) -> dict[str, Any]:
    """A delivery report of version 3."""
    sending, more = message.sending, message.sending.more or {}
    number, code = ids(message, word)
    made = {
        "bulkId": more.get("bulkId"),
        "price": PRICE,
        "status": status(number),
        "error": error(code),
        "messageId": message.id,
        "to": sending.to,
        "sender": sending.sender,
        "sentAt": date(message.at),
        "doneAt": date(done),
        "messageCount": more.get("parts", 1),
        "mccMnc": _network(sending.person),
        "callbackData": more.get("callbackData"),
        "platform": more.get("platform", {}),
        "campaignReferenceId": more.get("campaignReferenceId"),
    }
    return {name: value for name, value in made.items() if value is not None}


def older(made: Mapping[str, Any]) -> dict[str, Any]:
    """The same report in version 1, which names no sender and says *Ok* where the newer one says *OK*."""
    kept = {name: value for name, value in made.items() if name not in ("sender", "platform", "messageCount")}
    calm = {"error": {**made["error"], "groupName": "Ok"}} if made["error"]["groupName"] == "OK" else {}
    return {**kept, **calm, **made["platform"], "smsCount": made["messageCount"]}


def log(message: Message) -> dict[str, Any]:
    """A line of the logs."""
    made = report(message, message.status, message.updated)
    made["destination"] = made.pop("to")
    made.pop("callbackData", None)
    made["content"] = {"text": message.sending.text}
    return made


def _network(person: str) -> str:
    return next((network for prefix, network in NETWORKS.items() if person.startswith("+" + prefix)), "22801")


def refusal(http: int, newer: bool, violations: Mapping[str, str]) -> dict[str, Any]:
    """The body of a refused request, in the newer or the older envelope."""
    name, words, description, action = REFUSALS[http]
    if newer:
        return {
            "errorCode": f"E{http}",
            "description": description,
            "action": action,
            "violations": [{"property": where, "violation": what} for where, what in violations.items()],
            "resources": [{"name": "SMS API", "url": "https://www.infobip.com/docs/sms"}],
        }
    exception: dict[str, Any] = {"messageId": name, "text": words}
    if violations:
        exception["validationErrors"] = {where: [what] for where, what in violations.items()}
    return {"requestError": {"serviceException": exception}}
