"""Runs wrk, the load generator, with wrk.lua, and reads what it measured."""

import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.bench.calls import Request

SCRIPT = Path(__file__).with_name("wrk.lua")
CONNECTIONS = 16
# It makes many times as many requests as are answered, and the servers need the cores.
THREADS = 1
PATIENCE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run.  Latencies are in milliseconds; `errors`: answers other than 2xx and 3xx, and none at all."""

    requests: int
    rate: float
    p50: float
    p95: float
    p99: float
    errors: int


def require_wrk() -> None:
    """End with advice where there is no wrk."""
    if not shutil.which("wrk"):
        sys.exit(
            "The benchmark wants the load generator wrk (https://github.com/wg/wrk): the package `wrk` of Debian, "
            "Ubuntu, Fedora and Homebrew.\nAs root on Debian and its kin `make bench` installs it."
        )


def write_requests(path: Path, requests: Sequence[Request], tokens: Sequence[str]) -> None:
    """Write the file that wrk.lua walks through; the tokens take turns."""
    with path.open("w", encoding="ascii") as file:
        for place, request in enumerate(requests):
            values = (request.method, request.path, tokens[place % len(tokens)], request.if_none_match, request.body)
            file.write("\t".join(values) + "\n")


def run_wrk(address: str, requests: Path, seconds: int) -> Measurement:
    """Ask the server at `address` as fast as it answers."""
    command = [
        *("wrk", "--threads", str(THREADS), "--connections", str(CONNECTIONS), "--duration", f"{seconds}s"),
        *("--timeout", f"{PATIENCE_SECONDS}s", "--latency", "--script", str(SCRIPT), address, "--"),
        # Not the same requests in each round.
        *(str(requests), str(random.randrange(1_000_000))),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"wrk failed:\n{result.stdout}{result.stderr}")
    return parse_output(result.stdout)


def parse_output(text: str) -> Measurement:
    """Read what wrk printed, of which the last line is ours."""
    values = orjson.loads(text.splitlines()[-1])
    return Measurement(
        requests=values["requests"],
        rate=values["requests"] / (values["microseconds"] / 1_000_000),
        p50=values["p50"] / 1000,
        p95=values["p95"] / 1000,
        p99=values["p99"] / 1000,
        errors=values["refused"] + values["failed"],
    )
