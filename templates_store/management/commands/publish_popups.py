"""`manage.py publish_popups`: publishes changed popup files now, which a job does every 15 seconds anyway."""

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from templates_store.popup_sets import find_last_version
from templates_store.popup_store import sync_folder


class Command(BaseCommand):
    help = (
        "Publishes what has changed in the folder CMPHONE_POPUP_DIR and in the product's own popup files. "
        "All or nothing; safe to repeat."
    )

    def handle(self, *args: object, **options: object) -> None:
        before = find_last_version()
        try:
            version = sync_folder()
        except ValidationError as error:
            troubles = "".join(
                f"\n  {'' if path == '__all__' else f'{path}: '}{message}"
                for path, messages in error.message_dict.items()
                for message in messages
            )
            raise CommandError(f"The popup files stay as they were, because of this:{troubles}") from error
        if version == before:
            self.stdout.write(f"Nothing changed: version {version} is in force.")
        else:
            self.stdout.write(f"Version {version} is published.")
