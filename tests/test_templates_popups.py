"""Popup templates: what they may hold, what they print, and the one context that they are rendered from."""

import re
from pathlib import Path
from typing import Any

import pytest

from templates_store.popup_context import (
    CONTEXT_NAMES,
    SAMPLES,
    TEXTS,
    build_context,
    build_sample,
    choose_popup,
)
from templates_store.popup_texts import get_texts
from templates_store.popups import NAMES, PopupError, check_popup_files, render_popup
from templates_store.shipped_popups import FOLDER, list_languages, read_shipped

DOCS = Path(__file__).resolve().parent.parent / "docs"
MARIA = build_sample("match", language="en", texts=TEXTS)[1]


def make_set(**files: str) -> dict[str, str]:
    """A set of plain files but for these: match="…" is match.html."""
    plain = {name: "<p>x</p>" for name in NAMES if name != "popup.css"} | {"popup.css": "a > b { color: red }"}
    return plain | {f"{name}.html": source for name, source in files.items()}


def find_error(**files: str) -> tuple[str, int, int, str]:
    """Return where the one error of a set is, and what it says."""
    (error,) = check_popup_files(make_set(**files))
    return error.name, error.line, error.column, str(error)


@pytest.mark.parametrize("language", ["de", "en"])
def test_the_shipped_files_are_usable(language: str) -> None:
    assert check_popup_files(read_shipped(language)) == []


@pytest.mark.parametrize(
    ("source", "page"),
    [
        ("<p>{{ contacts[0].name }}</p>", "<p>Maria Anders (Alfreds Futterkiste)</p>"),
        ("<p>{{ contacts[0]['company']['name']|upper }}</p>", "<p>ALFREDS FUTTERKISTE</p>"),
        ("<p>{{ contacts[9].name }}{{ contacts[0].company.id }}</p>", "<p>5</p>"),
        ("{% for c in contacts %}{{ loop.index }}/{{ loop.length }} {{ c.id }}{% else %}-{% endfor %}", "1/1 17"),
        ("{{ contacts|length }}", "1"),
        ("{% if call.match == 'exact' and not call.more %}y{% endif %}", "y"),
        ("{{ 'a' if number.place else 'b' }}{{ number.country|default('?') }}", "aDE"),
        ("{{ contacts }}{{ contacts[0].company }}{{ number }}", ""),
        ("{{ '<b>' }}{{ '\"' }}", "&lt;b&gt;&#34;"),
        ("<p title=\"{{ '<b>' ~ '\"' }}\">", '<p title="&lt;b&gt;&#34;">'),
        ("<p {% if call.more %}class='m'{% else %}class='n'{% endif %}>", "<p class='n'>"),
        ("<p{% if number %} hidden{% endif %}>", "<p hidden>"),
        ('<a href="tel:{{ number.e164 }}">', '<a href="tel:+4921133990312">'),
        ("<a href='{% if number %}{{ actions.call_back }}{% else %}#{% endif %}'>", "<a href='phone:0021133990312'>"),
        ("<td colspan=2 headers=a>", "<td colspan=2 headers=a>"),
        ("<!-- a --><br/>{# b #}<IMG alt='' src='data:image/png;base64,AA=='>", None),
        ("<style>p { x: y } {{ css }}</style>", "<style>p { x: y } \na > b { color: red }\n</style>"),
        ("<svg viewBox='0 0 1 1'><path d='M0 0'/></svg>{{ number.raw }}", None),
        ("<title>{{ number.raw }} < 5</title>", "<title>0021133990312 < 5</title>"),
        ("{% include 'missed.html' %}!", "<p>x</p>!"),
        ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
    ],
)
def test_a_template_prints(source: str, page: str | None) -> None:
    files = make_set(match=source)

    assert check_popup_files(files) == []
    printed = render_popup(files, "match.html", MARIA)
    assert page is None or printed == page


def test_a_file_fills_the_blocks_of_its_frame() -> None:
    files = make_set(
        incoming="<h1>{% block a %}A{% endblock %}</h1>{% block b %}B{% block c %}C{% endblock %}{% endblock %}",
        choice="{% extends 'incoming.html' %}\n{% block a %}{{ number.raw }}{% endblock %}",
        match="{% extends 'choice.html' %}{% block c %}!{% endblock %}",
    )

    assert check_popup_files(files) == []
    assert render_popup(files, "choice.html", MARIA) == "<h1>0021133990312</h1>BC"
    assert render_popup(files, "match.html", MARIA) == "<h1>0021133990312</h1>B!"


