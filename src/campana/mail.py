"""Mail to the people who use the console, over the server of CAMPANA_SMTP_URL: plain text to one, a letter to several."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from urllib.parse import unquote, urlsplit

import aiosmtplib

SECONDS = 20.0
PORTS = {"smtp": 587, "smtps": 465}


class MailTrouble(RuntimeError):
    """A mail was not sent; the sentence says why."""


class MailUncertain(RuntimeError):
    """The connection was lost after the whole mail had been handed over: nobody knows whether the server took it."""


class BadMailSettings(ValueError):
    """CAMPANA_SMTP_URL cannot be used; the sentence says how it is written."""


PLAIN = policy.SMTP.clone(cte_type="7bit")  # every server takes it


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail with a formatted part and a file."""

    subject: str
    text: str
    html: str
    file_name: str
    file: bytes  # CSV


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
        client = self._client()
        try:
            async with client:
                await client.send_message(message)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise self._trouble(error) from error

    async def post(self, letter: Letter, to: Sequence[str], name: str, before: Callable[[], Awaitable[bool]]) -> list[str] | None:
        """The server has taken a letter to all of `to`, but for those it refused, which are returned.

        `name` is the first half of its Message-ID: the same for the same letter, so that a repeat can be recognised. `before`
        is asked when all is agreed and nothing of the letter has left the house: without its yes nothing is sent, and None is
        returned. Raises MailTrouble when the server surely took nothing, MailUncertain when nobody knows.
        """
        message = self._written(letter, to, name)
        client = self._client()
        try:
            await client.connect()
            refused = await self._agreed(client, to)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            client.close()
            raise self._trouble(error) from error
        try:
            if not await before():
                return None
            await client.data(message)
        except aiosmtplib.SMTPResponseException as error:
            raise self._trouble(error) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailUncertain(f"The mail server {self.host} was handed the mail, and never answered: {_why(error)}.") from error
        finally:
            client.close()  # the answer is all there is to wait for
        return refused

    def _client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.user or None,
            password=self.password or None,
            use_tls=self.scheme == "smtps",
            start_tls=None,  # whenever the server offers it
            tls_context=ssl.create_default_context(),
            timeout=SECONDS,
        )

    async def _agreed(self, client: aiosmtplib.SMTP, to: Sequence[str]) -> list[str]:
        """The server takes a letter from us to these; those it does not take one for are returned. Raises when it takes none."""
        await client.mail(parseaddr(self.sender)[1])
        refused: dict[str, aiosmtplib.SMTPException] = {}
        for address in to:
            try:
                await client.rcpt(address)
            except aiosmtplib.SMTPRecipientRefused as error:
                refused[address] = error
        if len(refused) == len(to):
            raise next(iter(refused.values()))
        return list(refused)

    def _written(self, letter: Letter, to: Sequence[str], name: str) -> bytes:
        message = EmailMessage(policy=PLAIN)
        message["From"], message["To"], message["Subject"] = self.sender, ", ".join(to), " ".join(letter.subject.split())
        message["Date"] = formatdate(localtime=False)
        message["Message-ID"] = f"<{name}@{parseaddr(self.sender)[1].rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        message.add_alternative(letter.html, subtype="html")
        message.add_attachment(letter.file, maintype="text", subtype="csv", filename=letter.file_name)
        return message.as_bytes()

    def _trouble(self, error: Exception) -> MailTrouble:
        return MailTrouble(f"The mail server {self.host} did not take the mail: {_why(error)}.")


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
