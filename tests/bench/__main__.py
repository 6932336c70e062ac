"""`python -m tests.bench`, as `make bench` runs it: loads what is not loaded yet, measures, and prints a table."""

import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import django

from cmphone.embedded import CHECKOUT
from tests.bench import wrk
from tests.bench.calls import CASES, Case, Request
from tests.bench.load import add_arguments
from tests.bench.place import BenchPlace, find_top, settle
from tests.bench.wrk import require_wrk, run_wrk

if TYPE_CHECKING:
    from tests.bench.report import Result
    from tests.bench.serving import Served

SMALL = 10_000
WARM_UP_SECONDS = 1


def main() -> None:
    """Do what the command line says."""
    options = read_options()
    require_wrk()
    top = find_top()
    place = BenchPlace(top, options.numbers, options.seed)
    small = BenchPlace(top, SMALL, options.seed)
    environ = dict(os.environ)
    settle(place)
    django.setup()
    from cmphone.management.commands.serve_demo import raise_on_signals
    from tests.bench.report import describe_machine, write_report

    try:
        with raise_on_signals():
            load_in_a_process(place, environ, rebuild=options.rebuild)
            if "scale" in options.cases:
                load_in_a_process(small, environ, rebuild=False)
            # Before it is busy with us.
            machine = describe_machine()
            if options.profile:
                report(profile(place, machine), top / "profile.md")
                return
            results = measure(place, small, options)
    except KeyboardInterrupt:
        sys.exit(130)
    what = f"{options.rounds} rounds of {options.seconds} s; {machine}"
    report(write_report(results, place, what), top / "last.md")
    # A benchmark of errors is worth nothing.
    sys.exit(1 if any(result.errors for result in results) else 0)


def report(text: str, file: Path) -> None:
    """Show the report, and keep it."""
    print(text)
    file.write_text(f"{text}\n", encoding="utf-8")


def read_options() -> Namespace:
    """Read the command line."""
    names = [case.name for case in CASES]
    parser = ArgumentParser(prog="make bench ARGS=…", description="Measures the product against a yardstick.")
    add_arguments(parser)
    parser.add_argument("--cases", default=",".join(names), help="separated by commas; all: %(default)s")
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="how often yardstick and product take turns")
    parser.add_argument("--profile", action="store_true", help="only show where the time of one look-up goes")
    options = parser.parse_args()
    options.cases = options.cases.split(",")
    if unknown := set(options.cases) - set(names):
        parser.error(f"There is no case {', '.join(sorted(unknown))}.")
    if options.profile:
        options.cases = []
    if options.numbers == SMALL:
        # There is nothing to compare them with.
        options.cases = [name for name in options.cases if name != "scale"]
    return options


def load_in_a_process(place: BenchPlace, environ: Mapping[str, str], *, rebuild: bool) -> None:
    """Load the site, in a process of its own, whose memory is measured.  `environ`: ours as it was before `settle`."""
    from cmphone.management.commands.serve_demo import die_with_parent

    command = [sys.executable, "-m", "tests.bench.load", "--numbers", str(place.numbers), "--seed", str(place.seed)]
    process = subprocess.Popen(
        [*command, *["--rebuild"] * rebuild], cwd=CHECKOUT, env=environ, preexec_fn=die_with_parent(os.getpid())
    )
    try:
        if process.wait():
            sys.exit("The site could not be loaded.")
    finally:
        # Interrupted: it stops its servers in good order.
        process.terminate()
        process.wait()


def profile(place: BenchPlace, machine: str) -> str:
    """Return where the time of one look-up goes."""
    from tests.bench.profiling import profile_look_up

    return profile_look_up(place, machine)


def measure(place: BenchPlace, small: BenchPlace, options: Namespace) -> "list[Result]":
    """Measure the chosen cases.  `small` is served beside for the one that compares."""
    from tests.bench.serving import rebuild_meanwhile, serve

    results = []
    with serve(place) as served:
        for case in CASES:
            if case.name not in options.cases:
                continue
            print(f"{case.title} …", file=sys.stderr, flush=True)
            if case.name == "rebuild":
                with rebuild_meanwhile(served):
                    results.append(measure_case(case, served, options))
            elif case.name == "scale":
                with serve(small) as served_small:
                    results.append(measure_case(case, served_small, options, beside=served))
            else:
                results.append(measure_case(case, served, options))
    return results


def measure_case(case: Case, served: "Served", options: Namespace, *, beside: "Served | None" = None) -> "Result":
    """Let the yardstick, the product, and maybe the product of another site, take turns."""
    from tests.bench.report import Result
    from tests.bench.serving import probe

    calls = case.make_calls(served.place.site)
    requests = case.ask(calls)
    answers = probe(served, case, requests)
    if not answers.is_there:
        return Result(case)
    targets = [
        (served.yardstick, write_requests(served, f"{case.name}-yardstick", case.ask_yardstick(calls))),
        (served.product, write_requests(served, case.name, requests)),
    ]
    if beside:
        requests = case.ask(case.make_calls(beside.place.site))
        targets.append((beside.product, write_requests(beside, case.name, requests)))
    for address, file in targets:
        run_wrk(address, file, WARM_UP_SECONDS)
    rounds = [[run_wrk(address, file, options.seconds) for address, file in targets] for _ in range(options.rounds)]
    yardstick, product, *others = zip(*rounds, strict=True)
    return Result(case, yardstick, product, others[0] if others else (), answers.matches, answers.errors)


def write_requests(served: "Served", name: str, requests: Sequence[Request]) -> Path:
    """Write the requests to where wrk finds them, and return that."""
    path = served.place.var / f"{name}.requests"
    wrk.write_requests(path, requests, served.tokens)
    return path


if __name__ == "__main__":
    main()
