"""Follows HTML through the pieces of a template: what may stand in it, and where a value may be printed.

Escaping makes a value harmless in text and in a quoted attribute, and nowhere else.  So a template is read as a
browser reads it, from piece to piece, and what a browser could understand in more than one way is refused.  What
could run a script or load something from elsewhere is not in the lists of elements and attributes.
"""

import html
import re
from typing import Literal, NamedTuple

from templates_store.sandbox import TemplateError, gettext_noop


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ELEMENTS = _words(
    "html head meta title style body header footer main nav section article aside address h1 h2 h3 h4 h5 h6 hgroup p "
    "div span a ul ol li dl dt dd menu figure figcaption blockquote pre hr br wbr img table caption thead tbody tfoot "
    "tr th td colgroup col strong em b i u s small sub sup mark q cite abbr time code kbd samp var dfn bdi bdo ins del "
    "data details summary ruby rt rp svg"
)
SVG_ELEMENTS = _words("g path circle ellipse line polyline polygon rect")
ATTRIBUTES = _words(
    "class id lang dir title role hidden tabindex translate style href target rel src alt width height colspan rowspan "
    "scope headers span start reversed type value datetime open charset name content cite viewbox xmlns fill "
    "fill-rule fill-opacity clip-rule stroke stroke-width stroke-linecap stroke-linejoin stroke-dasharray "
    "stroke-dashoffset stroke-miterlimit stroke-opacity opacity d cx cy r x y x1 x2 y1 y2 rx ry points transform "
    "focusable preserveaspectratio"
)
# Addresses that lead somewhere, and run nothing.  Another scheme, such as the site's own for dialling, may have
# nothing behind it but a telephone number.
_SAFE_URL = re.compile(r"(https?|mailto|tel|phone|sips?|callto):|[#/]", re.I)
_DIAL_URL = re.compile(r"(?!javascript:)[a-z][a-z0-9+.-]*:[\d+*#,;()./-]+", re.I)
_SAFE_IMAGE = re.compile(r"data:image/(png|gif|jpeg|webp|svg\+xml)[;,]", re.I)
_UNSAFE_CSS = re.compile(
    r"@import|</|<!--|\b(?:image-set|image|src|element|expression)\(|-moz-binding|url\((?!\s*[\"']?(?:data:image/|#))",
    re.I,
)
_CSS_ESCAPE = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|(.))", re.I | re.S)

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)(?=[\s/>]|$)")
_COMMENT = re.compile(r"<!--(?!-?>)((?:(?!--!>|<!--|-->).)*)-->", re.S)
_DOCTYPE = re.compile(r"<!doctype html>", re.I)
_ATTRIBUTE = re.compile(r"([a-zA-Z][a-zA-Z0-9-]*)(?=[\s/>=]|$)(?:\s*=\s*(?:([\"'])|([^\s\"'<>=`]+)(?=[\s>])))?")
_GAP, _EQUALS, _END_OF_TAG = re.compile(r"[\s/]*"), re.compile(r"\s*="), re.compile(r"\s*>")
_RAW_ENDS = {name: re.compile(rf"</{name}(?=[\s/>])", re.I) for name in ("style", "title")}


class Place(NamedTuple):
    """Where in a document a piece of the template ends.

    `inside` is a text, the raw content of `element`, the tag of `element`, or the value of its `attribute`.
    `is_apart`: in a tag, whether an attribute may follow at once.  `is_begun`: whether the value has begun.
    """

    inside: Literal["text", "raw", "tag", "value"] = "text"
    element: str = ""
    attribute: str = ""
    quote: str = ""
    is_apart: bool = False
    is_begun: bool = False
    in_svg: bool = False


START = Place()


def follow(text: str, place: Place, line: int) -> Place:
    """Return where a piece of HTML that begins at a place ends.  Raises TemplateError for what may not stand in it."""
    at = 0
    while at < len(text):
        try:
            at, place = _follow_a_step(text, at, place)
        except _RefusedError as refused:
            position, what = refused.args[1], refused.args[2]
            raise TemplateError(refused.args[0], line + text.count("\n", 0, position), what=what) from None
    return place


def join(one: Place, other: Place) -> Place | None:
    """Return where a template is after it went either way; None where that makes a difference."""
    if one._replace(is_apart=False) != other._replace(is_apart=False):
        return None
    return one._replace(is_apart=one.is_apart and other.is_apart)


def is_literal(place: Place) -> bool:
    """Say whether only what stands in the template itself may stand here, in one piece: style sheets and images."""
    if place.inside == "raw":
        return place.element == "style"
    return place.inside == "value" and place.attribute in {"style", "src", "cite"}


def takes_values(place: Place) -> bool:
    """Say whether a value is harmless at this place once it is escaped."""
    return place.inside in {"text", "raw", "value"} and not place.in_svg and not is_literal(place)


def begins_url(place: Place) -> bool:
    """Say whether what is printed here is an address, and has to be a safe one."""
    return place.inside == "value" and place.attribute == "href" and not place.is_begun


def safe_url(url: str) -> str:
    """Return the address, or `#` for one that could do more than lead somewhere."""
    url = "".join(url.split())
    return url if _SAFE_URL.match(url) or _DIAL_URL.fullmatch(url) else "#"


def check_css(css: str, line: int = 1) -> None:
    """Accept a style sheet that loads nothing and ends no element.  Raises TemplateError."""
    if found := _UNSAFE_CSS.search(_CSS_ESCAPE.sub(_unescape_css, css)):
        seen = css.find(found.group())
        line += css.count("\n", 0, seen) if seen >= 0 else 0
        raise TemplateError(_NOT_IN_CSS, line, what=found.group())


