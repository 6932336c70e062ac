"""The texts of the shipped popups, in the language of a client."""

from collections.abc import Mapping
from functools import lru_cache

from django.utils import translation
from django.utils.translation import gettext

from templates_store.popup_context import TEXTS


@lru_cache(maxsize=64)
def get_texts(language: str) -> Mapping[str, str]:
    """Return the texts by name.  One that is not translated is the English one."""
    with translation.override(language):
        return {name: gettext(text) for name, text in TEXTS.items()}
