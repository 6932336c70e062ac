"""Display-name templates: what they may be, what they print, and what hostile ones do not get to do."""

import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from templates_store.rendering import (
    MAX_NAME,
    MAX_SOURCE,
    Names,
    TemplateError,
    Templates,
    check_template,
    display_names,
    render_name,
    to_line,
)

MARIA = {
    "first_name": "Maria",
    "last_name": "Anders",
    "title": "",
    "company": {"name": "Alfreds Futterkiste", "city": "Berlin"},
    "customer_group": {"name": "Kunden"},
}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("", ""),
        ("Kontakt", "Kontakt"),
        ("{{ last_name }}, {{ first_name }}", "Anders, Maria"),
        (
            "{{ first_name }} {{ last_name }}{% if company %} ({{ company.name }}){% endif %}",
            "Maria Anders (Alfreds Futterkiste)",
        ),
        ("{{ company['city'] }} / {{ customer_group.name }}", "Berlin / Kunden"),
        ("{{ company.fax }}{{ nobody }}{{ first_name.upper }}", None),
        ("{{ company.fax }}{{ nobody }}", ""),
        ("{{ title|default('Frau') }} {{ last_name|upper }}", "Frau ANDERS"),
        ("{{ first_name|first }}. {{ last_name|replace('er', 'ER') }}", "M. AndERs"),
        ("{{ company.name|truncate(11) }}", "Alfreds…"),
        ("{{ company.name|truncate(11, true, '.') }}", "Alfreds Fu."),
        ("{{ company.name|lower|title }}", "Alfreds Futterkiste"),
        ("{{ '  straße '|trim|upper }}", "STRASSE"),
        ("{{ first_name ~ ' ' + last_name }}", "Maria Anders"),
        ("{{ company ~ nobody ~ 1 }}", "1"),
        ("{{ company }}{{ none }}{{ ['a'] }}", ""),
        ("{{ 'ja' if title is defined else 'nein' }}", "nein"),
        ("{{ 'nein' if title is none and title == none and title == '' else 'ja' }}", "nein"),
        ("{{ 'ja' if company.city in ('Berlin', 'Bonn') and not title }}", "ja"),
        ("{% if title %}A{% elif last_name > 'B' %}B{% else %}C{% endif %}", "C"),
        ("{# nothing #}{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("  {{ first_name }}\n\t{{ last_name }}  ", "Maria Anders"),
        ("<b>{{ 'Müller & \"Söhne\"' }}</b>", '<b>Müller & "Söhne"</b>'),
    ],
)
def test_a_template_prints(source: str, name: str | None) -> None:
    if name is None:
        with pytest.raises(TemplateError, match="Only company, customer_group have parts"):
            check_template(source)
    else:
        check_template(source)
        assert render_name(source, MARIA) == name


def test_a_missing_value_prints_as_empty_even_of_a_company_that_is_not_there() -> None:
    source = "{{ last_name }}{{ a }}{% if company %}!{% endif %}{{ company.b|upper }}{{ company.b > 'a' }}"
    assert render_name(source, {"last_name": "Anders"}) == "AndersFalse"
    assert render_name(source, {"last_name": "Anders", "company": None}) == "AndersFalse"


