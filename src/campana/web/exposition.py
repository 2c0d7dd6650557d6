"""What is counted, as Prometheus reads it. What each means, and when to be alarmed, stands in docs/operations.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from campana.core.discretion import discreet
from campana.metrics import Metrics, Spread
from campana.store.health import Figures, SenderPace

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Samples = Mapping[Any, float]  # by the values of the labels, a tuple


class Reading:
    """One reading of everything, as a registry collects it."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        """All of it."""
        return self._families


def expose(families: Iterable[Metric]) -> bytes:
    """The text that Prometheus reads, with what the system says of this process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Reading(families))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def of_process(counted: Metrics, version: str, role: str, stopping: bool) -> Iterator[Metric]:
    """What this process has counted since its start."""
    yield _gauge(
        "campana_build_info", "Always 1: the version, and what the process does", {(version, role): 1}, "version", "role"
    )
    yield _one("campana_stopping", "1 while it settles what it has in hand before it ends", stopping)
    yield _counter(
        "campana_attempts", "Attempts to hand over a message, by what came of the call", counted.results, "channel", "result"
    )
    calls = HistogramMetricFamily("campana_call_seconds", "How long vendors took to answer a request", labels=["channel"])
    for channel, spread in sorted(counted.calls().items()):
        calls.add_metric([channel], _buckets(spread), spread.total)
    yield calls
    yield _counter("campana_webhooks", "Webhooks by what they were answered", _keyed(counted.hooks), "result")
    yield _counter("campana_wheel_errors", "Errors that wheels met and went on after", _keyed(counted.stumbles), "wheel")
    store = counted.store()
    transactions = HistogramMetricFamily("campana_store_transaction_seconds", "How long writing transactions took")
    transactions.add_metric([], _buckets(store), store.total)
    yield transactions


def of_bus(held: int | None, lost: int, wiped: int) -> Iterator[Metric]:
    """Webhooks on their way to the store. `held` is None when the bus cannot be asked."""
    yield _one("campana_bus_up", "1 when the bus answers; always 1 when there is none", held is not None)
    if held is not None:
        yield _one("campana_bus_webhooks", "Webhooks that the bus holds and the store does not have yet", held)
    yield _counter("campana_bus_webhooks_lost", "Webhooks that were lost with the disks of the bus", {(): lost})
    yield _counter("campana_bus_wiped", "How often the bus was found to have lost everything", {(): wiped})


def of_store(figures: Figures | None) -> Iterator[Metric]:
    """The state of the store, None when it cannot be asked. All processes of one store show the same."""
    yield _one("campana_store_up", "1 when the database answers", figures is not None)
    if figures is None:
        return
    yield _one("campana_people_due", "People whose turn has come and who are in no unit yet; ends at 10001", figures.due)
    yield _one("campana_people_oldest_due_seconds", "How long the first of them has waited", figures.oldest_due)
    units = {
        ("ready",): figures.units_ready,
        ("in_hands",): figures.units_in_hands,
        ("lease_over",): figures.units_lease_over,
    }
    yield _gauge("campana_units", "Units by state; all together end at 10001", units, "state")
    yield _one("campana_messages_uncertain", "Messages whose answer was lost, to be settled; ends at 10001", figures.uncertain)
    yield _one("campana_messages_unknown", "Messages nobody can tell of, in runs not over", figures.unknown_messages)
    yield _one("campana_people_unknown", "People whose outcome is unknown, in runs not over", figures.unknown_people)
    yield _one("campana_inbox_webhooks", "Webhooks kept and not yet understood; ends at 10001", figures.hooks)
    yield _one("campana_inbox_oldest_seconds", "How long the first of them has waited", figures.oldest_hook)
    yield _one("campana_flows_held", "Steps of runs that a closed gate holds; ends at 10001", figures.flows_held)
    ahead = _by_sender(figures.senders, lambda one: one.ahead)
    paused = _by_sender(figures.senders, lambda one: float(one.paused))
    yield _gauge("campana_sender_ahead_seconds", "Until when its pace is used up, from now", ahead, "workspace", "sender")
    yield _gauge("campana_sender_paused", "1 when trouble or a person has paused it", paused, "workspace", "sender")


def _by_sender(senders: Sequence[SenderPace], value: Callable[[SenderPace], float]) -> Samples:
    """Names that are numbers are struck out, and then stand for several: the highest counts."""
    found: dict[tuple[str, ...], float] = {}
    for one in senders:
        key = (discreet(one.workspace), discreet(one.name))
        found[key] = max(found.get(key, 0.0), value(one))
    return found


def _keyed(counts: Mapping[str, int]) -> Samples:
    return {(key,): n for key, n in counts.items()}


def _one(name: str, words: str, value: float) -> Metric:
    return _gauge(name, words, {(): value})


def _gauge(name: str, words: str, samples: Samples, *labels: str) -> Metric:
    family = GaugeMetricFamily(name, f"{words}.", labels=labels)
    for values, value in sorted(samples.items()):
        family.add_metric(values, float(value))
    return family


def _counter(name: str, words: str, samples: Samples, *labels: str) -> Metric:
    family = CounterMetricFamily(name, f"{words}.", labels=labels)
    for values, value in sorted(samples.items()):
        family.add_metric(values, float(value))
    return family


def _buckets(spread: Spread) -> list[tuple[str, float]]:
    """Buckets as Prometheus counts them: each holds those below it."""
    found, sum_ = [], 0
    for bound, count in zip((*map(str, spread.bounds), "+Inf"), spread.counts, strict=True):
        sum_ += count
        found.append((bound, float(sum_)))
    return found
