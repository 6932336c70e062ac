"""Files that somebody names to a command."""

import sys
from pathlib import Path

from django.core.management.base import CommandError


def read_file_argument(file: str, *, limit: int) -> bytes:
    """Return what a file holds, `-` being standard input.  One byte more than `limit` tells that it holds too much.

    Raises CommandError where it cannot be read.
    """
    if file == "-":
        return sys.stdin.buffer.read(limit + 1)
    try:
        with Path(file).open("rb") as stream:
            return stream.read(limit + 1)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}.") from error
