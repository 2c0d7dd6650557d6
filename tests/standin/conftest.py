"""A stand-in's tests: requests as a client makes them, and an ear that hears its webhooks."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest

from campana.clock import boottime
from campana.core.exchange import Request, Response
from campana.standin.config import InfobipConfig, Receipts, StandinConfig, TwilioConfig, WhatsAppConfig, demo_config
from campana.standin.connection import Connection
from campana.standin.messages import Reply
from campana.wire import Wire

DATA = Path(__file__).parent.parent / "data"
TWILIO, WHATSAPP, INFOBIP = TwilioConfig(), WhatsAppConfig(), InfobipConfig()
SID = TWILIO.account_sid
NUMBER = next(iter(WHATSAPP.phone_numbers))
SERVICE = "MG0123456789abcdef0123456789abcdef"
NOW = 1_750_000_000_000_000
AT_ONCE = Receipts(sent=(0, 0), delivered=(0, 0), read_share=0)


def sms(to: str = "+15558675310", body: str = "Hi Ana", base: str = "http://api", **more: str) -> Request:
    """A lawful SMS, with changes; an empty one takes a parameter away."""
    form = {"To": to, "From": TWILIO.numbers[0], "Body": body, **more}
    data = urlencode({name: value for name, value in form.items() if value}).encode()
    return twilio("POST", "/Messages.json", data, base)


def twilio(method: str, path: str, body: bytes = b"", base: str = "http://api") -> Request:
    """A request of ours to Twilio's interface."""
    secret = base64.b64encode(f"{SID}:{TWILIO.auth_token}".encode()).decode()
    headers = (("Authorization", f"Basic {secret}"), ("Content-Type", "application/x-www-form-urlencoded"))
    url = path if path.startswith("/2010") else f"/2010-04-01/Accounts/{SID}{path}"
    return Request(method, base + url, headers, body)


def template(to: str = "+15558675310", base: str = "http://api", ref: str = "r1", **values: str) -> Request:
    """A lawful send of the template visit_reminder."""
    values = values or {"first_name": "Ana", "appointment_date": "12 May"}
    parameters = [{"type": "text", "parameter_name": name, "text": value} for name, value in values.items()]
    body = {
        "messaging_product": "whatsapp",
        "to": to,
        "type": "template",
        "template": {
            "name": "visit_reminder",
            "language": {"code": "en_US"},
            "components": [{"type": "body", "parameters": parameters}],
        },
        "biz_opaque_callback_data": ref,
    }
    return graph("POST", f"{NUMBER}/messages", body, base)


def words(to: str = "+15558675310", text: str = "Hello", base: str = "http://api") -> Request:
    """A free text over WhatsApp."""
    body = {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": text}}
    return graph("POST", f"{NUMBER}/messages", body, base)


def graph(method: str, path: str, body: Any = None, base: str = "http://api") -> Request:
    """A request of ours to the Graph API."""
    headers = (("Authorization", f"Bearer {WHATSAPP.token}"), ("Content-Type", "application/json"))
    return Request(method, f"{base}/v23.0/{path}", headers, b"" if body is None else json.dumps(body).encode())


def batch(*to: str, base: str = "http://api", text: str = "Hi Ana", url: str = "", bulk: str = "", **options: Any) -> Request:
    """A lawful message to some people over Infobip, each named by its message id: `number:id`, or only the number."""
    places = [{"to": number, **({"messageId": ref} if ref else {})} for number, _, ref in (one.partition(":") for one in to)]
    message: dict[str, Any] = {"sender": INFOBIP.senders[0], "destinations": places, "content": {"text": text}}
    if url:
        message["webhooks"] = {"delivery": {"url": url}}
    body: dict[str, Any] = {"messages": [message], "options": options}
    if bulk:
        body["options"]["schedule"] = {"bulkId": bulk}
    return infobip("POST", "/sms/3/messages", body, base)


def infobip(method: str, path: str, body: Any = None, base: str = "http://api") -> Request:
    """A request of ours to Infobip's interface."""
    headers = (("Authorization", f"App {INFOBIP.api_key}"), ("Content-Type", "application/json"))
    return Request(method, base + path, headers, b"" if body is None else json.dumps(body).encode())


def told(response: Response) -> Any:
    """The JSON of an answer."""
    return json.loads(response.body)


def quick(**more: Any) -> StandinConfig:
    """The demo's stand-in with receipts at once."""
    config = demo_config(**more)
    return config.model_copy(
        update={
            "twilio": config.twilio.model_copy(update={"receipts": AT_ONCE}),
            "whatsapp": config.whatsapp.model_copy(update={"receipts": AT_ONCE}),
            "infobip": config.infobip.model_copy(update={"receipts": AT_ONCE, "report_gap": 0}),
        }
    )


class Ear:
    """A server that hears webhooks, and answers each as it is told to."""

    def __init__(self) -> None:
        self.heard: list[Request] = []
        self.answer: Callable[[Request], int] = lambda request: 200
        self.url = ""
        self._more = asyncio.Event()

    def _handle(self, request: Request) -> Reply:
        self.heard.append(request)
        self._more.set()
        return Reply(Response(self.answer(request), {}, b""))

    async def until(self, count: int) -> list[Request]:
        """The webhooks, when there are so many."""
        while len(self.heard) < count:
            self._more.clear()
            await self._more.wait()
        return self.heard

    async def __aenter__(self) -> Ear:
        self._open: set[Connection] = set()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self._handle, self._open), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *args: object) -> None:
        self._server.close()
        for connection in tuple(self._open):
            connection.leave()


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    async with Ear() as ear:
        yield ear


@pytest.fixture
async def call() -> AsyncIterator[Callable[..., Any]]:
    """Sends one request over the real wire."""
    wire = Wire(8)

    async def exchange(request: Request, seconds: float = 10) -> Any:
        return await wire.exchange(request, boottime() + int(seconds * 1_000_000))

    yield exchange
    await wire.close()


@pytest.fixture
def asks() -> SimpleNamespace:
    """The requests and facts that the tests share."""
    return SimpleNamespace(
        sms=sms, twilio=twilio, template=template, words=words, graph=graph, told=told, quick=quick, data=DATA, sid=SID,
        number=NUMBER, service=SERVICE, now=NOW, twilio_config=TWILIO, whatsapp_config=WHATSAPP,
        batch=batch, infobip=infobip, infobip_config=INFOBIP,
    )  # fmt: skip
