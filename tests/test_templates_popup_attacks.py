"""What hostile popup templates, and hostile data in good ones, do not get to do.  docs/security.md lists them."""

import re
import time
import tracemalloc
from collections.abc import Mapping
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from templates_store import popups
from templates_store.popup_context import SAMPLES, TEXTS, build_sample
from templates_store.popups import MAX_FILE, MAX_OUTPUT, PopupError, check_popup_files, render_popup
from templates_store.shipped_popups import read_shipped

SHIPPED = read_shipped("en")
# What it may take is 200 milliseconds and 50 MB.  A test shares its machine, so it is told from what runs away.
MAX_SECONDS = 2.0
MAX_MEMORY = 50_000_000

FIFTY = build_sample("choice, 50 contacts", language="en", texts=TEXTS)[1]
PLAIN = "<p>x</p>"


def make_set(**files: str) -> dict[str, str]:
    """A set of plain files but for these: match="…" is match.html."""
    plain = {name: PLAIN for name in popups.NAMES if name != "popup.css"} | {"popup.css": ""}
    return plain | {name + (".css" if name == "popup" else ".html"): source for name, source in files.items()}


def find_refusal(files: Mapping[str, str]) -> PopupError:
    """Return the one error of a set, after seeing that neither check nor rendering run away."""
    for _ in range(2):
        popups._compile_set.cache_clear()
        started = time.perf_counter()
        errors = check_popup_files(files)
        assert time.perf_counter() - started < MAX_SECONDS
    popups._compile_set.cache_clear()
    tracemalloc.start()
    try:
        check_popup_files(files)
        assert tracemalloc.get_traced_memory()[1] < MAX_MEMORY
    finally:
        tracemalloc.stop()
    assert len(errors) == 1, [f"{each.name} {each.line}: {each}" for each in errors]
    (error,) = errors
    assert error.message % error.params == str(error) if error.params else error.message == str(error)
    lines = files.get(error.name, "").splitlines() or [""]
    assert 1 <= error.line <= len(lines) + 1
    assert 1 <= error.column <= max(map(len, lines)) + 1
    return error


