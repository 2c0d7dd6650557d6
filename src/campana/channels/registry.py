"""The channels there are: our own, and those that other packages bring by the entry point `campana.channels`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from campana.channels import twilio_sms, whatsapp
from campana.channels.contract import Channel

GROUP = "campana.channels"


@cache
def channels() -> Mapping[str, Channel]:
    """Every channel by its kind."""
    found = {channel.kind: channel for channel in (whatsapp.CHANNEL, twilio_sms.CHANNEL)}
    for point in entry_points(group=GROUP):
        channel = point.load()
        found[channel.kind] = channel
    return found
