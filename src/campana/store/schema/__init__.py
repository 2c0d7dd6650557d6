"""All tables. Every row belongs to a workspace; `workspace_id` comes first in every key that people's data is found by.

Times are UTC microseconds, ids 16 bytes, JSON is kept as text the database never looks into.
"""

from __future__ import annotations

from campana.store.schema.audiences import audience, audience_row, job, upload
from campana.store.schema.base import metadata
from campana.store.schema.campaigns import campaign, campaign_tag, decision, exchange, flow, message, recipient, run, unit
from campana.store.schema.contacts import address, contact, contact_channel, suppression
from campana.store.schema.figures import counter, counter_delta, outbox, report_mail, saved_view
from campana.store.schema.heard import conversation, inbound, inbox, stray, turn
from campana.store.schema.integrations import integration, seal, sender, template, trial
from campana.store.schema.workspaces import audit, identity, link, membership, recovery_code, session, throttle, user, workspace

__all__ = [
    "address",
    "audience",
    "audience_row",
    "audit",
    "campaign",
    "campaign_tag",
    "contact",
    "contact_channel",
    "conversation",
    "counter",
    "counter_delta",
    "decision",
    "exchange",
    "flow",
    "identity",
    "inbound",
    "inbox",
    "integration",
    "job",
    "link",
    "membership",
    "message",
    "metadata",
    "outbox",
    "recipient",
    "recovery_code",
    "report_mail",
    "run",
    "saved_view",
    "seal",
    "sender",
    "session",
    "stray",
    "suppression",
    "template",
    "throttle",
    "trial",
    "turn",
    "unit",
    "upload",
    "user",
    "workspace",
]