PARTS_UNKNOWN = "is not known; there are"
ONLY_NAMES = "Only names have parts"
NOT_HERE = "is not allowed here"
TOO_DEEP = "nested too deeply"
TOO_MUCH = "does too much"
UNCLEAR = "is not clear to every browser"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        # walks over attributes to what Python holds
        ("{{ ''.__class__.__mro__ }}", ONLY_NAMES),
        ("{{ number.__class__ }}", f"“__class__” {PARTS_UNKNOWN}"),
        ("{{ number['__class__'] }}", f"“__class__” {PARTS_UNKNOWN}"),
        ("{{ number['__cla' ~ 'ss__'] }}", ONLY_NAMES),
        ("{{ number['__cla' '__ss'] }}", f"“__cla__ss” {PARTS_UNKNOWN}"),
        ("{{ number['\\x5f\\x5fclass\\x5f\\x5f'] }}", NOT_HERE),
        ("{{ number['\\u005f_class__'] }}", NOT_HERE),
        ("{{ number[number.raw] }}", ONLY_NAMES),
        ("{{ contacts[0].__class__ }}", f"“__class__” {PARTS_UNKNOWN}"),
        ("{{ contacts[true] }}", ONLY_NAMES),
        ("{{ contacts.append }}", f"“append” {PARTS_UNKNOWN}"),
        ("{{ number.items }}", f"“items” {PARTS_UNKNOWN}"),
        ("{{ texts.__init__ }}", f"“__init__” {PARTS_UNKNOWN}"),
        ("{{ number|attr('__class__') }}", "“attr” is not known"),
        ("{{ contacts|map(attribute='__class__')|list }}", NOT_HERE),
        ("{{ contacts|selectattr('x') }}", "“selectattr” is not known"),
        ("{{ (number|upper).__class__ }}", ONLY_NAMES),
        ("{{ (number.raw ~ '').__class__ }}", ONLY_NAMES),
        ("{{ [].__class__ }}", ONLY_NAMES),
        ("{{ ().__class__ }}", ONLY_NAMES),
        ("{{ self }}", f"“self” {PARTS_UNKNOWN}"),
        ("{{ self._TemplateReference__context }}", f"“self” {PARTS_UNKNOWN}"),
        ("{{ super() }}", "“call” is not allowed here"),
        ("{{ caller }}", f"“caller” {PARTS_UNKNOWN}"),
        ("{{ loop.index }}", f"“loop” {PARTS_UNKNOWN}"),
        ("{% for c in contacts %}{{ loop.__class__ }}{% endfor %}", f"“__class__” {PARTS_UNKNOWN}"),
        ("{% for c in contacts %}{{ loop._iterable }}{% endfor %}", f"“_iterable” {PARTS_UNKNOWN}"),
        ("{% for c in contacts %}{{ loop.cycle('a') }}{% endfor %}", "“call” is not allowed here"),
        ("{% for c in contacts %}{{ loop(contacts) }}{% endfor %}", "“call” is not allowed here"),
        ("{{ lipsum.__globals__ }}", f"“lipsum” {PARTS_UNKNOWN}"),
        ("{{ cycler.__init__.__globals__.os }}", f"“cycler” {PARTS_UNKNOWN}"),
        ("{{ joiner() }}", "“call” is not allowed here"),
        ("{{ namespace() }}", "“call” is not allowed here"),
        ("{{ dict(a=1) }}", NOT_HERE),
        ("{{ config }}", f"“config” {PARTS_UNKNOWN}"),
        ("{{ request }}", f"“request” {PARTS_UNKNOWN}"),
        ("{{ settings.SECRET_KEY }}", f"“settings” {PARTS_UNKNOWN}"),
        ("{{ _work }}", f"“_work” {PARTS_UNKNOWN}"),
        ("{{ _work.steps }}", f"“_work” {PARTS_UNKNOWN}"),
        ("{{ number|_safe_url }}", "“_safe_url” is not known"),
        ("{% for c in contacts|_each(0) %}x{% endfor %}", ONLY_NAMES),
        # formats
        ("{{ '%s' % number }}", "“%” is not allowed here"),
        ("{{ '%1000000000d' % 1 }}", "“%” is not allowed here"),
        ("{{ '%1000000000d'|format(1) }}", "“format” is not known"),
        ("{{ '{0.__class__}'.format(number) }}", "“call” is not allowed here"),
        ("{{ '{0.__class__}'|format(number) }}", "“format” is not known"),
        ("{{ number.raw.format_map(number) }}", "“call” is not allowed here"),
        ("{{ 'x'|center(1000000000) }}", "“center” is not known"),
        ("{{ 'x'|indent(1000000000) }}", "“indent” is not known"),
        ("{{ 'x'|wordwrap(1) }}", "“wordwrap” is not known"),
        ("{{ 'x'|xmlattr }}", "“xmlattr” is not known"),
        ("{{ 'x'|pprint }}", "“pprint” is not known"),
        ("{{ number|tojson }}", "“tojson” is not known"),
        # what is HTML already, and would not be escaped
        ("{{ contacts[0].name|safe }}", "“safe” is not known"),
        ("{{ contacts[0].name|forceescape }}", "“forceescape” is not known"),
        ("{{ contacts[0].name|urlize }}", "“urlize” is not known"),
        ("{{ contacts[0].name|striptags }}", "“striptags” is not known"),
        ("{% autoescape false %}{{ number.raw }}{% endautoescape %}", "“autoescape” is not allowed here"),
        ("{% set x %}<b>{% endset %}", "“set” is not allowed here"),
        ("{% filter upper %}x{% endfilter %}", "“filter” is not allowed here"),
        # multiplies
        ("{{ 'a' * 10**9 }}", "“*” is not allowed here"),
        ("{{ ['a'] * 1000000000 }}", "“*” is not allowed here"),
        ("{{ 10**10**10 }}", "“**” is not allowed here"),
        ("{{ 1 // 0 }}", "“//” is not allowed here"),
        ("{{ -1 }}", "“-” is not allowed here"),
        ("{{ 1e999 }}", "“1e999” is not allowed here"),
        ("{{ " + "9" * 99_000 + " }}", "“9999999999999999999999999999999999999999” is not allowed"),
        ("{{ 0x" + "f" * 99_000 + " }}", NOT_HERE),
        ("{{ 1" + "_1" * 40_000 + " }}", NOT_HERE),
        ("{{ '" + "a" * 99_000 + "' }}", NOT_HERE),
        ("{{ " + "a" * 99_000 + " }}", NOT_HERE),
        ("{{ number.raw[:9] }}", "“:” is not allowed here"),
        ("{{ {'a': 1} }}", "“{” is not allowed here"),
        # loops without end, and huge ones
        ("{% for i in range(10**9) %}x{% endfor %}", "“**” is not allowed here"),
        ("{% for i in range(1000000000) %}x{% endfor %}", ONLY_NAMES),
        ("{% for c in number.raw %}x{% endfor %}", "goes over one of these lists: contacts"),
        ("{% for c in number %}x{% endfor %}", "goes over one of these lists: contacts"),
        ("{% for c in 'abc' %}x{% endfor %}", ONLY_NAMES),
        ("{% for c in [1, 2] %}x{% endfor %}", ONLY_NAMES),
        ("{% for c in contacts + contacts %}x{% endfor %}", ONLY_NAMES),
        ("{% for c in contacts if c %}x{% endfor %}", "Write “for one in list”"),
        ("{% for c in contacts recursive %}{{ loop(contacts) }}{% endfor %}", "Write “for one in list”"),
        ("{% for a, b in contacts %}x{% endfor %}", "Write “for one in list”"),
        ("{% for contacts in contacts %}x{% endfor %}", "“contacts” cannot be the name"),
        ("{% for loop in contacts %}x{% endfor %}", "“loop” cannot be the name"),
        ("{% for css in contacts %}x{% endfor %}", "“css” cannot be the name"),
        ("{% for _work in contacts %}x{% endfor %}", "“_work” cannot be the name"),
        ("{% for a in contacts %}{% for a in contacts %}x{% endfor %}{% endfor %}", "“a” cannot be the name"),
        (
            "".join(f"{{% for {c} in contacts %}}" for c in "abc") + "x" + "{% endfor %}" * 3,
            "nested twice at most",
        ),
        ("{% while true %}{% endwhile %}", "“while” is not allowed here"),
        ("{% break %}", "“break” is not allowed here"),
        # recursion
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "“macro” is not allowed here"),
        ("{% call x() %}{% endcall %}", "“call” is not allowed here"),
        ("{% import 'match.html' as m %}", "“import” is not allowed here"),
        ("{% from 'match.html' import m %}", "“from” is not allowed here"),
        ("{% include 'match.html' %}", "“match.html” would contain itself"),
        ("{% extends 'match.html' %}", "“match.html” would contain itself"),
        ("{% block a %}{% block a %}{% endblock %}{% endblock %}", "defined twice"),
        ("{% for c in contacts %}{% include 'missed.html' %}{% endfor %}", "“include” cannot stand in a loop"),
        ("{% for c in contacts %}{% block a %}{% endblock %}{% endfor %}", "“block” cannot stand in a loop"),
        # files outside of the set
        ("{% include '../../etc/passwd' %}", "There is no file “../../etc/passwd”"),
        ("{% include '/etc/passwd' %}", "There is no file “/etc/passwd”"),
        ("{% include 'file:///etc/passwd' %}", "There is no file “file:///etc/passwd”"),
        ("{% include '../de/match.html' %}", "There is no file “../de/match.html”"),
        ("{% include 'de/match.html' %}", "There is no file “de/match.html”"),
        ("{% include './match.html' %}", "There is no file “./match.html”"),
        ("{% include 'MATCH.html' %}", "There is no file “MATCH.html”"),
        ("{% include 'popup.css' %}", "There is no file “popup.css”"),
        ("{% include number.raw %}", "Name a file of the set, in quotes"),
        ("{% include 'match' ~ '.html' %}", "Name a file of the set, in quotes"),
        ("{% include ['a', 'missed.html'] %}", "Name a file of the set, in quotes"),
        ("{% include 'missed.html' ignore missing %}", "“include” is not allowed here"),
        ("{% include 'missed.html' without context %}", "“include” is not allowed here"),
        ("{% extends number.raw %}", "Name a file of the set, in quotes"),
        ("{% extends 'missed.html' %}{% extends 'missed.html' %}", "outside of the blocks is not shown"),
        ("{% if number %}{% extends 'missed.html' %}{% endif %}", "“extends” comes first"),
        ("{% extends 'missed.html' %}{% block a %}{% extends 'missed.html' %}{% endblock %}", NOT_HERE),
        ("x{% extends 'missed.html' %}", "“extends” comes first"),
        ("{% extends 'missed.html' %}{% include 'choice.html' %}", "outside of the blocks is not shown"),
        ("{% extends 'missed.html' %}{% block nix %}{% endblock %}", "The frame has no block “nix”"),
        ("{% block a scoped %}{% endblock %}", "“block” is not allowed here"),
        # deep nesting
        ("{{ " + "(" * 3000 + "number" + ")" * 3000 + " }}", TOO_DEEP),
        ("{{ " + "[" * 3000 + "number" + "]" * 3000 + " }}", TOO_DEEP),
        ("{{ " + "not " * 3000 + "number }}", TOO_DEEP),
        ("{{ " + "+" * 3000 + "1 }}", TOO_DEEP),
        ("{{ number" + ".raw" * 3000 + " }}", TOO_DEEP),
        ("{{ number" + "|upper" * 3000 + " }}", TOO_DEEP),
        ("{{ number.raw" + " ~ number.raw" * 3000 + " }}", TOO_DEEP),
        ("{{ 1" + " if 1 else 1" * 3000 + " }}", TOO_DEEP),
        ("{% if number %}" * 900 + "{% endif %}" * 900, TOO_DEEP),
        ("{% block a %}" * 800 + "{% endblock %}" * 800, TOO_DEEP),
        ("{% if number %}" + "{% elif number %}" * 3000 + "{% endif %}", "holds too many tags"),
        ("{{number.raw}}" * 7000, "holds too many tags"),
        ("{##}" * 24_000, "holds too many tags"),
        ("{% raw %}{% endraw %}" * 4500, "holds too many tags"),
        # long and strange sources
        ("x" * 10_000_000, "at most 100000 bytes"),
        ("{{" * 5_000_000, "at most 100000 bytes"),
        ("ä" * 60_000, "at most 100000 bytes"),
        ("\0", "The character U+0000 is not allowed"),
        ("x\x1b[31m", "The character U+001B is not allowed"),
        ("\ud800", "The character U+D800 is not allowed"),
        ("{{" * 49_999, "“{” is not allowed here"),
        ("{#" * 49_999, "Missing end of comment"),
        ("{% raw %}" + "{%" * 49_000, "Missing end of raw"),
        ("{{ '" + "\\a" * 40_000, "unexpected char"),
        ("{%" + " " * 99_000, "tag name expected"),
        # what costs too much, one way or the other
        (
            "{% for a in contacts %}{% for b in contacts %}" + "{{ a.name|title }}" * 300 + "{% endfor %}{% endfor %}",
            TOO_MUCH,
        ),
        ("{{ contacts[0].name|title|title|title|title|title }}" * 110, TOO_MUCH),
        (
            "{% for a in contacts %}{% for b in contacts %}{% if "
            + " or ".join(["a.name|upper == 'x'"] * 6)
            + " %}{% endif %}{% endfor %}{% endfor %}",
            TOO_MUCH,
        ),
        # sorts of one and the other
        ("{% if contacts[0].name > 1 %}x{% endif %}", "This fails"),
        ("{{ 'x'|truncate('y') }}", "This fails: the length is not a whole number"),
        ("{{ 1 in 2 }}", "This fails"),
    ],
)
def test_a_hostile_template_is_refused(source: str, message: str) -> None:
    # In the file of a choice, whose samples have fifty contacts, except where it names its own.
    name = "match" if "match.html" in source or "“match" in message else "choice"
    error = find_refusal(make_set(**{name: source}))

    assert message in str(error)
    assert error.name == f"{name}.html"
    with pytest.raises(PopupError, match=re.escape(str(error))):
        render_popup(make_set(**{name: source}), f"{name}.html", FIFTY)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        # scripts, in every place that HTML has for them
        ("<script>alert(1)</script>", "The element “script” is not allowed"),
        ("<ScRiPt src=//evil.example></ScRiPt>", "The element “ScRiPt” is not allowed"),
        ("<script\n>", "The element “script” is not allowed"),
        ("<script/x>", "The element “script” is not allowed"),
        ("<s{# #}cript>alert(1)</script>", "The element “script” is not allowed"),
        ("<s{% if number %}cript>{% endif %}", UNCLEAR),
        ("<{{ number.raw }}>", UNCLEAR),
        ("<s{{ number.raw }}>", "No value can be printed here"),
        ("{% if number %}<{% endif %}script>", UNCLEAR),
        ("</{{ number.raw }}>", UNCLEAR),
        ("<img src=x onerror=alert(1)>", "“x” is not allowed as an image"),
        ('<p onclick="alert(1)">', "The attribute “onclick” is not allowed"),
        ("<p OnClick=alert(1)>", "The attribute “OnClick” is not allowed"),
        ("<p/onclick=alert(1)>", "The attribute “onclick” is not allowed"),
        ('<p title="a"onclick="alert(1)">', UNCLEAR),
        ('<p title="a{% if number %}" onclick="alert(1){% endif %}">', "The attribute “onclick” is not allowed"),
        ("<p on{% if number %}click{% endif %}=alert(1)>", "The attribute “on” is not allowed"),
        ("<p {{ number.raw }}>", "No value can be printed here"),
        ('<p {{ number.raw }}="x">', "No value can be printed here"),
        ("<p title={{ number.raw }}>", UNCLEAR),
        ("<p title=a{{ number.raw }}>", UNCLEAR),
        ("<p title=`{{ number.raw }}`>", UNCLEAR),
        ('<p title="{{ number.raw }}>', "ends in the middle"),
        ('<a href="javascript:alert(1)">', "“javascript:alert(1)” is not allowed as an address"),
        ('<a href=" JaVaScRiPt:alert(1)">', "is not allowed as an address"),
        ('<a href="java\nscript:alert(1)">', "is not allowed as an address"),
        ('<a href="java&#115;cript:alert(1)">', "is not allowed as an address"),
        ('<a href="&#x6A;avascript&colon;alert(1)">', "is not allowed as an address"),
        ('<a href="java{# #}script:alert(1)">', "is not allowed as an address"),
        ('<a href="{% if number %}java{% endif %}script:alert(1)">', "is not allowed as an address"),
        ("<a href=javascript:alert(1)>", "is not allowed as an address"),
        ('<a href="vbscript:x">', "is not allowed as an address"),
        ('<a href="data:text/html,<script>alert(1)</script>">', "is not allowed as an address"),
        ('<a href="file:///etc/passwd">', "is not allowed as an address"),
        ('<iframe src="/">', "The element “iframe” is not allowed"),
        ("<iframe srcdoc='x'>", "The element “iframe” is not allowed"),
        ("<object data=x>", "The element “object” is not allowed"),
        ("<embed src=x>", "The element “embed” is not allowed"),
        ("<base href=https://evil.example/>", "The element “base” is not allowed"),
        ("<link rel=stylesheet href=https://evil.example/x.css>", "The element “link” is not allowed"),
        ('<meta http-equiv="refresh" content="0;url=https://evil.example">', "The attribute “http-equiv” is not"),
        ("<form action=https://evil.example>", "The element “form” is not allowed"),
        ("<input>", "The element “input” is not allowed"),
        ("<button formaction=javascript:x>", "The element “button” is not allowed"),
        ("<template><p>", "The element “template” is not allowed"),
        ("<noscript><p>", "The element “noscript” is not allowed"),
        ("<math><mi>", "The element “math” is not allowed"),
        ("<video src=x>", "The element “video” is not allowed"),
        ("<x-y>", UNCLEAR),
        ("<svg><script>alert(1)</script></svg>", "The element “script” is not allowed"),
        ("<svg onload=alert(1)>", "The attribute “onload” is not allowed"),
        ("<svg><style>x</style></svg>", "The element “style” is not allowed"),
        ("<svg><a xlink:href='javascript:alert(1)'></a></svg>", "The element “a” is not allowed"),
        ("<svg><animate attributeName=href></svg>", "The element “animate” is not allowed"),
        ("<svg><foreignObject></svg>", "The element “foreignObject” is not allowed"),
        ("<svg><use href='https://evil.example/#x'></svg>", "The element “use” is not allowed"),
        ("<svg></p>", "The element “p” is not allowed"),
        ("<svg>{{ number.raw }}</svg>", "No value can be printed here"),
        # what loads something from elsewhere
        ('<img src="https://evil.example/x.png">', "is not allowed as an image"),
        ('<img src="/x.png">', "is not allowed as an image"),
        ('<img src="{{ number.raw }}">', "No value can be printed here"),
        ('<img src="data:text/html,x">', "is not allowed as an image"),
        ('<img srcset="https://evil.example/x.png 2x">', "The attribute “srcset” is not allowed"),
        ('<p style="background: url(https://evil.example)">', "is not allowed in a style sheet"),
        ('<p style="background: u&#114;l(//evil.example)">', "is not allowed in a style sheet"),
        ('<p style="background: \\75 rl(//evil.example)">', "is not allowed in a style sheet"),
        ('<p style="color: {{ number.raw }}">', "No value can be printed here"),
        ('<p style="{% if number %}a{% endif %}">', NOT_HERE),
        ("<style>@import '//evil.example';</style>", "“@import” is not allowed in a style sheet"),
        ("<style>a { background: url(//evil.example) }</style>", "“url(” is not allowed in a style sheet"),
        ("<style>u{% if number %}rl(//evil.example){% endif %}</style>", NOT_HERE),
        ("<style>u{# #}rl(//evil.example)</style>", "“url(” is not allowed in a style sheet"),
        ("<style>a { color: {{ number.raw }} }</style>", "No value can be printed here"),
        ("<style>", "ends in the middle"),
        ("<title>{{ number.raw }}</ti{% if number %}tle><script>{% endif %}", UNCLEAR),
        ("<title>", "ends in the middle"),
        # what browsers do not read alike
        ("<!-- {{ number.raw }} -->", UNCLEAR),
        ("<!-- --!><script>alert(1)</script> -->", UNCLEAR),
        ("<!--><script>alert(1)</script>-->", UNCLEAR),
        ("<!---><script>alert(1)</script>-->", UNCLEAR),
        ("<![CDATA[<script>]]>", UNCLEAR),
        ("<?php ?>", UNCLEAR),
        ("<!entity x>", UNCLEAR),
        ("<p", "ends in the middle"),
        ("<p title='", "ends in the middle"),
        ("a < b", UNCLEAR),
        ("</p title=x>", UNCLEAR),
        ("{% if number %}<p title='{% endif %}x'>", "has to end at the same place"),
        ("{% for c in contacts %}<p title='{% endfor %}", "has to end at the same place"),
        ("<p title='{% block a %}{% endblock %}'>", "“block” is not allowed here"),
        ("<p title='{% include \"missed.html\" %}'>", "“include” is not allowed here"),
        ("{% block a %}<p title='{% endblock %}'>", "“block” is not allowed here"),
        # the style sheet in other places than its own
        ("{{ css }}", "stands between <style> and </style>"),
        ("<style>{{ css|upper }}</style>", "stands between <style> and </style>"),
        ("{% if css %}{% endif %}", "stands between <style> and </style>"),
        ("<p title='{{ css }}'>", "stands between <style> and </style>"),
    ],
)
def test_a_template_holds_no_script_and_nothing_from_elsewhere(source: str, message: str) -> None:
    error = find_refusal(make_set(choice=source))

    assert message in str(error)
    assert error.name == "choice.html"


