"""The reference client in the terminal (cmphone/phone/): takes a seat, and calls that are typed."""

import getpass
import os
import secrets
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.utils import translation

from cmphone.embedded import var_folder
from cmphone.environment import SettingsError, read_text
from cmphone.phone.console import Console
from cmphone.phone.popup_text import clean
from cmphone.phone.server import Refused, Server, TryLater
from cmphone.phone.session import Session, SessionEnded


class Command(BaseCommand):
    """Does what is typed, or what stands in the command line, over HTTP; looks at no data."""

    help = (
        "Be a client with a telephone: `ring 0021133990312`, `answer`, `hang up`; `help` lists the others.  Commands "
        "are typed, read from a file or pipe, or stand in the command line, with a comma between them."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("words", nargs="*", help="commands, as in: ring 0021133990312, answer, hang up")
        parser.add_argument("--user", default=os.environ.get("CMPHONE_USER"), help="user name (or CMPHONE_USER)")
        parser.add_argument(
            "--url",
            default=os.environ.get("CMPHONE_SERVER") or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}",
            help="address of the server (or CMPHONE_SERVER); default: http://127.0.0.1:8000, or the port in PORT",
        )
        parser.add_argument("--line", default="", help="the line of the telephone")
        parser.add_argument("--state", help="folder for the client's id and the popup files; default: var/phone")

    def handle(
        self,
        *args: object,
        words: list[str],
        user: str | None,
        url: str,
        line: str,
        state: str | None,
        **options: object,
    ) -> None:
        try:
            server = Server(url, language=translation.get_language() or "en")
        except ValueError as error:
            raise CommandError(f"{url} is no address of a server, such as https://cmphone.example.com.") from error
        folder = Path(state) if state else var_folder() / "phone"
        try:
            username = user or input("User name: ")
            # Never an argument: other users of the machine can read those.
            password = read_text("CMPHONE_PASSWORD", "") or getpass.getpass(f"Password of {username}: ")
            client_id = read_client_id(folder / "client-id")
        except (EOFError, KeyboardInterrupt) as error:
            raise CommandError("No user name or password: give --user and CMPHONE_PASSWORD, or type them.") from error
        except (OSError, SettingsError) as error:
            raise CommandError(str(error)) from error
        if words:
            # A client of its own: it must not take the seat of one that is running.
            client_id = f"{client_id}-{secrets.token_hex(4)}"
        session = Session(server, username=username, password=password, client_id=client_id, line=line)
        console = Console(session, folder=folder / "popups", say=self._say)
        # The language becomes that of the user.
        with translation.override(translation.get_language() or "en"):
            try:
                console.log_in(patiently=not words)
                lines, echo = choose_lines(words)
                went_well = console.run(lines, echo=echo)
            except (Refused, TryLater, SessionEnded) as error:
                raise CommandError(clean(str(error))) from error
        if not went_well:
            raise CommandError("Not everything went well.")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def choose_lines(words: Sequence[str]) -> tuple[Iterable[str], bool]:
    """Return where commands come from, and whether they are to be shown before what they do."""
    if words:
        lines = " ".join(words).split(", ")
        return lines, len(lines) > 1
    if sys.stdin.isatty():
        return type_lines(), False
    # A file of its own: sys.stdin is closed at the end, which would wait for the thread that reads it.
    return open(sys.stdin.fileno(), encoding="utf-8", errors="replace", closefd=False), True


def type_lines() -> Iterator[str]:
    """Yield what the user types, until he ends it by Ctrl-D."""
    while True:
        try:
            yield input()
        except EOFError:
            return


def read_client_id(path: Path) -> str:
    """Return the id of this installation, which is made the first time.  Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(
            f"terminal-{os.uname().nodename[:40]}-{secrets.token_hex(8)}", encoding="ascii", errors="replace"
        )
    return path.read_text(encoding="ascii")
