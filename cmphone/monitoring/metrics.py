"""The state of the service in figures, in Prometheus' form.  No label says anything of a person."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from django.conf import settings
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from cmphone.monitoring.checks import DATABASE, REDIS, Report, Status
from cmphone.monitoring.look_ups import begin_counting
from cmphone.monitoring.running import run_together
from license.selectors import PoolState, UseSums, sum_use
from license.warnings import list_warnings

FIGURES = {
    "queue": ("cmphone_jobs_waiting", "Background jobs that wait for a worker."),
    "worker": ("cmphone_worker_sign_age_seconds", "Time since a background job has last run."),
    "index": ("cmphone_stale_customer_groups", "Customer groups that are not built from the settings in force."),
}


def read_metrics(report: Report, *, accept: str) -> tuple[bytes, str]:
    """Return the metrics and their content type, in the form that the header `accept` asks for.

    What could not be looked at is not among them.
    """
    (use,) = run_together([sum_use]) if report.is_up(DATABASE) else (None,)
    registry = CollectorRegistry()
    registry.register(_Given(list(_measure(report, (use and use.value) or {}))))
    if begin_counting():
        MultiProcessCollector(registry, path=str(settings.METRICS_DIR))  # type: ignore[no-untyped-call]
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Given(Collector):
    """What the library asks for metrics, where they are there already."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self.metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self.metrics


def _measure(report: Report, use: Mapping[str, UseSums]) -> Iterator[Metric]:
    up = GaugeMetricFamily("cmphone_up", "1 where the service answers, else 0.", labels=["service"])
    for service in (DATABASE, REDIS):
        up.add_metric([service], report.is_up(service))
    yield up
    health = GaugeMetricFamily(
        "cmphone_health_status", "0 SUCCESS, 1 WARNING, 2 ERROR; as in /health/check.", labels=["section"]
    )
    for name, section in report.sections.items():
        health.add_metric([name], list(Status).index(section.finding.status))
        figure = section.finding.figure
        if figure is not None:
            yield GaugeMetricFamily(*FIGURES[name], value=figure)
        if section.finding.pools is not None:
            yield from _measure_license(section.finding.pools, use)
    yield health


def _measure_license(pools: Sequence[PoolState], use: Mapping[str, UseSums]) -> Iterator[Metric]:
    seats = GaugeMetricFamily("cmphone_license_seats", "Seats that the licence grants.", labels=["pool"])
    days = GaugeMetricFamily(
        "cmphone_license_days_left", "Days until the licence ends; 0 on its last day.", labels=["pool"]
    )
    in_use = GaugeMetricFamily("cmphone_license_seats_in_use", "Seats in use at this moment.", labels=["pool"])
    claims = CounterMetricFamily("cmphone_license_claims", "Seats given to clients that had none.", labels=["pool"])
    refusals = CounterMetricFamily(
        "cmphone_license_refusals", "Clients that were told that no seat is free.", labels=["pool"]
    )
    warnings = GaugeMetricFamily(
        "cmphone_license_warning", "1 for each warning there is.", labels=["code", "severity", "pool"]
    )
    for pool in pools:
        seats.add_metric([pool.name], pool.licensed)
        days.add_metric([pool.name], pool.days_left)
        if pool.is_counted:
            in_use.add_metric([pool.name], pool.in_use)
            sums = use.get(pool.name, UseSums(0, 0))
            claims.add_metric([pool.name], sums.claims)
            refusals.add_metric([pool.name], sums.refused)
    for warning in list_warnings(pools):
        warnings.add_metric([warning.code, warning.severity, warning.pool.name if warning.pool else ""], 1)
    yield from (seats, days, in_use, claims, refusals, warnings)
