"""All stand-ins under one roof: one address, one ledger, one clock handed in. Rehearsals use it as it is, without a server."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from campana.core.exchange import Request, Response
from campana.standin import ledger as kinds
from campana.standin.config import StandinConfig
from campana.standin.faults import Faults
from campana.standin.infobip import Infobip
from campana.standin.ledger import Ledger, Line, Notes
from campana.standin.messages import Reply
from campana.standin.telling import Webhook
from campana.standin.twilio import Twilio
from campana.standin.vendor import Vendor
from campana.standin.whatsapp import WhatsApp

TWILIO = re.compile(r"(?:https?://[^/]*)?/2010-04-01/")
INFOBIP = re.compile(r"(?:https?://[^/]*)?/(?:sms|account)/\d+/")
GRAPH = re.compile(r"(?:https?://[^/]*)?/v\d+\.\d+/")


class Vendors:
    """All stand-ins of one configuration."""

    def __init__(self, config: StandinConfig, ledger: Ledger | None = None) -> None:
        self.config = config
        self.ledger = ledger if ledger is not None else Notes()
        self.twilio, self.whatsapp = Twilio(config, self.ledger), WhatsApp(config, self.ledger)
        self.infobip = Infobip(config, self.ledger)
        self.by_name: dict[str, Vendor] = {vendor.name: vendor for vendor in (self.twilio, self.whatsapp, self.infobip)}

    def handle(self, request: Request, now: int) -> Reply:
        """Answers one request; the path says whose it is."""
        if TWILIO.match(request.url):
            return self.twilio.handle(request, now)
        if GRAPH.match(request.url):
            return self.whatsapp.handle(request, now)
        if INFOBIP.match(request.url):
            return self.infobip.handle(request, now)
        return Reply(Response(404, {"content-type": "text/plain"}, b"Nobody lives at this path."))

    def next_due(self) -> int | None:
        """When the next webhook is to go out."""
        times = [at for vendor in self.by_name.values() if (at := vendor.next_due()) is not None]
        return min(times, default=None)

    def due(self, now: int, most: int | None = None) -> list[Webhook]:
        """The webhooks whose time has come, earliest first, at most so many."""
        ready: list[Webhook] = []
        while most is None or len(ready) < most:
            late = [(at, name) for name, vendor in self.by_name.items() if (at := vendor.next_due()) is not None and at <= now]
            if not late:
                break
            ready += self.by_name[min(late)[1]].due(now, 1)
        return ready

    def done(self, webhook: Webhook, answer: int | None, now: int) -> None:
        """Hears what a webhook was answered; None: nothing came back."""
        self.by_name[webhook.vendor].done(webhook, answer, now)

    def change_faults(self, faults: Faults, now: int) -> None:
        """From now on these faults hold."""
        for vendor in self.by_name.values():
            vendor.change_faults(faults, now)

    def counts(self) -> Counter[str]:
        """What has happened so far, in all (`accepted`) and by vendor (`twilio.accepted`)."""
        total: Counter[str] = Counter()
        for name, vendor in self.by_name.items():
            total.update(vendor.counts)
            total.update({f"{name}.{kind}": count for kind, count in vendor.counts.items()})
            total["pending"] += vendor.pending()
            total[f"{name}.pending"] = vendor.pending()
        return total

    def open(self, earlier: Iterable[Line], now: int) -> None:
        """Begins, or goes on where an earlier life with this ledger stopped."""
        for line in earlier:
            if vendor := self.by_name.get(line.vendor):
                vendor.replay(line)
        for vendor in self.by_name.values():
            vendor.resume(now)
        self.ledger.write(Line(kinds.OPENED, now))

    def close(self, now: int) -> None:
        """Notes that the end was meant: a ledger that goes on without this line saw a kill."""
        self.ledger.write(Line(kinds.CLOSED, now))
