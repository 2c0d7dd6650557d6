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
FOREVER = 500  # from this reply code on, a server gives the same answer to a repeat (RFC 5321, 4.2.1)
LONGEST_WHY = 300


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a server said to one address, and whether it will say so again however often it is asked."""

    words: str
    forever: bool


class MailTrouble(RuntimeError):
    """A mail was not sent; the sentence says why. `refused` has what was said to each address, when it was the addresses."""

    def __init__(self, words: str, *, forever: bool = False, refused: dict[str, Refusal] | None = None) -> None:
        super().__init__(words)
        self.forever = forever
        self.refused = refused or {}


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

    async def post(
        self, letter: Letter, to: Sequence[str], name: str, before: Callable[[], Awaitable[bool]]
    ) -> dict[str, Refusal] | None:
        """The server has taken a letter to all of `to`, but for those it refused, which are returned with its words.

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
        if len(refused) == len(to):
            client.close()
            raise MailTrouble(self._refusing(next(iter(refused.values())).words), refused=refused)
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

    async def _agreed(self, client: aiosmtplib.SMTP, to: Sequence[str]) -> dict[str, Refusal]:
        """The server takes a letter from us to these, but for those that are returned."""
        await client.mail(parseaddr(self.sender)[1])
        refused: dict[str, Refusal] = {}
        for address in to:
            try:
                await client.rcpt(address)
            except aiosmtplib.SMTPRecipientRefused as error:
                refused[address] = Refusal(_why(error), error.code >= FOREVER)
        return refused

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
        forever = isinstance(error, aiosmtplib.SMTPResponseException) and error.code >= FOREVER
        return MailTrouble(self._refusing(_why(error)), forever=forever)

    def _refusing(self, words: str) -> str:
        return f"The mail server {self.host} did not take the mail: {words}."


def _why(error: Exception) -> str:
    told = f"{error.code} {error.message}" if isinstance(error, aiosmtplib.SMTPResponseException) else str(error)
    return " ".join(told.split()).rstrip(".")[:LONGEST_WHY] or type(error).__name__


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
