"""The popup files that come with the service: in shipped/ for every language, in shipped/LANGUAGE/ for one."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from templates_store.popups import NAMES

FOLDER = Path(__file__).resolve().parent / "shipped"


def list_languages() -> list[str]:
    """Return the languages that popups are there for."""
    return [code for code, _ in settings.LANGUAGES]


def read_shipped(language: str) -> Mapping[str, str]:
    """Return the files of a language by name.  One without files of its own has those of every language."""
    return _read_folder(FOLDER, language)


# They change with a release only.
@lru_cache(maxsize=64)
def _read_folder(folder: Path, language: str) -> Mapping[str, str]:
    return {name: _find_file(folder, language, name).read_text(encoding="utf-8") for name in NAMES}


def _find_file(folder: Path, language: str, name: str) -> Path:
    own = folder / language / name
    return own if own.is_file() else folder / name
