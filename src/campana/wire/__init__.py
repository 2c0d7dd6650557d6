"""The only HTTP that leaves the house."""

from campana.wire.client import Wire
from campana.wire.record import redacted

__all__ = ["Wire", "redacted"]
