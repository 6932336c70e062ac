"""Every text that people see is there in German as well."""

import gettext
import io
import re

from babel.messages.mofile import write_mo

from tests.translations import MO, extract_texts, is_translated, read_catalog

PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}")


def test_every_text_in_the_code_has_a_german_translation() -> None:
    catalog = read_catalog()
    texts = [message for message in extract_texts() if message.id]

    missing = []
    for text in texts:
        german = catalog.get(text.id if isinstance(text.id, str) else text.id[0], text.context)
        if german is None or not is_translated(german.string):
            missing.append(text.id)

    assert len(texts) > 100
    assert missing == []


def test_a_translation_has_the_placeholders_of_its_text() -> None:
    different = [
        (message.id, message.string)
        for message in read_catalog()
        if isinstance(message.id, str)
        and message.id
        and isinstance(message.string, str)
        and sorted(PLACEHOLDER.findall(message.id)) != sorted(PLACEHOLDER.findall(message.string))
    ]

    assert different == []


def test_what_is_compiled_is_the_catalogue() -> None:
    compiled = io.BytesIO()
    write_mo(compiled, read_catalog())

    with MO.open("rb") as file:
        committed = gettext.GNUTranslations(file)
    compiled.seek(0)

    assert committed._catalog == gettext.GNUTranslations(compiled)._catalog  # type: ignore[attr-defined]
