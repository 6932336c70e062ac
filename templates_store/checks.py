"""System checks of the folder with popup files."""

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning


def check_popup_folder(**_kwargs: object) -> list[CheckMessage]:
    """Report a folder that is not there, or cannot be read.  What was published before stays, so it is no error."""
    folder = settings.POPUP_DIR
    if folder is None:
        return []
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        return [
            CheckWarning(
                f"CMPHONE_POPUP_DIR: the folder {folder} cannot be read ({error.strerror}).",
                hint="Make it, and let the account of the worker read it; or leave the variable empty.",
                id="templates_store.W001",
            )
        ]
    return []
