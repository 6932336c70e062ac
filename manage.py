#!/usr/bin/env python3
"""Runs one command of the project, with the embedded services running as long as it needs them."""

import contextlib
import importlib.util
import os
import signal
import sys

# These look at no data, or see to the services themselves.
WITHOUT_SERVICES = {
    "--help",
    "--version",
    "-h",
    "collectstatic",
    "compilemessages",
    "diffsettings",
    "findstatic",
    "help",
    "license_keygen",
    "license_sign",
    "makemessages",
    "phone",
    "serve_demo",
    "spectacular",
    "startapp",
    "version",
}


def needs_services(arguments: list[str]) -> bool:
    """Return whether the command with these arguments wants the embedded services running."""
    return bool(arguments) and arguments[0] not in WITHOUT_SERVICES and not {"-h", "--help"} & set(arguments)


def main() -> None:
    """Run the command on the command line; its exit code becomes ours."""
    if sys.version_info < (3, 11):  # noqa: UP036 (whoever starts an older one is to be told)
        sys.exit(f"cmphone needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    if importlib.util.find_spec("django") is None:
        sys.exit("Django is missing.  Run `make setup`, then `.venv/bin/python manage.py …`.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cmphone.settings")
    # A command that is told to end lets go of the services first.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda received, _: sys.exit(128 + received))

    from django.core.management import execute_from_command_line

    from cmphone.embedded import find_place, hold_services
    from cmphone.embedded_place import EmbeddedError, find_postgres_binaries
    from cmphone.environment import SettingsError

    try:
        with hold_services() if needs_services(sys.argv[1:]) else contextlib.nullcontext():
            if sys.argv[1:2] == ["dbshell"]:
                # It wants psql, which comes with the embedded PostgreSQL.
                os.environ["PATH"] += f"{os.pathsep}{find_postgres_binaries(find_place())}"
            execute_from_command_line(sys.argv)
    except (EmbeddedError, SettingsError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