@pytest.mark.parametrize(
    ("source", "line", "column", "message"),
    [
        ("<p>\n  <b>{{ number.nix }}</b>", 2, 16, "“nix” is not known; there are canonical, country"),
        ("<p>\n\n{{ contacts[0].nam }}", 3, 16, "“nam” is not known; there are can_create_case, company"),
        ("{{ nix }}", 1, 4, "“nix” is not known; there are actions, call, company, contacts"),
        ("{% for c in contacts %}\n{{ d.name }}{% endfor %}", 2, 4, "“d” is not known; there are"),
        ("{{ texts.nix }}", 1, 10, "“nix” is not known; there are actions, call_back"),
        ("a\n{{ number.raw|upcase }}", 2, 15, "“upcase” is not known; there are upper"),
        ("a\n  {% if number %}", 2, 3, "Unexpected end of template"),
        ("<p>\n<p>\n<p onclick='x'>", 3, 4, "The attribute “onclick” is not allowed in a popup."),
    ],
)
def test_an_error_says_where_it_is(source: str, line: int, column: int, message: str) -> None:
    error = find_error(match=source)

    assert error[:3] == ("match.html", line, column)
    assert error[3].startswith(message)


def test_a_fault_of_the_frame_is_told_once_and_of_the_frame() -> None:
    errors = check_popup_files(dict(read_shipped("en")) | {"incoming.html": "{{ nix }}"})

    assert [(error.name, error.column) for error in errors] == [("incoming.html", 4)]


def test_a_set_has_all_files_and_no_other() -> None:
    files = make_set()
    del files["missed.html"]
    files["more.html"] = ""

    assert sorted((error.name, str(error)) for error in check_popup_files(files)) == [
        ("missed.html", "This file is missing."),
        (
            "more.html",
            "There is no file “more.html” in the set; there are incoming.html, match.html, choice.html, nomatch.html, "
            "withheld.html, missed.html, popup.css.",
        ),
    ]
    for name in ("popup.css", "more.html", "../incoming.html"):
        with pytest.raises(PopupError):
            render_popup(files, name, MARIA)


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_is_shown_by_the_template_that_fits_it(sample: str) -> None:
    name, lookup, call = SAMPLES[sample]

    if name not in {"incoming.html", "missed.html"}:
        assert choose_popup(lookup) == name
    assert (name == "missed.html") is (call.get("state") == "missed")


def lookup_of(*contacts: dict[str, Any], match: str = "exact") -> dict[str, Any]:
    """Return an answer with these contacts, each the sample's but for what is told."""
    _, lookup, _ = SAMPLES["match"]
    return {**lookup, "match": match, "contacts": [{**lookup["contacts"][0], **contact} for contact in contacts]}


@pytest.mark.parametrize(
    ("contacts", "company"),
    [
        ([{}], {"id": "5", "name": "Alfreds Futterkiste", "extension": ""}),
        ([{}, {"id": "18"}], {"id": "5", "name": "Alfreds Futterkiste", "extension": ""}),
        (
            [{"kind": "company", "id": "6", "name": "Horn", "company": None, "extension": "12"}],
            {"id": "6", "name": "Horn", "extension": "12"},
        ),
        ([{}, {"company": None}], {}),
        ([{}, {"company": {"id": "6", "name": "Horn"}}], {}),
        ([], {}),
    ],
)
def test_the_company_is_the_one_of_all_contacts(contacts: list[dict[str, Any]], company: dict[str, str]) -> None:
    context = build_context(lookup_of(*contacts), language="en", texts=TEXTS)

    assert context["company"] == company


def test_a_case_can_be_created_where_the_user_may() -> None:
    context: Any = build_context(lookup_of({}, {"can_create_case": False}), language="en", texts=TEXTS)

    assert [contact["create_case_url"] for contact in context["contacts"]] == [
        "https://crm.example.com/cases/new/?contact=17",
        "",
    ]


def test_the_direction_follows_the_language() -> None:
    for language, direction in (("de", "ltr"), ("he", "rtl"), ("ar-eg", "rtl")):
        assert build_context(lookup_of(), language=language, texts=TEXTS)["direction"] == direction


def test_nothing_of_a_withheld_number_is_in_the_context() -> None:
    assert build_context(SAMPLES["withheld"][1], language="en", texts=TEXTS)["number"] == {}


def test_every_name_of_the_context_is_documented_and_nothing_else_is_in_it() -> None:
    document = (DOCS / "popups.md").read_text(encoding="utf-8")
    documented = re.findall(
        r"^\| `([a-z0-9_.\[\]]+)` \|", document.split("## The names")[1].split("## Clients")[0], re.MULTILINE
    )
    assert documented == [*CONTEXT_NAMES, *(f"texts.{name}" for name in TEXTS)]

    found: set[str] = set()

    def collect(value: object, path: str) -> None:
        found.add(path)
        if isinstance(value, dict):
            for name, each in value.items():
                collect(each, f"{path}.{name}" if path else name)
        elif isinstance(value, list):
            for each in value:
                collect(each, f"{path}[]")

    for sample in SAMPLES:
        collect(build_sample(sample, language="en", texts=dict(TEXTS))[1], "")
    reported_later = {"call.id"}
    assert found - {"", "contacts[]"} == set(documented) - reported_later


def test_the_texts_are_there_in_every_language() -> None:
    assert list_languages() == ["de", "en"]
    assert get_texts("en") == TEXTS
    assert get_texts("de").keys() == TEXTS.keys()
    assert get_texts("xx") == TEXTS


def test_every_shipped_file_is_one_of_the_set() -> None:
    assert {path.name for path in FOLDER.rglob("*") if path.is_file()} == set(NAMES)
