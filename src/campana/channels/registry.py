"""Which channels this installation knows: those of the house, and those of packages that declare them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType

from campana.channels import infobip_sms, twilio_sms, whatsapp
from campana.channels.contract import Channel

GROUP = "campana.channels"
BUILT_IN = (whatsapp.CHANNEL, twilio_sms.CHANNEL, infobip_sms.CHANNEL)


class BadPlugin(RuntimeError):
    """A package declares a channel that cannot be used; the sentence says which and why."""


@cache
def channels() -> Mapping[str, Channel]:
    """Every channel by its kind. A package adds one by an entry point of the group `campana.channels` that names the value."""
    found = {channel.kind: channel for channel in BUILT_IN}
    for point in entry_points(group=GROUP):
        try:
            channel = point.load()
        except Exception as error:
            raise BadPlugin(
                f"The channel {point.name!r} ({point.value}) cannot be loaded: {error}. Remove its package."
            ) from error
        if not isinstance(channel, Channel):
            raise BadPlugin(f"The channel {point.name!r} ({point.value}) is no Channel. Point it at a value, as module:CHANNEL.")
        if channel.kind in found:
            raise BadPlugin(f"The channel {point.name!r} ({point.value}) has the kind {channel.kind!r}, which is taken already.")
        found[channel.kind] = channel
    return MappingProxyType(found)
