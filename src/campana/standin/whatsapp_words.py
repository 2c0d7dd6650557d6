"""What WhatsApp says with a code, and the HTTP status it says it with (400 where none is given)."""

from __future__ import annotations

HREF = "https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes"

STATUS_OF = {
    0: 401, 2: 503, 3: 500, 10: 403, 190: 401, 368: 403, 130429: 429, 130497: 403, 131000: 500, 131005: 403, 131016: 500,
    131031: 403, 131045: 500, 131048: 429, 131057: 500, 132001: 404,
}  # fmt: skip

WORDS = {
    2: "Service temporarily unavailable",
    4: "Application request limit reached",
    33: "Parameter value is not valid",
    100: "Invalid parameter",
    190: "Error validating access token: Session has expired.",
    80007: "Rate limit issues",
    130429: "Rate limit hit",
    130472: "User's number is part of an experiment",
    131000: "Something went wrong",
    131005: "Access denied",
    131008: "Required parameter is missing",
    131009: "Parameter value is not valid",
    131016: "Service unavailable",
    131021: "Recipient cannot be sender",
    131026: "Message undeliverable",
    131030: "Recipient phone number not in allowed list",
    131031: "Account has been locked",
    131047: "Re-engagement message",
    131048: "Spam rate limit hit",
    131049: "This message was not delivered to maintain healthy ecosystem engagement.",
    131050: "User has stopped marketing messages",
    131051: "Unsupported message type",
    131053: "Media upload error",
    131056: "(Business Account, Consumer Account) pair rate limit hit",
    131057: "Account in maintenance mode",
    132000: "Number of parameters does not match the expected number of params",
    132001: "Template name does not exist in the translation",
    132005: "Translated text too long",
    132007: "Template format character policy violated",
    132012: "Parameter format does not match format in the created template",
    132015: "Template is paused",
    132016: "Template is disabled",
    132018: "Template parameters are not valid",
}
