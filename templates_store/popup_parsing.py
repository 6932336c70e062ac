"""Reads one popup template, and refuses what it may not hold.  Pure: no Django, no database.

Beside what display names have, there are loops over the lists of the context, blocks, and other files of the set.
What a template costs is known before it runs: the rest of it counts once, and what is in a loop once more for
each round, which the loop itself pays for.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any

from jinja2 import TemplateSyntaxError, nodes
from jinja2.environment import Environment
from jinja2.visitor import NodeTransformer

from templates_store.markup import START, Place, begins_url, check_css, follow, is_literal, join, takes_values
from templates_store.popup_context import CONTEXT_NAMES, TEXTS
from templates_store.sandbox import (
    FILTERS,
    FORBIDDEN,
    TESTS,
    TemplateError,
    check_characters,
    check_function,
    gettext_noop,
    to_text,
)

MAX_FILE = 100_000
# What the parser and the compiler take for a token is up to 30 microseconds.
MAX_TOKENS = 2500
MAX_TOKENS_IN_A_TAG = 60
MAX_PARENTHESES = 8
MAX_NESTED_TAGS = 12
MAX_NESTED_LOOPS = 2
MAX_LITERAL = 500
TAGS = ("if", "elif", "else", "endif", "for", "endfor", "block", "endblock", "extends", "include")
# What a filter does with the longest text, in steps of the time that printing a value takes.
_FILTER_COSTS = defaultdict(lambda: 10, title=150)
_MAX_TITLE = 500

_LOOP_NAMES = {"loop", "loop.index", "loop.first", "loop.last", "loop.length"}
KNOWN_NAMES = frozenset(CONTEXT_NAMES) | {f"texts.{name}" for name in TEXTS}

_ITEMS = frozenset(name[: name.rindex("[]") + 2] for name in CONTEXT_NAMES if "[]" in name)
# What only this module writes into a tree: no template can name it.
EACH, SAFE_URL = "_each", "_safe_url"
POPUP_FILTERS: Mapping[str, Callable[..., object]] = {
    **FILTERS,
    "title": lambda value: FILTERS["title"](to_text(value)[:_MAX_TITLE]),
    "length": lambda value: len(value) if isinstance(value, list) else len(to_text(value)),
}

_NOT_HERE = gettext_noop("“%(what)s” is not allowed here.")
_CSS_STANDS_ALONE = gettext_noop("“{{ css }}” stands between <style> and </style>, and nowhere else.")
_NOT_PRINTED_HERE = gettext_noop("No value can be printed here: only in text, and in quotes behind an attribute's “=”.")
_TWO_ENDS = gettext_noop("“%(what)s” has to end at the same place of the HTML, whichever way it goes.")
_UNFINISHED = gettext_noop("This ends in the middle of a tag, or of an element that has to be closed.")


@dataclass
class Parsed:
    """A template that may run: its tree, the files that it takes in and stands in, its blocks, and what it costs."""

    tree: nodes.Template
    frame: str | None = None
    includes: list[tuple[str, int]] = field(default_factory=list)
    frame_line: int = 1
    blocks: dict[str, int] = field(default_factory=dict)
    cost: int = 0


def parse_popup(source: str, environment: Environment, css: str) -> Parsed:
    """Return the template, with the style sheet in its place.  Raises TemplateError for what it may not hold."""
    check_source(source)
    try:
        _check_tokens(source, environment)
        parsed = Parsed(environment.parse(source))
    except TemplateSyntaxError as error:
        raise TemplateError(
            gettext_noop("%(problem)s"), error.lineno, problem=error.message or "Syntax error"
        ) from error
    except RecursionError as error:
        raise TemplateError(gettext_noop("This is nested too deeply.")) from error
    parsed.tree = _Whitelist(parsed).visit(parsed.tree)
    if parsed.frame is None:
        end = _Places(css).follow(parsed.tree.body, START)
    else:
        for block in parsed.tree.body:
            if isinstance(block, nodes.Block):
                end = _Places(css).follow(block.body, START)
                _require(end == START, block.lineno, "block", _UNFINISHED)
        return parsed
    _require(end == START, source.count("\n") + 1, "", _UNFINISHED)
    return parsed


def parse_css(source: str) -> str:
    """Return a style sheet as it may stand in an element.  Raises TemplateError for what it may not hold."""
    check_source(source)
    check_css(source)
    return source


def check_source(source: str) -> None:
    """Accept a file that is not too long and has no control characters.  Raises TemplateError."""
    if len(source) > MAX_FILE or len(source.encode(errors="surrogatepass")) > MAX_FILE:
        raise TemplateError(gettext_noop("A file has at most %(limit)s bytes."), limit=MAX_FILE)
    check_characters(source)


def _check_tokens(source: str, environment: Environment) -> None:
    """Refuse what the parser is not to see: it recurses for every level, and so does everything after it."""
    total = tag = tokens = parentheses = depth = 0
    for line, kind, value in environment.lex(source):
        if kind == "whitespace":
            continue
        total += 1
        if total > MAX_TOKENS:
            raise TemplateError(gettext_noop("This file holds too many tags."), line)
        if kind in {"variable_begin", "block_begin"}:
            tag, tokens, parentheses = kind == "block_begin", 0, 0
            continue
        if kind not in {"name", "integer", "float", "string", "operator"}:
            continue
        tokens += 1
        if tag and tokens == 1:
            if value not in TAGS:
                raise TemplateError(_NOT_HERE, line, what=value[:40])
            depth += {"if": 1, "for": 1, "block": 1, "endif": -1, "endfor": -1, "endblock": -1}.get(value, 0)
        # A number with a point is only ever a mistake; a backslash in a text would bring in Python's rules.
        if value in FORBIDDEN or kind == "float" or (kind == "string" and "\\" in value) or len(value) > MAX_LITERAL:
            raise TemplateError(_NOT_HERE, line, what=value[:40])
        parentheses += {"(": 1, "[": 1, ")": -1, "]": -1}.get(value, 0)
        if tokens > MAX_TOKENS_IN_A_TAG or parentheses > MAX_PARENTHESES or depth > MAX_NESTED_TAGS:
            raise TemplateError(gettext_noop("This is nested too deeply, or too long for one expression."), line)


class _Whitelist(NodeTransformer):
    """Walks a parsed template, refuses every node that is not listed here, and adds up what it costs.

    `paths` says for the variable of a loop what it is one of.
    """

    def __init__(self, parsed: Parsed) -> None:
        self.parsed = parsed
        self.paths: dict[str, str] = {}
        self.loops = 0

    def visit(self, node: nodes.Node, *args: object, **kwargs: object) -> Any:
        self.parsed.cost += 1
        match node:
            case nodes.Output():
                node.nodes = [each if _is_css(each) else self.visit(each) for each in node.nodes]
                return node
            case nodes.Template():
                self._check_top(node)
            case nodes.TemplateData() | nodes.If() | nodes.CondExpr():
                pass
            case nodes.Compare() | nodes.Operand() | nodes.And() | nodes.Or() | nodes.Not() | nodes.Add():
                pass
            case nodes.Tuple() | nodes.List():
                pass
            case nodes.Const(value=None):
                # What is missing is the empty text; so is `none`, or `x == none` would never hold.
                return nodes.Const("", lineno=node.lineno)
            case nodes.Const(value=bool() | int() | str()):
                pass
            case nodes.Name() | nodes.Getattr() | nodes.Getitem():
                self._find_path(node)
            case nodes.Concat():
                # `~` becomes `+`, which the environment answers itself, within the limit of a text.
                return self.visit(reduce(partial(nodes.Add, lineno=node.lineno), node.nodes))
            case nodes.Filter():
                check_function(node, POPUP_FILTERS)
                self.parsed.cost += _FILTER_COSTS[node.name]
            case nodes.Test():
                check_function(node, TESTS)
            case nodes.For():
                return self._visit_loop(node)
            case nodes.Block(scoped=False, required=False):
                self._require_no_loop(node, "block")
                self.parsed.blocks[node.name] = node.lineno
            case nodes.Extends():
                self.parsed.frame, self.parsed.frame_line = _constant_name(node), node.lineno
            case nodes.Include(ignore_missing=False, with_context=True):
                self._require_no_loop(node, "include")
                self.parsed.includes.append((_constant_name(node), node.lineno))
            case _:
                raise TemplateError(_NOT_HERE, node.lineno, what=type(node).__name__.lower())
        return self.generic_visit(node, *args, **kwargs)

    def _visit_loop(self, node: nodes.For) -> nodes.For:
        if node.recursive or node.test or not isinstance(node.target, nodes.Name):
            raise TemplateError(gettext_noop("Write “for one in list”, and nothing else."), node.lineno, what="for")
        if self.loops == MAX_NESTED_LOOPS:
            raise TemplateError(gettext_noop("Loops can be nested twice at most."), node.lineno, what="for")
        name = node.target.name
        path = f"{self._find_path(node.iter)}[]"
        if path not in _ITEMS:
            raise TemplateError(
                gettext_noop("A loop goes over one of these lists: %(lists)s."),
                node.lineno,
                lists=", ".join(sorted(each.removesuffix("[]") for each in _ITEMS)),
            )
        if (
            not re.fullmatch(r"[a-z][a-z0-9_]*", name)
            or name in KNOWN_NAMES
            or name in self.paths
            or name in {"css", "loop", "self"}
        ):
            raise TemplateError(gettext_noop("“%(what)s” cannot be the name of one in a list."), node.lineno, what=name)
        self.loops += 1
        self.paths[name] = path
        before = self.parsed.cost
        node.body = [self.visit(each) for each in node.body]
        cost = self.parsed.cost - before
        del self.paths[name]
        self.loops -= 1
        node.else_ = [self.visit(each) for each in node.else_]
        # Pays for the rounds before the first of them.
        node.iter = nodes.Filter(node.iter, EACH, [nodes.Const(cost)], [], None, None, lineno=node.lineno)
        return node

    def _check_top(self, template: nodes.Template) -> None:
        """Accept a file that stands in no frame, or says so first and has nothing but blocks to put into it."""
        if template.find(nodes.Extends) is None:
            return
        first, *rest = [each for each in template.body if not _is_blank(each)]
        if not isinstance(first, nodes.Extends):
            raise TemplateError(gettext_noop("“extends” comes first in its file."), first.lineno, what="extends")
        for each in rest:
            if not isinstance(each, nodes.Block):
                raise TemplateError(
                    gettext_noop("What stands outside of the blocks is not shown: put it into one."), each.lineno
                )
            if extends := each.find(nodes.Extends):
                raise TemplateError(_NOT_HERE, extends.lineno, what="extends")

    def _require_no_loop(self, node: nodes.Node, what: str) -> None:
        if self.loops:
            raise TemplateError(gettext_noop("“%(what)s” cannot stand in a loop."), node.lineno, what=what)

    def _find_path(self, node: nodes.Node) -> str:
        """Return which name of the context an expression is, such as `contacts[].company`."""
        match node:
            case nodes.Name(name="css"):
                raise TemplateError(_CSS_STANDS_ALONE, node.lineno, what="css")
            case nodes.Name():
                name, path = node.name, self.paths.get(node.name, node.name)
            case nodes.Getattr():
                name = node.attr
                path = f"{self._find_path(node.node)}.{name}"
            case nodes.Getitem(arg=nodes.Const(value=str(key))):
                name = key
                path = f"{self._find_path(node.node)}.{name}"
            case nodes.Getitem(arg=nodes.Const(value=int(position))) if not isinstance(position, bool):
                name = str(position)
                path = f"{self._find_path(node.node)}[]"
            case _:
                raise TemplateError(gettext_noop("Only names have parts, as in “company.name”."), node.lineno)
        if path not in KNOWN_NAMES and path not in _ITEMS and not (self.loops and path in _LOOP_NAMES):
            owner = path[: -len(name)] if path.endswith(f".{name}") else ""
            known = sorted({each.removeprefix(owner) for each in KNOWN_NAMES if each.startswith(owner)})
            known = [each for each in known if re.fullmatch("[a-z0-9_]+", each)]
            raise TemplateError(
                gettext_noop("“%(what)s” is not known; there are %(known)s."),
                node.lineno,
                what=name,
                known=", ".join([*known, *self.paths] if not owner else known) or "–",
            )
        return path


class _Places:
    """Follows a checked template through the HTML it makes, and puts the style sheet and the guard of addresses in."""

    def __init__(self, css: str) -> None:
        self.css = css

    def follow(self, body: Sequence[nodes.Node], place: Place) -> Place:
        """Return where a piece of the template ends that begins at this place."""
        for node in body:
            if not isinstance(node, nodes.Output):
                _require(not is_literal(place), node.lineno, type(node).__name__.lower())
            match node:
                case nodes.Output():
                    place = self._follow_output(node, place)
                case nodes.If():
                    ways = [node.body, *(each.body for each in node.elif_), node.else_]
                    place = self._join([self.follow(way, place) for way in ways], node)
                case nodes.For():
                    place = self._join([place, self.follow(node.body, place), self.follow(node.else_, place)], node)
                case nodes.Block():
                    _require(place == START and self.follow(node.body, place) == START, node.lineno, "block")
                case nodes.Include():
                    _require(place == START, node.lineno, "include")
        return place

    def _follow_output(self, node: nodes.Output, place: Place) -> Place:
        pieces: list[nodes.Expr] = []
        for piece in node.nodes:
            # A comment of the template may stand between two; a browser sees one.
            if isinstance(piece, nodes.TemplateData) and pieces and isinstance(pieces[-1], nodes.TemplateData):
                pieces[-1].data += piece.data
            else:
                pieces.append(piece)
        node.nodes = []
        for piece in pieces:
            if isinstance(piece, nodes.TemplateData):
                place = follow(piece.data, place, piece.lineno)
            elif _is_css(piece):
                _require(place.inside == "raw" and place.element == "style", piece.lineno, "css", _CSS_STANDS_ALONE)
                piece = nodes.TemplateData(f"\n{self.css}\n", lineno=piece.lineno)
            else:
                _require(takes_values(place), piece.lineno, "{{", _NOT_PRINTED_HERE)
                if begins_url(place):
                    piece = nodes.Filter(piece, SAFE_URL, [], [], None, None, lineno=piece.lineno)
                place = place._replace(is_begun=place.inside == "value")
            node.nodes.append(piece)
        return place

    def _join(self, places: Sequence[Place], node: nodes.Node) -> Place:
        place = places[0]
        for other in places[1:]:
            joined = join(place, other)
            if joined is None:
                raise TemplateError(_TWO_ENDS, node.lineno, what=type(node).__name__.lower())
            place = joined
        return place


def _require(is_so: bool, line: int, what: str, message: str = _NOT_HERE) -> None:
    if not is_so:
        raise TemplateError(message, line, what=what)


def _constant_name(node: nodes.Extends | nodes.Include) -> str:
    if isinstance(node.template, nodes.Const) and isinstance(node.template.value, str):
        return node.template.value
    raise TemplateError(
        gettext_noop("Name a file of the set, in quotes."),
        node.lineno,
        what="extends" if isinstance(node, nodes.Extends) else "include",
    )


def _is_css(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "css"


def _is_blank(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Output) and all(
        isinstance(each, nodes.TemplateData) and not each.data.strip() for each in node.nodes
    )
