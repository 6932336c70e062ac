"""What processes cost: processor time and memory, as Linux counts them.  No Django."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """Of a process with its children: seconds of a processor so far, and megabytes.

    `waited`: the seconds in which a thread could have gone on, and had no processor for it.  `largest` is the resident
    memory of the one that has most; `memory` counts what they share once.
    """

    seconds: float
    waited: float
    memory: float
    largest: float
    processes: int


def measure_tree(root: int) -> Cost:
    """Return what a process costs, and all its children unless it is this one."""
    numbers = [root] if root == os.getpid() else [root, *_list_children(root)]
    # What those that have ended took is with their parent.
    seconds = _read_seconds(root, with_ended=len(numbers) > 1) + sum(map(_read_seconds, numbers[1:]))
    memory = sum(_read_kilobytes(number, "smaps_rollup", "Pss:") for number in numbers)
    largest = max(_read_kilobytes(number, "status", "VmRSS:") for number in numbers)
    return Cost(seconds, sum(map(_read_waiting, numbers)), memory / 1024, largest / 1024, len(numbers))


def measure_all(roots: Mapping[str, int]) -> dict[str, Cost]:
    """Return what each process with its children costs, by the same names."""
    return {name: measure_tree(root) for name, root in roots.items()}


def read_busy_seconds() -> tuple[float, float]:
    """Return the processor time that the whole machine has taken, and what its host has kept from it."""
    figures = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9])
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen = figures
    return (user + nice + system + interrupts + soft_interrupts) / TICKS, stolen / TICKS


def _list_children(root: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{root}/task").iterdir():
        for number in map(int, (task / "children").read_text().split()):
            found += [number, *_list_children(number)]
    return found


def _read_seconds(number: int, *, with_ended: bool = False) -> float:
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0
    return sum(map(int, fields[11 : 15 if with_ended else 13])) / TICKS


def _read_waiting(number: int) -> float:
    waited = 0
    for task in Path(f"/proc/{number}/task").glob("*/schedstat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            waited += int(task.read_text().split()[1])
    return waited / 1_000_000_000


def _read_kilobytes(number: int, file: str, name: str) -> int:
    try:
        lines = Path(f"/proc/{number}/{file}").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)
