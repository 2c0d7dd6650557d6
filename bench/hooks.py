"""Receipts as Twilio tells them: signed forms, made ahead so that telling them costs little."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from bench.people import ACCOUNT
from campana.standin.twilio import sign


def told(callback: str, sid: str, to: str, status: str) -> bytes:
    """The whole request that tells one status of one message to `callback`."""
    form = {
        "SmsSid": sid,
        "SmsStatus": status,
        "MessageStatus": status,
        "To": to,
        "MessageSid": sid,
        "AccountSid": ACCOUNT["account_sid"],
        "From": "+15550100",
        "ApiVersion": "2010-04-01",
    }
    url = callback.partition("#")[0]
    where = urlsplit(url)
    body = urlencode(form).encode()
    head = (
        f"POST {where.path}?{where.query} HTTP/1.1\r\nHost: {where.netloc}\r\n"
        "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n"
        f"X-Twilio-Signature: {sign(ACCOUNT['auth_token'], url, form)}\r\nUser-Agent: TwilioProxy/1.1\r\n"
        f"I-Twilio-Idempotency-Token: {sid}\r\nAccept: */*\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