@pytest.mark.parametrize(
    "css",
    [
        "@import '//evil.example/x.css';",
        "@IMPORT '//evil.example/x.css';",
        "@\\69mport '//evil.example/x.css';",
        "@\\000069 mport '//evil.example/x.css';",
        "a { background: url(//evil.example) }",
        "a { background: URL( '//evil.example' ) }",
        "a { background: \\55\\52\\4c(//evil.example) }",
        "a { background: \\url(//evil.example) }",
        "a { background: url(data:text/html,x) }",
        "a { background: image-set('//evil.example' 1x) }",
        "a { background: -webkit-image-set('//evil.example' 1x) }",
        "a { src: src('//evil.example') }",
        "a { content: '/*'; background: url(//evil.example); content: '*/' }",
        "a { -moz-binding: x }",
        "a { width: expression(alert(1)) }",
        "a { background: url(" + " " * 99_000,
        "a { background: url(" * 5_000,
        "\\" * 99_000 + "url(",
        "</style><script>alert(1)</script>",
        "a { content: '</STYLE ' }",
        "<!-- a",
    ],
)
def test_a_style_sheet_loads_nothing_and_ends_no_element(css: str) -> None:
    error = find_refusal(make_set(popup=css, match="<style>{{ css }}</style>"))

    assert "is not allowed in a style sheet" in str(error)
    assert error.name == "popup.css"