@pytest.mark.parametrize(
    ("source", "message", "line"),
    [
        # what Jinja2's sandbox is attacked with
        ("{{ ''.__class__.__mro__ }}", "Only company, customer_group have parts", 1),
        ("{{ company.__class__ }}", "“__class__” cannot be the name of a field", 1),
        ("{{ company['__class__'] }}", "“__class__” cannot be the name of a field", 1),
        ("{{ company['na' ~ 'me'] }}", "Only company", 1),
        ("{{ first_name|attr('__class__') }}", "“attr” is not known", 1),
        ("{{ _x }}", "“_x” cannot be", 1),
        ("{{ self }}", "“self” is not allowed", 1),
        ("{{ self._TemplateReference__context }}", "Only company", 1),
        ("{{ lipsum() }}", "“call” is not allowed", 1),
        ("{{ first_name.upper() }}", "“call” is not allowed", 1),
        ("{{ company.name.format(company) }}", "“call” is not allowed", 1),
        ("{{ '%1000000000d'|format(1) }}", "“format” is not known", 1),
        ("{{ '%1000000000d' % 1 }}", "“%” is not allowed", 1),
        # what would run long or grow big
        ("{{ 'a' * 10**9 }}", "“*” is not allowed", 1),
        ("{{ 10**10**10 }}", "“**” is not allowed", 1),
        ("{{ 9 // 1 }}", "“//” is not allowed", 1),
        ("{{ 'x'|center(1000000000) }}", "“center” is not known", 1),
        ("{{ 'x'|replace }}", "“replace” takes these arguments: old, new", 1),
        ("{{ 'x'|upper(1) }}", "“upper” takes these arguments: –", 1),
        ("{{ 'x'|truncate(length=3) }}", "“=” is not allowed", 1),
        ("{{ 'x'|truncate(*first_name) }}", "“*” is not allowed", 1),
        ("{{ first_name[:3] }}", "“:” is not allowed", 1),
        ("{{ {'a': 1} }}", "“{” is not allowed", 1),
        ("{% for i in range(10**9) %}{% for j in i %}x{% endfor %}{% endfor %}", "“for” is not allowed", 1),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "“macro” is not allowed", 1),
        ("{% set x = 'a' %}", "“set” is not allowed", 1),
        ("{% include 'x' %}", "“include” is not allowed", 1),
        ("{% import 'x' as y %}", "“import” is not allowed", 1),
        ("{% extends 'x' %}", "“extends” is not allowed", 1),
        ("{% block x %}{% endblock %}", "“block” is not allowed", 1),
        ("{% filter upper %}x{% endfilter %}", "“filter” is not allowed", 1),
        ("{% call x() %}{% endcall %}", "“call” is not allowed", 1),
        ("{% with %}{% endwith %}", "“with” is not allowed", 1),
        ("{{ x is divisibleby 0 }}", "“divisibleby” is not known", 1),
        ("{{ x is defined('a') }}", "“defined” takes these arguments: –", 1),
        # what would nest deeply
        ("{{ " + "(" * 900 + "x" + ")" * 900 + " }}", "nested too deeply", 1),
        ("{{ " + "[" * 900 + "x" + "]" * 900 + " }}", "nested too deeply", 1),
        ("{{ " + "not " * 450 + "x }}", "nested too deeply", 1),
        ("{{ " + "+" * 1900 + "1 }}", "nested too deeply", 1),
        ("{{ " + "-" * 1900 + "1 }}", "“-” is not allowed", 1),
        ("{{ x" + "|upper" * 300 + " }}", "nested too deeply", 1),
        ("{{ x" + ".y" * 900 + " }}", "nested too deeply", 1),
        ("{{ x" + "~x" * 900 + " }}", "nested too deeply", 1),
        ("{{ x" + " if x else x" * 150 + " }}", "nested too deeply", 1),
        ("{% if x %}" * 120 + "{% endif %}" * 60, "nested too deeply", 1),
        # what is merely wrong
        ("x" * (MAX_SOURCE + 1), "at most 2000 characters", 1),
        ("\n{{ first_name", "unexpected end of template", 2),
        ("{% if x %}\n", "Unexpected end of template", 1),
        ("{% endif %}", "unknown tag 'endif'", 1),
        ("\n\n{{ first_name ]]", "unexpected ']'", 3),
        ("{{ }}", "Expected an expression", 1),
        ("{{ Lastname }}", "“Lastname” cannot be the name of a field", 1),
        ("{{ náme }}", "“náme” cannot be the name of a field", 1),
        ("{{ 1.5 }}", "“1.5” is not allowed", 1),
        ("{{ 1e999 }}", "“1e999” is not allowed", 1),
        ("{{ '\\ud800' }}", "is not allowed", 1),
        ("\n{% if x %}{{ '1' > 2 }}{% endif %}", "This fails", 2),
        ("{{ 'x'|truncate('y') }}", "This fails: the length is not a whole number", 1),
        ("{{ 1 in 2 }}", "This fails", 1),
        ("ab\n\0", "The character U+0000 is not allowed", 2),
        ("ab\ud800", "The character U+D800 is not allowed", 1),
        ("{{ '\x1b' }}", "The character U+001B is not allowed", 1),
    ],
)
def test_a_template_is_refused(source: str, message: str, line: int) -> None:
    started = time.monotonic()
    with pytest.raises(TemplateError) as refusal:
        check_template(source)
    assert message in str(refusal.value)
    assert refusal.value.line == line
    assert refusal.value.message % refusal.value.params == str(refusal.value)
    assert display_names(Templates(default=source), {"a": "A"}, "") == Names("A", "A", "A")
    # Nothing of this may take long; the limit is far from what it takes, which is milliseconds.
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'aaaaaaaaaaaaaaaa'" + "|replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')" * 8 + " }}",
        "{{ notes" + "|replace('x', notes)" * 8 + " }}" + "{{ notes }}" * 100,
        "{{ notes" + " ~ notes" * 25 + " }}",
        "{{ notes|replace('', notes)|replace('x', '') }}{{ notes|truncate(99999999999999) }}",
        "{{notes}}" * 220,
        "{{ " + "9" * 1900 + " }}{{ 0x" + "f" * 70 + " }}",
    ],
)
def test_no_template_grows_or_runs_long(source: str) -> None:
    check_template(source)
    started = time.monotonic()
    assert len(render_name(source, {"notes": "x" * 1_000_000})) <= MAX_NAME
    assert time.monotonic() - started < 2


