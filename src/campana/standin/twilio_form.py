"""What Twilio refuses in a request to send, and the words it takes for an opt-out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

OPT_OUT = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
OPT_IN = frozenset({"START", "YES", "UNSTOP"})

E164 = re.compile(r"\+[1-9][0-9]{7,14}")
TEXT_LIMIT = 1600
SID = {
    "ApplicationSid": re.compile(r"AP[0-9a-fA-F]{32}"),
    "MessagingServiceSid": re.compile(r"MG[0-9a-fA-F]{32}"),
    "ContentSid": re.compile(r"HX[0-9a-fA-F]{32}"),
}
FLAGS = frozenset({"ProvideFeedback", "ForceDelivery", "SmartEncoded", "ShortenUrls", "SendAsMms"})
CHOICES = {
    "ContentRetention": {"retain", "discard"},
    "AddressRetention": {"retain", "obfuscate"},
    "TrafficType": {"free"},
    "RiskCheck": {"enable", "disable"},
}
PLAIN = frozenset(
    {"To", "From", "Body", "StatusCallback", "MaxPrice", "Attempt", "ValidityPeriod", "ContentVariables", "FallbackFrom"}
)
REPEATED = frozenset({"MediaUrl", "PersistentAction"})
KNOWN = PLAIN | REPEATED | FLAGS | SID.keys() | CHOICES.keys()
SCHEDULING = frozenset({"ScheduleType", "SendAt"})


class BadForm(ValueError):
    """Twilio refuses these parameters with this code."""

    def __init__(self, code: int, details: str = "") -> None:
        super().__init__(details)
        self.code, self.details = code, details


def check_form(pairs: Sequence[tuple[str, str]], numbers: Sequence[str], services: Mapping[str, Sequence[str]]) -> None:
    """Raises BadForm when Twilio would refuse to send this."""
    form = dict(pairs)
    _check_names(pairs)
    _check_to(form.get("To", ""))
    _check_sender(form, numbers, services)
    _check_content(form)
    _check_values(form)


def _check_names(pairs: Sequence[tuple[str, str]]) -> None:
    counts = Counter(name for name, _ in pairs)
    if scheduled := counts.keys() & SCHEDULING:
        raise BadForm(20001, f"This stand-in sends at once; leave {' and '.join(sorted(scheduled))} away.")
    if strange := counts.keys() - KNOWN:
        raise BadForm(20001, f"There is no parameter {', '.join(sorted(strange))}.")
    if double := [name for name, count in counts.items() if count > 1 and name not in REPEATED]:
        raise BadForm(20001, f"{', '.join(sorted(double))} is given more than once.")


def _check_to(to: str) -> None:
    if not to:
        raise BadForm(21604)
    if not E164.fullmatch(to) or (to.startswith("+1") and len(to) != 12):
        raise BadForm(21211, f"Invalid 'To' Phone Number: {to}")


def _check_sender(form: Mapping[str, str], numbers: Sequence[str], services: Mapping[str, Sequence[str]]) -> None:
    sender, service = form.get("From"), form.get("MessagingServiceSid")
    if not sender and not service:
        raise BadForm(21603)
    if service and not SID["MessagingServiceSid"].fullmatch(service):
        raise BadForm(20001, "MessagingServiceSid is MG and 32 hexadecimal digits.")
    if service and service not in services:
        raise BadForm(21701)
    if service and not services[service]:
        raise BadForm(21704, "The Messaging Service contains no phone numbers.")
    if sender == form.get("To"):
        raise BadForm(21266, "'To' and 'From' number cannot be the same")
    if sender and sender not in (services[service] if service else numbers):
        raise BadForm(21606)


def _check_content(form: Mapping[str, str]) -> None:
    body = form.get("Body", "")
    if not (body or form.get("MediaUrl") or form.get("ContentSid")):
        raise BadForm(21602)
    if len(body) > TEXT_LIMIT:
        raise BadForm(21617, "The concatenated message body exceeds the 1600 character limit")
    if "ContentVariables" in form and "ContentSid" not in form:
        raise BadForm(21654, "ContentSid is required with ContentVariables.")
    media = form.get("MediaUrl")
    if media is not None and not _is_url(media):
        raise BadForm(21620, "Invalid media URL(s)")


def _check_values(form: Mapping[str, str]) -> None:
    callback = form.get("StatusCallback")
    if callback is not None and not _is_url(callback):
        raise BadForm(21609, "The 'StatusCallback' URL is not a valid URL.")
    period = form.get("ValidityPeriod")
    if period is not None and not (period.isascii() and period.isdigit() and 1 <= int(period) <= 36000):
        raise BadForm(20001, "ValidityPeriod goes from 1 to 36000 seconds.")
    for name in FLAGS & form.keys():
        if form[name].lower() not in ("true", "false"):
            raise BadForm(20001, f"{name} is true or false.")
    for name, pattern in SID.items():
        if name in form and not pattern.fullmatch(form[name]):
            raise BadForm(20001, f"{name} does not look like one.")
    for name in CHOICES.keys() & form.keys():
        if form[name] not in CHOICES[name]:
            raise BadForm(20001, f"{name} is one of {', '.join(sorted(CHOICES[name]))}.")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and text.isprintable() and " " not in text
    except ValueError:
        return False