def test_files_that_contain_each_other_are_refused() -> None:
    files = make_set(match="{% include 'missed.html' %}", missed="{% include 'match.html' %}")

    assert str(find_refusal(files)) == "“match.html” would contain itself."
    files = make_set(
        incoming="{% extends 'match.html' %}",
        match="{% extends 'choice.html' %}",
        choice="{% block a %}{% endblock %}{% include 'incoming.html' %}",
    )
    assert all("would contain itself" in str(error) for error in check_popup_files(files))
    with pytest.raises(PopupError, match="would contain itself"):
        render_popup(files, "choice.html", {})


def test_files_that_contain_others_many_times_are_refused() -> None:
    names = ["incoming", "match", "choice", "nomatch", "withheld"]
    files = {
        name: f"{{% include '{other}.html' %}}" * 400 for name, other in zip(names, [*names[1:], "missed"], strict=True)
    }

    started = time.perf_counter()
    errors = check_popup_files(make_set(**files, missed="<p>{{ number.raw }}</p>" * 300))

    assert time.perf_counter() - started < MAX_SECONDS
    assert {str(error) for error in errors} == {"This does too much: it has too many tags, or too much in a loop."}


@pytest.mark.parametrize(
    "source",
    [
        # grows as far as it can
        "{% for a in contacts %}{% for b in contacts %}<p>{{ a.name }}</p>{% endfor %}{% endfor %}",
        "{% for a in contacts %}" + "{{ a.name }}" * 25 + "{% endfor %}",
        "{{ contacts[0].name" + "|replace('x', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx')" * 7 + " }}",
        "{{ contacts[0].name|replace('', 'x')|truncate(99999999999999) }}",
        "{{ contacts[0].name" + " ~ contacts[0].name" * 6 + " }}",
        "{{ contacts[0].name|title|upper|lower|capitalize }}" * 90,
        "x" * (MAX_FILE - 10),
    ],
)
def test_what_is_allowed_does_not_grow_or_run_long(source: str) -> None:
    files = make_set(choice=source)
    contacts = [{"name": "x({[<- " * 100_000}] * 1000
    assert check_popup_files(files) == []

    tracemalloc.start()
    started = time.perf_counter()
    try:
        try:
            page = render_popup(files, "choice.html", {"contacts": contacts})
        except PopupError as error:
            page = str(error)
        assert len(page.encode()) <= MAX_OUTPUT
        assert time.perf_counter() - started < MAX_SECONDS
        assert tracemalloc.get_traced_memory()[1] < MAX_MEMORY
    finally:
        tracemalloc.stop()


