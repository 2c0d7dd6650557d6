"""The streams on NATS servers: what they promise, how they are made, and what the servers' refusals mean."""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    StreamInfo,
)
from nats.js.errors import APIError, NotFoundError

from campana.bus.contract import EVENTS, INGEST
from campana.settings import BadSettings

STREAMS = {INGEST: "INGEST", EVENTS: "EVENTS"}  # our name and theirs
TAKERS = "takers"  # the one durable consumer of a stream, shared by all who take
REPLICAS = 3
DAY = 86_400.0
SAME_THING = 120.0  # seconds in which a repeated key is known again
IN_HANDS = 50_000  # parcels that takers may hold at once, all together

# Their error codes: https://github.com/nats-io/nats-server/blob/main/server/errors.json
NO_PEERS = 10005
ALONE = 10074  # more than one replica asked of a server that is in no cluster
NAME_TAKEN = 10058
NOT_STORED = 10077  # for several reasons, told in words
NO_ROOM = frozenset({10023, 10028, 10047})


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the NATS servers are, and as whom we come."""

    addresses: tuple[str, ...]
    user: str | None = None
    password: str | None = None

    @property
    def hosts(self) -> str:
        """The servers as people may see them: without credentials."""
        return ", ".join(urlsplit(address).netloc for address in self.addresses)


def servers_of(url: str) -> Servers:
    """The servers of `nats://user:password@a:4222,b:4222`; credentials stand before the first and are for all of them."""
    scheme, _, rest = url.partition("://")
    userinfo, _, hosts = rest.rpartition("@")
    addresses = tuple(f"{scheme}://{host.strip()}" for host in hosts.rstrip("/").split(","))
    if scheme not in ("nats", "tls") or not all(_is_address(address) for address in addresses):
        raise BadSettings(
            "CAMPANA_BUS names no NATS servers. Write local, or for example nats://a:4222,b:4222,c:4222; credentials go before "
            "the first, as in nats://user:password@a:4222."
        )
    user, colon, password = userinfo.partition(":")
    return Servers(addresses, unquote(user) or None, unquote(password) if colon else None)


def _is_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and parts.path == "" and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def subject_of(stream: str) -> str:
    """Where parcels of a stream are published."""
    return f"campana.{stream}"


def configs(most_bytes: int) -> dict[str, StreamConfig]:
    """What the streams promise.

    INGEST is a work queue: what is done is removed, so that its size is what waits, and its limit is room for what waits; with
    any other retention, done parcels would fill it until it refuses new ones. EVENTS are copies: the oldest give way.
    """
    return {
        INGEST: StreamConfig(
            name=STREAMS[INGEST],
            subjects=[subject_of(INGEST)],
            storage=StorageType.FILE,
            retention=RetentionPolicy.WORK_QUEUE,
            discard=DiscardPolicy.NEW,
            max_bytes=most_bytes,
            duplicate_window=SAME_THING,
        ),
        EVENTS: StreamConfig(
            name=STREAMS[EVENTS],
            subjects=[subject_of(EVENTS)],
            storage=StorageType.FILE,
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.OLD,
            max_bytes=most_bytes // 4,
            max_age=DAY,
            duplicate_window=SAME_THING,
        ),
    }


async def ensure(js: JetStreamContext, config: StreamConfig, again: float, many: bool, after: int) -> StreamInfo:
    """The stream and its consumer are there; made when they are not. `many`: whether three servers are known.

    A stream's numbers begin with the microsecond it was made, or after `after`: one from before a wipe is never taken for one
    from after it.
    """
    name = str(config.name)
    try:
        info = await js.stream_info(name)
    except NotFoundError:
        info = await _make(js, config.evolve(first_seq=max(time.time_ns() // 1000, after + 1)), many)
    try:
        await js.consumer_info(name, TAKERS)
    except NotFoundError:
        await js.add_consumer(
            name,
            ConsumerConfig(
                durable_name=TAKERS, ack_policy=AckPolicy.EXPLICIT, ack_wait=again, max_deliver=-1, max_ack_pending=IN_HANDS
            ),
        )
    return info


async def _make(js: JetStreamContext, config: StreamConfig, many: bool) -> StreamInfo:
    """Three copies where there are three servers, else one."""
    try:
        return await _make_or_find(js, config.evolve(num_replicas=REPLICAS))
    except APIError as error:
        # Without room on three servers: when three are known, the others are on their way, and it is tried again.
        if error.err_code != ALONE and not (error.err_code == NO_PEERS and not many):
            raise
    return await _make_or_find(js, config.evolve(num_replicas=1))


async def _make_or_find(js: JetStreamContext, config: StreamConfig) -> StreamInfo:
    """The stream, made by us or in the same moment by another process, whose numbers begin elsewhere."""
    try:
        return await js.add_stream(config)
    except APIError as error:
        if error.err_code != NAME_TAKEN:
            raise
    return await js.stream_info(str(config.name))


def is_full(error: APIError) -> bool:
    """Whether a refusal means that there is no room, which time mends, not we."""
    no_room = error.err_code == NOT_STORED and "maximum" in (error.description or "")
    return no_room or error.err_code in NO_ROOM
