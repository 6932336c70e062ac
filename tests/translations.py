"""Keeps the German catalogue in step with the texts in the code: `make translations`.

Babel stands in for the gettext programs, which not every machine has.  What is missing a translation afterwards
is in the catalogue with an empty one, and the tests fail until it has one.
"""

import io
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "cmphone" / "locale" / "de" / "LC_MESSAGES"
PO, MO = FOLDER / "django.po", FOLDER / "django.mo"
PACKAGES = ("cmphone", "numbering", "templates_store", "license")
KEYWORDS: dict[str, tuple[int | tuple[int, str], ...] | None] = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop")),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
}


def read_code() -> Iterator[tuple[Path, str]]:
    """Yield every file with texts in it, and those texts' surroundings as Python code."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix == ".py" and "migrations" not in path.parts:
                yield path, path.read_text(encoding="utf-8")
            elif path.suffix in {".html", ".txt"} and "templates" in path.parts:
                yield path, templatize(path.read_text(encoding="utf-8"), origin=str(path))


def extract_texts() -> Catalog:
    """Return a catalogue of every text in the code, without translations."""
    catalog = Catalog(locale="de", project="cmphone", charset="utf-8")
    for path, code in read_code():
        file = io.BytesIO(code.encode())
        for _, message, comments, context in extract("python", file, KEYWORDS):
            location = (str(path.relative_to(ROOT)), 0)
            catalog.add(message, locations=[location], auto_comments=comments, context=context)
    return catalog


def read_catalog() -> Catalog:
    """Return the German catalogue as it is."""
    with PO.open("rb") as file:
        return read_po(file, locale="de")


def write_catalog() -> int:
    """Bring the German catalogue in step with the code, compile it, and return how many texts have no translation."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    catalog = read_catalog() if PO.exists() else Catalog(locale="de")
    texts = extract_texts()
    # A run that finds nothing new changes nothing.
    texts.creation_date = catalog.creation_date
    catalog.update(texts, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    with PO.open("wb") as file:
        write_po(file, catalog, width=120, include_lineno=False, sort_output=True, omit_header=False)
    with MO.open("wb") as file:
        write_mo(file, catalog)
    return sum(1 for message in catalog if message.id and not is_translated(message.string))


def is_translated(string: str | tuple[str, ...] | list[str] | None) -> bool:
    """Say whether a text has a translation, in every form where it has several."""
    return all(string) if isinstance(string, tuple | list) else bool(string)


if __name__ == "__main__":
    print(f"{write_catalog()} texts without a German translation")