def test_a_page_that_is_too_long_is_refused() -> None:
    files = make_set(choice="{% for a in contacts %}{% for b in contacts %}{{ a.name }}{% endfor %}{% endfor %}")

    with pytest.raises(PopupError, match="a page of more than 512000 bytes"):
        render_popup(files, "choice.html", {"contacts": [{"name": "x" * 2000}] * 50})


class _Reader(HTMLParser):
    """Notes every element, attribute and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.lasttag != "style" or not self.cdata_elem:
            self.text += data


HOSTILE_VALUES = [
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '" onmouseover="alert(1)',
    "--><script>alert(1)</script><!--",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "{{ 7*7 }}",
    "{% for i in range(10**9) %}x{% endfor %}",
    "{{ ''.__class__.__mro__ }}",
    "{# x",
    "${7*7} #{7*7} <%= 7*7 %>",
    "%(x)s %s {0.__class__}",
    "javascript:alert(1)",
    "\\u003cscript\\u003e",
    "＜script＞",
]


@pytest.mark.parametrize("value", HOSTILE_VALUES)
@pytest.mark.parametrize("sample", SAMPLES)
def test_hostile_data_is_text_in_every_shipped_popup(sample: str, value: str) -> None:
    name, context = build_sample(sample, language="en", texts=TEXTS)
    harmless = _Reader(render_popup(SHIPPED, name, _fill(context, "harmless")))
    hostile = _Reader(render_popup(SHIPPED, name, _fill(context, value)))

    # The same elements with the same attributes, and the value itself where people read it.
    assert [(tag, list(values)) for tag, values in hostile.elements] == [
        (tag, list(values)) for tag, values in harmless.elements
    ]
    assert hostile.text.count(value) == harmless.text.count("harmless")
    for _, values in hostile.elements:
        href = values.get("href")
        assert href is None or href == "#" or href.startswith(("https:", "/", "#")) is not (href == value)


def _fill(value: object, text: str) -> dict[str, object]:
    """Put the text in the place of every other one but the few that are words of ours."""

    def fill(value: object, name: str) -> object:
        if isinstance(value, Mapping):
            return {key: fill(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [fill(each, name) for each in value]
        ours = name in {"kind", "match", "state", "language", "direction"}
        return text if isinstance(value, str) and value and not ours else value

    filled = fill(value, "")
    assert isinstance(filled, dict)
    return filled


@pytest.mark.parametrize(
    ("url", "printed"),
    [
        ("https://crm.example.com/contacts/17/?a=1&b=2", "https://crm.example.com/contacts/17/?a=1&amp;b=2"),
        ("/contacts/17/", "/contacts/17/"),
        ("phone:0021133990312", "phone:0021133990312"),
        ("cti+x:0021133990312,12", "cti+x:0021133990312,12"),
        ("tel:+49 211 33990312", "tel:+4921133990312"),
        ("", "#"),
        ("javascript:alert(1)", "#"),
        ("javascript:1", "#"),
        ("JAVASCRIPT:alert(1)", "#"),
        (" \t\njava\nscript:alert(1)", "#"),
        ("\x01javascript:alert(1)", "#"),
        ("vbscript:msgbox(1)", "#"),
        ("data:text/html,<script>alert(1)</script>", "#"),
        ("blob:https://x", "#"),
        ("file:///etc/passwd", "#"),
        ("ms-msdt:/id PCWDiagnostic", "#"),
        ("search-ms:query=x", "#"),
        ("x", "#"),
    ],
)
def test_an_address_out_of_the_context_only_leads_somewhere(url: str, printed: str) -> None:
    files = make_set(match='<a href="{{ actions.call_back }}">x</a>')

    assert render_popup(files, "match.html", {"actions": {"call_back": url}}) == f'<a href="{printed}">x</a>'


def test_characters_that_hide_or_break_are_left_out_of_values() -> None:
    files = make_set(match="<p>{{ contacts[0].name }}</p>")
    name = "a\0b\x1bc\ud800d\u202ee\u2066f\ufeffg"

    assert render_popup(files, "match.html", {"contacts": [{"name": name}]}) == "<p>abcdefg</p>"


def test_an_object_in_the_context_is_only_its_text() -> None:
    class Secret:
        password = "secret"

        def __html__(self) -> str:
            return "<script>"

        def __str__(self) -> str:
            return "<b>"

    class Text(str):
        def __html__(self) -> str:
            return "<script>"

    files = make_set(match="{{ number }}{{ number.raw }}{{ user.username }}")

    assert render_popup(files, "match.html", {"number": Secret(), "user": {"username": Text("<i>")}}) == (
        "&lt;b&gt;&lt;i&gt;"
    )


def test_a_refused_set_leaves_other_sets_as_they_are() -> None:
    bad = dict(SHIPPED) | {"incoming.html": "{% for i in range(1) %}"}
    name, context = build_sample("match", language="en", texts=TEXTS)
    before = render_popup(SHIPPED, name, context)

    with pytest.raises(PopupError) as refusal:
        render_popup(bad, name, context)

    assert refusal.value.name == "incoming.html"
    assert render_popup(SHIPPED, name, context) == before


NASTY = st.text() | st.sampled_from(HOSTILE_VALUES)
PLAIN_DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | NASTY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NASTY, inner, max_size=3),
    max_leaves=10,
)
ROOTS = ["number", "contacts", "company", "actions", "user", "call", "texts", "language", "direction"]


@given(st.sampled_from([*SAMPLES]), NASTY, st.dictionaries(st.sampled_from(ROOTS), PLAIN_DATA))
@settings(max_examples=200)
def test_arbitrary_data_never_adds_an_element(sample: str, value: str, data: dict[str, object]) -> None:
    name, context = build_sample(sample, language="en", texts=TEXTS)
    allowed = {tag for tag, _ in _Reader("".join(SHIPPED.values())).elements}
    for filled in (_fill(context, value), context | data):
        page = render_popup(SHIPPED, name, filled)
        assert {tag for tag, _ in _Reader(page).elements} <= allowed
        # Every sign that could begin something comes out of the files.
        assert page.count("<") == len(re.findall(r"</?[a-z1-2]+[ >]|<!doctype html>", page))
        page.encode()


FRAGMENTS = [
    *["{{ number.raw }}", "{{ css }}", "{% if number %}", "{% else %}", "{% endif %}", "{% for c in contacts %}"],
    *["{{ c.name }}", "{{ loop.index }}", "{% endfor %}", "{% block a %}", "{% endblock %}", "{# #}", "{% raw %}"],
    *["{% include 'missed.html' %}", "{% extends 'missed.html' %}", "{{", "}}", "{%", "%}", "{#", "#}", "-%}"],
    *["<p", "<a", "<s", "<style", "<title", "<svg", "</", "<", ">", "/", "cript", "style>", "title>", "<!--", "-->"],
    *[' href="', " title='", " style='", " onclick=", " class=", "javascript:", "https:", '"', "'", "=", " ", "\n"],
    *["url(", "x", "&#60;", "\\", "\0", "\ud800"],
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join) | st.text(max_size=200))
@settings(max_examples=300)
def test_any_text_is_a_template_or_refused_with_a_reason(source: str) -> None:
    files = make_set(choice=source)
    errors = check_popup_files(files)
    if errors:
        (error,) = errors
        assert str(error)
        assert error.line >= 1
        assert error.column >= 1
    else:
        page = render_popup(files, "choice.html", _fill(FIFTY, "<script>alert(1)</script>"))
        assert not {tag for tag, _ in _Reader(page).elements} & {"script", "scriptalert"}
        assert not [key for _, values in _Reader(page).elements for key in values if key.startswith("on")]
