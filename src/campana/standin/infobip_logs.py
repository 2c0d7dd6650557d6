"""What may be asked of Infobip's logs and reports, and which messages that finds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from campana.standin import infobip_words as say
from campana.standin.infobip_request import Violations
from campana.standin.messages import Message

BOTH = frozenset({"bulkId", "messageId", "limit", "entityId", "applicationId", "campaignReferenceId"})
LOGS = BOTH | {"sender", "destination", "generalStatus", "sentSince", "sentUntil", "useCursor", "cursor"}
GROUPS = frozenset({"ACCEPTED", "PENDING", "UNDELIVERABLE", "DELIVERED", "EXPIRED", "REJECTED"})
MOST = 1000

Query = Mapping[str, frozenset[str]]


def read_query(asked: Mapping[str, Sequence[str]], *, logs: bool) -> Query:
    """The parameters; several values are given again or with commas. Raises Violations."""
    if strange := sorted(asked.keys() - (LOGS if logs else BOTH)):
        raise Violations.at(strange[0], "is not known")
    query = {name: frozenset(part for value in values for part in value.split(",")) for name, values in asked.items()}
    if not 1 <= numbered(query, "limit", 50) <= MOST:
        raise Violations(limit=f"must be from 1 to {MOST}")
    numbered(query, "cursor", 0)
    if not query.get("generalStatus", frozenset()) <= GROUPS:
        raise Violations(generalStatus=f"must be one of {', '.join(sorted(GROUPS))}")
    for name in ("sentSince", "sentUntil"):
        _moment(query, name)
    return query


def named(query: Query, name: str) -> str:
    """The one value of a parameter."""
    return min(query.get(name, ()), default="")


def numbered(query: Query, name: str, default: int) -> int:
    """The one number of a parameter; raises Violations when it is none."""
    text = named(query, name)
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Violations.at(name, "must be a number")
    return int(text) if text else default


def _moment(query: Query, name: str) -> int | None:
    text = named(query, name).replace(" ", "+")  # a plus sign that was not encoded
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Violations.at(name, "must be yyyy-MM-dd'T'HH:mm:ss.SSSZ") from None
    if at.tzinfo is None:
        raise Violations.at(name, "must name its offset")
    return int(at.timestamp() * 1_000_000)


def by_id(messages: dict[str, Message], query: Query) -> Iterable[Message]:
    """The messages of the ids asked for, or all of them; newest first."""
    if "messageId" in query:
        found = [messages[key] for key in query["messageId"] if key in messages]
        return sorted(found, key=lambda one: one.at, reverse=True)
    return reversed(messages.values())


def wanted(message: Message, query: Query) -> bool:
    """Whether a message is what the query asks for."""
    sending, more = message.sending, message.sending.more or {}
    platform = more.get("platform", {})
    facts = {
        "messageId": message.id,
        "sender": sending.sender,
        "destination": sending.to,
        "bulkId": more.get("bulkId"),
        "campaignReferenceId": more.get("campaignReferenceId"),
        "entityId": platform.get("entityId"),
        "applicationId": platform.get("applicationId"),
    }
    if any(value not in query[name] for name, value in facts.items() if name in query):
        return False
    if "generalStatus" in query and say.status(say.ids(message, message.status)[0])["groupName"] not in query["generalStatus"]:
        return False
    since, until = _moment(query, "sentSince"), _moment(query, "sentUntil")
    return (since is None or since <= message.at) and (until is None or message.at <= until)
