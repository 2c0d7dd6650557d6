"""What a stand-in is told: the accounts it knows, where its receipts go, and what goes wrong."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from campana.core.flaws import flaws
from campana.standin.faults import Faults, Model, Share, Span


class BadConfig(ValueError):
    """The configuration cannot be used; the sentence says what to change."""


class Receipts(Model):
    """When receipts come, in seconds after acceptance (sent) and after the one before; divided by the time scale."""

    queued: bool = False
    sent: Span = (0.2, 1.0)
    delivered: Span = (0.5, 3.0)
    delivered_share: Share = Field(1.0, description="The others stay at sent for ever")
    read: Span = (2.0, 20.0)
    read_share: Share = 0.5


class TwilioConfig(Model):
    """The Twilio account that the stand-in keeps."""

    account_sid: str = Field("AC0123456789abcdef0123456789abcdef", pattern="^AC[0-9a-fA-F]{32}$")
    auth_token: str = "stand-in-auth-token"  # noqa: S105 - a made-up one, for rehearsals
    api_keys: dict[str, str] = Field({}, description="API key SID (SK...) and its secret")
    numbers: tuple[str, ...] = ("+15017122661",)
    services: dict[str, tuple[str, ...]] = Field({}, description="Messaging Service SID (MG...) and its numbers")
    advanced_opt_out: bool = Field(False, description="Tell OptOutType for messages to a number of a Messaging Service")
    inbound_url: str | None = Field(None, description="Where messages of people are told")
    receipts: Receipts = Receipts(read_share=0)
    rate: float | None = Field(None, gt=0, description="Requests a second; above them 429")


class WhatsAppConfig(Model):
    """The WhatsApp Business account that the stand-in keeps."""

    token: str = "stand-in-token"  # noqa: S105 - a made-up one, for rehearsals
    app_secret: str = "stand-in-app-secret"  # noqa: S105
    verify_token: str = "stand-in-verify-token"  # noqa: S105
    waba_id: str = "102290129340398"
    phone_numbers: dict[str, str] = Field({"106540352242922": "15550783881"}, description="Phone number id and its digits")
    templates: tuple[dict[str, Any], ...] = Field((), description="As GET message_templates shows them")
    callback_url: str | None = Field(None, description="Where receipts, messages and notices are told")
    subscribed: bool = Field(True, description="False: nothing is told until POST subscribed_apps")
    wa_id_differs: Share = Field(1.0, description="Share of the people of MX, AR and BR whose wa_id is unlike their number")
    receipts: Receipts = Receipts()
    rate: float | None = Field(80, gt=0, description="Messages a second of one number; above them 130429")
    pair_burst: int | None = Field(45, gt=0, description="Messages to one person in a row, then one in 6 s; above them 131056")


class InfobipConfig(Model):
    """The Infobip account that the stand-in keeps."""

    api_key: str = "stand-in-api-key"
    senders: tuple[str, ...] = Field(("447860099299", "InfoSMS"), description="Numbers as digits, and names")
    inbound_url: str | None = Field(None, description="Where messages of people are told")
    keywords: tuple[str, ...] = Field((), description="First words that are cut off in cleanText")
    security: Literal["none", "basic", "hmac_timestamp", "hmac_header"] = Field("basic", description="What proves a webhook")
    username: str = "infobip"
    password: str = "stand-in-password"  # noqa: S105 - a made-up one, for rehearsals
    signing_key: str = "stand-in-signing-key"
    signature_header: str = Field("X-Signature", description="Where hmac_header puts the signature of the body")
    algorithm: Literal["HMAC_MD5", "HMAC_SHA_1", "HMAC_SHA_256", "HMAC_SHA_512"] = "HMAC_SHA_256"
    report_version: Literal[1, 3] = Field(3, description="Shape of the delivery reports")
    report_batch: int = Field(100, ge=1, le=2000, description="At most so many delivery reports at once")
    report_gap: float = Field(0.2, ge=0, description="Seconds in which delivery reports gather")
    envelope: Literal["ApiError", "ApiException"] = Field("ApiError", description="How version 3 says what it refuses")
    most_destinations: int = Field(100, gt=0, description="Recipients of one request; above them 400")
    most_parts: int | None = Field(None, gt=0, description="Parts of one message; above them status 25")
    logs_per_minute: int | None = Field(120, gt=0, description="Requests for logs; above them 429")
    logs_after: float = Field(0, ge=0, description="Seconds until the logs know a message")
    balance: float = 1000.0
    receipts: Receipts = Receipts(read_share=0)
    rate: float | None = Field(None, gt=0, description="Requests to send a second; above them 429")


class StandinConfig(Model):
    """All that one stand-in is told."""

    seed: int = 1
    time_scale: float = Field(1.0, gt=0, description="Divides the waits of receipts, replies, repeats and windows")
    connections: int = Field(64, gt=0, description="At most so many webhooks at once")
    twilio: TwilioConfig = TwilioConfig()
    whatsapp: WhatsAppConfig = WhatsAppConfig()
    infobip: InfobipConfig = InfobipConfig()
    faults: Faults = Faults()


def load_config(path: Path) -> StandinConfig:
    """Reads a configuration from YAML, TOML or JSON; raises BadConfig with a sentence for every line that is wrong."""
    try:
        return StandinConfig.model_validate(_read(path))
    except ValidationError as error:
        raise BadConfig(f"{path} cannot be used: {'; '.join(flaws(error))}.") from error


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            return tomllib.loads(text)
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BadConfig(f"{path} cannot be read: {error}. Give a YAML, TOML or JSON file in UTF-8.") from error


DEMO_TEMPLATES: tuple[dict[str, Any], ...] = (
    {
        "id": "920070352646140",
        "name": "visit_reminder",
        "language": "en_US",
        "status": "APPROVED",
        "category": "UTILITY",
        "parameter_format": "NAMED",
        "components": [
            {
                "type": "BODY",
                "text": "Hi {{first_name}}, we expect you on {{appointment_date}}. Reply YES to confirm, or STOP.",
                "example": {
                    "body_text_named_params": [
                        {"param_name": "first_name", "example": "Ana"},
                        {"param_name": "appointment_date", "example": "12 September"},
                    ]
                },
            }
        ],
    },
    {
        "id": "920070352646141",
        "name": "fall_sale",
        "language": "en_US",
        "status": "APPROVED",
        "category": "MARKETING",
        "parameter_format": "POSITIONAL",
        "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Fall Sale"},
            {
                "type": "BODY",
                "text": "Hi {{1}}, our Fall Sale is on! Use code {{2}} before Friday.",
                "example": {"body_text": [["Ana", "FALL25"]]},
            },
            {"type": "FOOTER", "text": "Not interested? Tap Stop promotions"},
            {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Stop promotions"}]},
        ],
    },
    {
        "id": "920070352646142",
        "name": "recordatorio_cita",
        "language": "es_MX",
        "status": "APPROVED",
        "category": "UTILITY",
        "parameter_format": "NAMED",
        "components": [
            {
                "type": "BODY",
                "text": "Hola {{first_name}}, su cita es el {{appointment_date}}. Responda BAJA para no recibir avisos.",
                "example": {
                    "body_text_named_params": [
                        {"param_name": "first_name", "example": "Ana"},
                        {"param_name": "appointment_date", "example": "2024-09-12"},
                    ]
                },
            }
        ],
    },
)


def demo_config(
    *,
    whatsapp_hook: str | None = None,
    twilio_hook: str | None = None,
    infobip_hook: str | None = None,
    time_scale: float = 1.0,
    seed: int = 1,
    faults: Faults | None = None,
) -> StandinConfig:
    """A stand-in with three templates, one number each and no limits: what the demo and most rehearsals start from."""
    return StandinConfig(
        seed=seed,
        time_scale=time_scale,
        twilio=TwilioConfig(
            inbound_url=twilio_hook, services={"MG0123456789abcdef0123456789abcdef": ("+15017122661",)}, rate=None
        ),
        whatsapp=WhatsAppConfig(callback_url=whatsapp_hook, templates=DEMO_TEMPLATES, rate=None, pair_burst=None),
        infobip=InfobipConfig(inbound_url=infobip_hook, logs_per_minute=None),
        faults=faults or Faults(),
    )
