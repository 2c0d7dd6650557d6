"""What the sign-in stands on besides the store: the vault for secrets, mail, and an identity provider."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from campana.core.proxies import Network
from campana.mail import Mailer, MailTrouble
from campana.vault import Vault
from campana.web.oidc import Provider

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Doors:
    """The ways in. Without a mailer, people get their links from an admin."""

    vault: Vault
    mailer: Mailer | None = None
    provider: Provider | None = None
    proxies: tuple[Network, ...] = ()  # on other machines, believed when they say for whom they ask
    _under_way: set[asyncio.Task[None]] = field(default_factory=set, repr=False)

    @property
    def mails(self) -> bool:
        """Whether links come by mail."""
        return self.mailer is not None

    @property
    def provider_name(self) -> str:
        """What people call the identity provider; "" when there is none."""
        return self.provider.name if self.provider else ""

    async def send(self, to: str, subject: str, text: str) -> None:
        """The mail is on its way. Raises MailTrouble."""
        if self.mailer is None:
            raise MailTrouble("No mail server is set. Set CAMPANA_SMTP_URL, or hand the link over yourself.")
        await self.mailer.send(to, subject, text)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Does it beside the answer, which must not tell by its time what was done. What goes wrong is logged."""

        async def done() -> None:
            try:
                await work
            except MailTrouble as trouble:
                log.error(str(trouble))
            except Exception:
                log.exception("a mail could not be sent")

        task = asyncio.create_task(done())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
