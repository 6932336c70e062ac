"""How this process does, in figures in Prometheus' form.  They are its own: nobody adds them up."""

from collections.abc import Iterable
from typing import Protocol

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector


class Figures(Protocol):
    """What is measured."""

    is_listening: bool
    is_database_up: bool
    opened: int
    sent: int

    def __len__(self) -> int: ...


def read_metrics(figures: Figures, *, accept: str) -> tuple[bytes, str]:
    """Return the metrics and their content type, in the form that the header `accept` asks for."""
    registry = CollectorRegistry()
    registry.register(_Given(figures))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Given(Collector):
    def __init__(self, figures: Figures) -> None:
        self.figures = figures

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("cmphone_events_up", "1 where what streams live on answers, else 0.", labels=["service"])
        up.add_metric(["database"], self.figures.is_database_up)
        up.add_metric(["redis"], self.figures.is_listening)
        yield up
        yield GaugeMetricFamily("cmphone_event_streams", "Streams that are open.", value=len(self.figures))
        yield CounterMetricFamily(
            "cmphone_event_streams_opened", "Streams that were opened.", value=self.figures.opened
        )
        yield CounterMetricFamily(
            "cmphone_events_sent", "Events that were told, each stream's own.", value=self.figures.sent
        )
