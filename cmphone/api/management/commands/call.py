"""A caller rings: shows in the terminal what the popup of a CM/Phone client would show."""

import getpass
import os
import secrets
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import translation
from django.utils.translation import gettext as _

from cmphone.api.client import Client, ClientError
from cmphone.environment import SettingsError, read_text


class Command(BaseCommand):
    """Logs in over HTTP, looks the number up, prints the popup, logs out."""

    help = "Show who calls: logs in at a running server, looks the number up, and logs out."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "number", help='as the telephone system presents it, for example 0021133990312; "" is withheld'
        )
        parser.add_argument("--user", default=os.environ.get("CMPHONE_USER"), help="user name (or CMPHONE_USER)")
        parser.add_argument(
            "--server",
            default=os.environ.get("CMPHONE_SERVER") or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}",
            help="address of the server (or CMPHONE_SERVER); default: http://127.0.0.1:8000, or the port in PORT",
        )

    def handle(self, *args: object, number: str, user: str | None, server: str, **options: object) -> None:
        try:
            username = user or input("User name: ")
            # Never an argument: other users of the machine can read those.
            password = read_text("CMPHONE_PASSWORD", "") or getpass.getpass(f"Password of {username}: ")
            self._call(server, username, password, number)
        except (ClientError, SettingsError) as error:
            raise CommandError(str(error)) from error
        except (EOFError, KeyboardInterrupt) as error:
            raise CommandError("No user name or password: give --user and CMPHONE_PASSWORD, or type them.") from error

    def _call(self, server: str, username: str, password: str, number: str) -> None:
        client = Client(server, language=translation.get_language() or "en")
        session = client.log_in(
            username=username, password=password, client_id=f"terminal-{os.uname().nodename}-{secrets.token_hex(4)}"
        )
        try:
            client.headers["Accept-Language"] = session["user"]["language"]
            answer = client.look_up(number)
        finally:
            client.log_out()
        with translation.override(session["user"]["language"]):
            for line in describe_popup(answer):
                self.stdout.write(line)


def describe_popup(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the popup for the answer of a look-up."""
    number, contacts = answer["number"], answer["contacts"]
    if answer["match"] == "withheld":
        yield _("Incoming call, number withheld")
        return
    shown = number["display"] or number["raw"]
    yield _("Incoming call from %s") % (f"{shown} ({number['place']})" if number["place"] else shown)
    if not contacts:
        yield "  " + _("Nobody was found.")
    elif len(contacts) > 1:
        yield "  " + _("Several contacts have this number:")
    for position, contact in enumerate(contacts, start=1):
        yield f"  {position}. {contact['name']}" if len(contacts) > 1 else f"  {contact['name']}"
        yield from _describe_contact(contact)
    if answer["more"]:
        yield "  " + _("There are more.")
    if not contacts and answer["actions"]["create_contact"]:
        yield "  " + _("New contact: %s") % answer["actions"]["create_contact"]
    if answer["actions"]["call_back"]:
        yield "  " + _("Call back: %s") % answer["actions"]["call_back"]


def _describe_contact(contact: Mapping[str, Any]) -> Iterator[str]:
    if contact["company"]:
        yield "     " + _("Company: %s") % contact["company"]["name"]
    yield "     " + _("Customer group: %s") % contact["customer_group"]["name"]
    yield "     " + _("Open contact: %s") % contact["url"]
    if contact["can_create_case"]:
        yield "     " + _("New case: %s") % contact["create_case_url"]