def test_the_deepest_template_that_is_allowed_works_far_up_the_stack() -> None:
    sources = [
        "{{ " + "(" * 8 + "x" + ")" * 8 + " }}",
        "{{ " + "not " * 50 + "x }}",
        "{{ x" + "|upper" * 29 + " }}",
        "{{ x" + "+x" * 29 + " }}",
        "{% if x %}" * 8 + "{{ " + "(" * 8 + "x" + "|upper" * 20 + ")" * 8 + " }}" + "{% endif %}" * 8,
        "{% if x %}" + "{% elif x %}" * 150 + "{% endif %}",
    ]

    def climb(levels: int) -> None:
        if levels:
            climb(levels - 1)
        else:
            for source in sources:
                check_template(source + " ")

    climb(sys.getrecursionlimit() - 700)


FRAGMENTS = (
    [f"{{{{{each}}}}}" for each in ("a", "company.b", "1", "''")]
    + [
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "{%-",
        "-}}",
        "{% if a %}",
        "{% else %}",
        "{% endif %}",
        "{% raw %}",
    ]
    + [
        "a",
        " b ",
        "company",
        ".",
        "_",
        "(",
        ")",
        "[",
        "]",
        "'",
        '"',
        "|",
        "upper",
        "replace('a','b')",
        " is ",
        " in ",
    ]
    + [
        "default(",
        "truncate(1)",
        "~",
        "+",
        "*",
        "-",
        ",",
        "=",
        "==",
        "<",
        " not ",
        " and ",
        " if ",
        " else ",
        "\\",
        "\n",
    ]
    + ["\0", "\ud800", "9" * 50, "0x", "1_000", "é", "ﬁ", "\u202e"]
)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join) | st.text())
@settings(deadline=None)
def test_any_text_is_a_template_or_refused_with_a_reason(source: str) -> None:
    values = {"a": "A", "company": {"b": "B"}}
    try:
        check_template(source)
        name = render_name(source, values)
    except TemplateError as error:
        reason, line = str(error), error.line
        assert reason
        assert 1 <= line <= source.count("\n") + source.count("\r") + 1
    else:
        assert name == to_line(name)
        assert len(name) <= MAX_NAME


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (" a \r\n\t b\u00a0\u2003c\u2028d ", "a b c d"),
        ("a\x00b\x07c\x1bd\x7fe", "abcde"),
        ("Anna\u202egnp.exe\u2066\u2069\u200f", "Annagnp.exe"),
        ("\ufeffMaria\u200b\u00ad", "Maria"),
        ("\u200d \u200c", ""),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("Ł\ud800ódź", "Łódź"),
        ("x" * 300, "x" * 300),
        ("x" * 301, "x" * 299 + "…"),
        ("x" * 298 + " yz", "x" * 298 + "…"),
    ],
)
def test_a_name_is_one_line_without_anything_that_hides_or_reorders_it(text: str, line: str) -> None:
    assert to_line(text) == line
    assert render_name("{{ text }}", {"text": text}) == line


@given(st.text())
def test_a_line_is_stable_and_printable(text: str) -> None:
    line = to_line(text)
    assert to_line(line) == line
    assert len(line) <= MAX_NAME
    assert "\n" not in line


def test_an_empty_template_gives_the_default_name() -> None:
    templates = Templates(default="{{ last_name }}", list="{{ last_name }}, {{ first_name }}")
    assert display_names(templates, MARIA, "17") == Names("Anders", "Anders", "Anders, Maria")


def test_a_template_that_fails_or_prints_nothing_gives_the_default_name() -> None:
    templates = Templates(default="{{ last_name }}", details="{{ broken", list="{{ title }}")
    assert display_names(templates, MARIA, "17") == Names("Anders", "Anders", "Anders")


def test_an_empty_default_name_is_the_first_value_that_is_not_empty() -> None:
    values = {"title": " ", "company": {"name": "Alfreds"}, "last_name": "Anders", "first_name": "Maria"}
    assert display_names(Templates(default="{{ title }}"), values, "17") == Names("Anders", "Anders", "Anders")
    assert display_names(Templates(), {"title": None}, "17") == Names("17", "17", "17")


@given(
    st.builds(Templates, *[st.sampled_from(["", "{{ a }}", "{{ a", "{{ company.b }}", " "])] * 3),
    st.dictionaries(st.sampled_from(["a", "b"]), st.none() | st.text() | st.integers()),
    st.text(),
)
def test_no_contact_is_without_a_name(templates: Templates, values: dict[str, object], fallback: str) -> None:
    for name in display_names(templates, values, fallback):
        assert name
        assert name == to_line(name)
