"""What was measured, as a Markdown table: medians of the rounds, and ratios within a round."""

import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.calls import Case
from tests.bench.load import find_commit
from tests.bench.place import BenchPlace
from tests.bench.wrk import Measurement

HEADER = (
    "| case | req/s of Y | req/s | ratio (min–max) | p99 of Y, ms | p99, ms | ratio (min–max) | p50, ms | p95, ms |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)


@dataclass(frozen=True)
class Result:
    """The rounds of a case: each has one measurement of the yardstick, one of the product, and maybe one beside.

    Without rounds the product does not have what the case asks for.  `matches` are the answers of the probe.
    """

    case: Case
    yardstick: Sequence[Measurement] = ()
    product: Sequence[Measurement] = ()
    beside: Sequence[Measurement] = ()
    matches: Counter[str] = field(default_factory=Counter)
    probe_errors: int = 0

    @property
    def errors(self) -> int:
        runs = (*self.yardstick, *self.product, *self.beside)
        return self.probe_errors + sum(run.errors for run in runs)

    @property
    def rate(self) -> float:
        return median(run.rate for run in self.product)


def write_report(results: Sequence[Result], place: BenchPlace, what: str) -> str:
    """Return the report; `what` says how it was measured, where and when."""
    return "\n".join(
        [
            f"{place.numbers:,} numbers, seed {place.seed}; {what}",
            "",
            HEADER,
            *(_describe(result) for result in results),
            "",
            *(f"- {remark}" for remark in [*_remark_on(results), *_remark_on_loading(place.read_figures() or {})]),
        ]
    )


def _describe(result: Result) -> str:
    if not result.product:
        return f"| {result.case.title} | | not there | | | | | | |"
    return (
        f"| {result.case.title} | {median(run.rate for run in result.yardstick):,.0f} | {result.rate:,.0f} "
        f"| {_compare([run.rate for run in result.product], [run.rate for run in result.yardstick])} "
        f"| {median(run.p99 for run in result.yardstick):.1f} | {median(run.p99 for run in result.product):.1f} "
        f"| {_compare([run.p99 for run in result.product], [run.p99 for run in result.yardstick])} "
        f"| {median(run.p50 for run in result.product):.1f} | {median(run.p95 for run in result.product):.1f} |"
    )


def _compare(values: Sequence[float], others: Sequence[float]) -> str:
    """Return the ratio of each pair, as median and range: what disturbs a round disturbs both."""
    ratios = [value / other for value, other in zip(values, others, strict=True)]
    return f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def _remark_on(results: Sequence[Result]) -> list[str]:
    remarks = []
    measured = {result.case.name: result for result in results if result.product}
    for result in measured.values():
        if result.errors:
            remarks.append(f"**{result.case.title}: {result.errors} ERRORS.  What is measured is worth nothing.**")
        expected = result.matches[result.case.match]
        if expected < 0.95 * result.matches.total():
            answers = ", ".join(f"{count} {match}" for match, count in result.matches.most_common())
            remarks.append(f"{result.case.title}: answered {answers}; expected {result.case.match}")
    exact = measured.get("exact")
    if exact and (batch := measured.get("batch")):
        rate = batch.rate * batch.case.calls_per_request
        remarks.append(f"in batches {rate:,.0f} numbers/s: {rate / exact.rate:.2f} of single look-ups")
    if exact and (during := measured.get("rebuild")):
        idle, busy = (median(run.p99 for run in result.product) for result in (exact, during))
        remarks.append(f"p99 of a look-up: {idle:.1f} ms idle, {busy:.1f} ms during a rebuild: {busy / idle:.2f}")
    if (scale := measured.get("scale")) and scale.beside:
        pairs = _compare([run.rate for run in scale.beside], [run.rate for run in scale.product])
        remarks.append(f"rate with all numbers: {pairs} of that with 10,000")
    return remarks


def _remark_on_loading(figures: Mapping[str, Any]) -> list[str]:
    if not (rebuild := figures.get("rebuild")):
        return []
    return [
        f"index of {figures['contacts']:,} contacts built from nothing at {rebuild['commit'] or '?'}"
        f" ({rebuild['at']} UTC): {rebuild['numbers_per_second']:,} numbers/s, {rebuild['seconds']:g} s,"
        f" {rebuild['peak_megabytes']} MB at its peak"
    ]


def describe_machine() -> str:
    """Return one line about this machine, what it is busy with now, and the code that is checked out."""
    return (
        f"{_find_processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {platform.system()}"
        f" {platform.release()}; Python {platform.python_version()}; commit {find_commit() or '?'};"
        f" {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    )


def _find_processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