def _unescape_css(escape: re.Match[str]) -> str:
    if escape[1]:
        code = int(escape[1], 16)
        return chr(code) if code < 0x110000 else "?"
    return escape[2]


_NOT_IN_CSS = gettext_noop("“%(what)s” is not allowed in a style sheet: nothing may be loaded from elsewhere.")
_NOT_HERE = gettext_noop("“%(what)s” is not allowed here.")
_NO_ELEMENT = gettext_noop("The element “%(what)s” is not allowed in a popup.")
_NO_ATTRIBUTE = gettext_noop("The attribute “%(what)s” is not allowed in a popup.")
_NO_URL = gettext_noop("“%(what)s” is not allowed as an address: it begins with https:, tel:, mailto:, / or #.")
_NO_IMAGE = gettext_noop("“%(what)s” is not allowed as an image: it begins with data:image/, nothing is loaded.")
_BARE = gettext_noop("“%(what)s” is not clear to every browser. Write &lt; for a sign, and values in quotes.")


class _RefusedError(Exception):
    """What is wrong, where in the piece, and with what."""


def _skip(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Return where the pattern ends that begins here; 0 where it does not."""
    found = pattern.match(text, at)
    return found.end() if found else 0


def _follow_a_step(text: str, at: int, place: Place) -> tuple[int, Place]:
    match place.inside:
        case "text":
            return _follow_text(text, at, place)
        case "raw":
            return _follow_raw(text, at, place)
        case "tag":
            return _follow_tag(text, at, place)
    return _follow_value(text, at, place)


def _follow_text(text: str, at: int, place: Place) -> tuple[int, Place]:
    at = text.find("<", at)
    if at < 0:
        return len(text), place
    if other := _COMMENT.match(text, at) or _DOCTYPE.match(text, at):
        return other.end(), place
    tag = _TAG.match(text, at)
    if tag is None:
        raise _RefusedError(_BARE, at, text[at : at + 12].split("\n")[0])
    element = tag[2].lower()
    known = SVG_ELEMENTS if place.in_svg else ELEMENTS
    if element not in known and not (tag[1] and place.in_svg and element == "svg"):
        raise _RefusedError(_NO_ELEMENT, at, tag[2])
    if not tag[1]:
        return tag.end(), Place("tag", element, in_svg=place.in_svg)
    end = _skip(_END_OF_TAG, text, tag.end())
    if not end:
        raise _RefusedError(_BARE, at, tag[0])
    return end, Place(in_svg=place.in_svg and element != "svg")


def _follow_raw(text: str, at: int, place: Place) -> tuple[int, Place]:
    end = _RAW_ENDS[place.element].search(text, at)
    stop = end.start() if end else len(text)
    if place.element == "style":
        _check_css_at(text[at:stop], at)
    # What may be the end of it together with the next piece.
    if end is None and "<" in text[max(at, stop - 8) : stop]:
        raise _RefusedError(_BARE, stop - 1, "<")
    return stop, START if end else place


def _follow_tag(text: str, at: int, place: Place) -> tuple[int, Place]:
    begin = _skip(_GAP, text, at)
    if begin == len(text):
        return begin, place._replace(is_apart=place.is_apart or begin > at)
    if text[begin] == ">":
        if place.element in _RAW_ENDS:
            return begin + 1, Place("raw", place.element)
        opens_svg = place.element == "svg" and not text[at:begin].endswith("/")
        return begin + 1, Place(in_svg=place.in_svg or opens_svg)
    found = _ATTRIBUTE.match(text, begin)
    if found is None or (begin == at and not place.is_apart):
        raise _RefusedError(_BARE, begin, text[begin : begin + 12].split("\n")[0])
    attribute = found[1].lower()
    if attribute not in ATTRIBUTES and not attribute.startswith(("aria-", "data-")):
        raise _RefusedError(_NO_ATTRIBUTE, begin, found[1])
    if found[2]:
        return found.end(), Place("value", place.element, attribute, found[2], in_svg=place.in_svg)
    if not found[3] and _skip(_EQUALS, text, found.end()):
        raise _RefusedError(_BARE, begin, found[1])
    if found[3]:
        _check_value(found[3], attribute, begin, is_whole=True)
    return found.end(), place._replace(is_apart=False)


def _follow_value(text: str, at: int, place: Place) -> tuple[int, Place]:
    end = text.find(place.quote, at)
    stop = end if end >= 0 else len(text)
    if not place.is_begun or place.attribute == "style":
        _check_value(text[at:stop], place.attribute, at, is_whole=end >= 0)
    if end >= 0:
        return end + 1, Place("tag", place.element, in_svg=place.in_svg)
    return stop, place._replace(is_begun=place.is_begun or stop > at)


def _check_value(value: str, attribute: str, at: int, *, is_whole: bool) -> None:
    """Check the beginning of an attribute's value, or all of it, as a browser understands it."""
    if attribute == "style":
        _check_css_at(html.unescape(value), at)
    elif attribute in {"href", "cite"}:
        url = "".join(html.unescape(value).split())
        if not _SAFE_URL.match(url) and not (is_whole and not url):
            raise _RefusedError(_NO_URL, at, value[:40])
    elif attribute == "src" and not _SAFE_IMAGE.match(html.unescape(value)):
        raise _RefusedError(_NO_IMAGE, at, value[:40])


def _check_css_at(css: str, at: int) -> None:
    try:
        check_css(css)
    except TemplateError as error:
        raise _RefusedError(error.message, at, error.params["what"]) from None
