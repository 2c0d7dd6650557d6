"""Mail to the people who use the console: plain text, one at a time, over the server of CAMPANA_SMTP_URL."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from urllib.parse import unquote, urlsplit

import aiosmtplib

SECONDS = 20.0
PORTS = {"smtp": 587, "smtps": 465}


class MailTrouble(RuntimeError):
    """A mail was not sent; the sentence says why."""


class BadMailSettings(ValueError):
    """CAMPANA_SMTP_URL cannot be used; the sentence says how it is written."""


@dataclass(frozen=True)
class Mailer:
    """Sends mails by one server. Build it with `mailer`, which reads the settings."""

    scheme: str
    host: str
    port: int
    user: str
    password: str
    sender: str

    async def send(self, to: str, subject: str, text: str) -> None:
        """The server has taken the mail. Raises MailTrouble."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.sender, to, subject
        message["Date"], message["Message-ID"] = formatdate(localtime=False), make_msgid(domain=self.host or "localhost")
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        try:
            await aiosmtplib.send(
                message,
                hostname=self.host,
                port=self.port,
                username=self.user or None,
                password=self.password or None,
                use_tls=self.scheme == "smtps",
                start_tls=None,  # whenever the server offers it
                tls_context=ssl.create_default_context(),
                timeout=SECONDS,
            )
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise MailTrouble(f"The mail server {self.host} did not take the mail: {_why(error)}.") from error


def _why(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def mailer(url: str, sender: str | None) -> Mailer:
    """The mailer of CAMPANA_SMTP_URL and CAMPANA_MAIL_FROM. Raises BadMailSettings."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in PORTS or not parts.hostname or port == -1:
        raise BadMailSettings(
            "CAMPANA_SMTP_URL names no mail server. Write smtps://user:password@host, or smtp://host:587; in the password write "
            "@ as %40, / as %2F and % as %25."
        )
    user = unquote(parts.username or "")
    sent_by = sender or (user if "@" in user else f"campana@{parts.hostname}")
    if "@" not in parseaddr(sent_by)[1]:
        raise BadMailSettings("CAMPANA_MAIL_FROM is no e-mail address. Write for example: Campana <campana@example.com>")
    return Mailer(parts.scheme, parts.hostname, port or PORTS[parts.scheme], user, unquote(parts.password or ""), sent_by)
