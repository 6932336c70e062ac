"""`manage.py create_api_key --user NAME --scope lookup`: makes an API key and prints it."""

from argparse import ArgumentParser
from datetime import datetime, time, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date

from cmphone.access.models import Scope
from cmphone.access.services import create_api_key


class Command(BaseCommand):
    help = "Makes an API key with the rights of a user, and prints it: once, and on standard output alone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", required=True, metavar="NAME", help="the user whose rights it has")
        parser.add_argument(
            "--scope", required=True, action="append", choices=Scope.values, help="what it is for; may be repeated"
        )
        parser.add_argument("--name", default="made by command", help="what it is called in the list of keys")
        parser.add_argument("--expires", metavar="YYYY-MM-DD", help="the last day on which it counts; else for good")

    def handle(self, *args: Any, **options: Any) -> None:
        user = get_user_model().objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']!r}.")
        if not user.is_active:
            raise CommandError(f"The user {options['user']!r} is not active: the key would not count.")
        try:
            key, secret = create_api_key(
                name=options["name"],
                user=user,
                scopes=options["scope"],
                expires_at=_read_end_of(options["expires"]) if options["expires"] else None,
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.stderr.write(f"{key.name}: {', '.join(key.scopes)} for {user.get_username()}.  It is shown only now:")
        self.stdout.write(secret)


def _read_end_of(text: str) -> datetime:
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None:
        raise CommandError(f"{text!r} is no day of the form YYYY-MM-DD.")
    end = timezone.make_aware(datetime.combine(day + timedelta(days=1), time.min))
    if end <= timezone.now():
        raise CommandError(f"{text} is over.")
    return end
