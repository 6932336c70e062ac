"""What a display-name template may be, and how one is rendered.  Pure: no Django, no database.

A template is Jinja2, cut down to what a name needs.  Nothing in it calls, loops or multiplies, and no text
grows past MAX_TEXT, so no template can run long or grow big.  Three things see to that: the tokens are
counted before the parser sees them, since it recurses with them; the parsed tree may hold only what
`_Whitelist` lists; and the rest runs in Jinja2's sandbox, with values that have no attributes.

A missing value is the empty text everywhere: printed, compared, joined, as `company.name` without a company.
"""

import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from typing import Any, NamedTuple

from jinja2 import Template, TemplateSyntaxError, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from templates_store.sandbox import (
    FILTERS,
    FORBIDDEN,
    JOINERS,
    MAX_TEXT,
    TESTS,
    Missing,
    check_characters,
    check_function,
    gettext_noop,
    is_visible,
    to_text,
)
from templates_store.sandbox import TemplateError as TemplateError

MAX_SOURCE = 2000
MAX_NAME = 300
# The parser and the compiler recurse once for every level; these keep that far from Python's limit.
MAX_TOKENS_IN_A_TAG = 60
MAX_PARENTHESES = 8
MAX_NESTED_IFS = 8
# Values that have parts: `company.name`.  Every other value is a text.
OBJECTS = ("company", "customer_group")


@dataclass(frozen=True)
class Templates:
    """The three templates of an object.  For an empty one the default stands in."""

    default: str = ""
    details: str = ""
    list: str = ""


class Names(NamedTuple):
    """What the three templates give for one contact."""

    default: str
    details: str
    list: str


def check_template(source: str) -> None:
    """Accept a template that `render_name` can use.  Raises TemplateError for every other text."""
    template, names = _compile(source)
    # What only shows in running, such as '1' > 2, shows where no field has a value, or where every one has.
    _render(template, {})
    _render(
        template,
        {name: dict.fromkeys(attributes, "x") if attributes else "x" for name, attributes in names.items()},
    )


def render_name(source: str, values: Mapping[str, object]) -> str:
    """Return the name the template gives for these values: one line of at most 300 characters, perhaps empty.

    A value is a text (anything else is printed as one; None is missing), or for OBJECTS a mapping of such.
    Raises TemplateError for a template that `check_template` refuses, or that fails on these values.
    """
    plain = {name: value if isinstance(value, Mapping) else to_text(value) for name, value in values.items()}
    return to_line(_render(_compile(source)[0], plain))


def display_names(templates: Templates, values: Mapping[str, object], fallback: str) -> Names:
    """Return a contact's three names, none of them empty, whatever the templates and values are.

    `values` come in the order of the contact model's fields.  A name that turns out empty, or whose template
    fails, is the default name; where that is empty too, it is the first value that is not, else `fallback`.
    """
    default = _name_or_nothing(templates.default, values) or _first_value(values) or to_line(fallback) or "?"
    return Names(
        default,
        _name_or_nothing(templates.details, values) or default,
        _name_or_nothing(templates.list, values) or default,
    )


def to_line(text: str) -> str:
    """Return the text as one line of at most 300 characters, without anything that hides or reorders it."""
    if not text.isprintable():
        text = "".join(filter(is_visible, text))
    text = " ".join(text.split()).strip(JOINERS + " ")
    if len(text) > MAX_NAME:
        text = text[: MAX_NAME - 1].rstrip() + "…"
    return text


def _name_or_nothing(source: str, values: Mapping[str, object]) -> str:
    try:
        name = render_name(source, values) if source else ""
    except TemplateError:
        return ""
    # Without a letter or digit it is only what stands between two values that are missing.
    return name if any(map(str.isalnum, name)) else ""


def _first_value(values: Mapping[str, object]) -> str:
    return next((line for value in values.values() if (line := to_line(to_text(value)))), "")


def _render(template: Template, values: Mapping[str, object]) -> str:
    text = ""
    try:
        for piece in template.root_render_func(template.new_context(dict(values), shared=True)):
            text += piece
            if len(text) > MAX_TEXT:
                break
    except Exception as error:
        # Jinja2 knows which line of its Python came from which line of the template.
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == "<template>" and frame.lineno]
        line = template.get_corresponding_lineno(lines[-1]) if lines else 1
        raise TemplateError(gettext_noop("This fails: %(problem)s."), line, problem=str(error)) from error
    return text


@lru_cache(maxsize=1024)
def _compile(source: str) -> tuple[Template, dict[str, set[str]]]:
    """Return the compiled template, and the names it uses with the attributes it takes of each."""
    _check_source(source)
    try:
        _check_tokens(source)
        whitelist = _Whitelist()
        tree = whitelist.visit(_ENVIRONMENT.parse(source))
        return _ENVIRONMENT.from_string(tree), whitelist.names
    except TemplateSyntaxError as error:
        raise TemplateError(
            gettext_noop("%(problem)s"), error.lineno, problem=error.message or "Syntax error"
        ) from error
    except RecursionError as error:
        raise TemplateError(gettext_noop("This is nested too deeply.")) from error


def _check_source(source: str) -> None:
    if len(source) > MAX_SOURCE:
        raise TemplateError(gettext_noop("A template has at most %(limit)s characters."), limit=MAX_SOURCE)
    check_characters(source)


def _check_tokens(source: str) -> None:
    """Refuse what the parser is not to see: it recurses for every level, and so does everything after it."""
    tag = tokens = parentheses = ifs = 0
    for line, kind, value in _ENVIRONMENT.lex(source):
        if kind in {"variable_begin", "block_begin"}:
            tag, tokens, parentheses = kind == "block_begin", 0, 0
            continue
        if kind not in {"name", "integer", "float", "string", "operator"}:
            continue
        tokens += 1
        if tag and tokens == 1:
            if value not in {"if", "elif", "else", "endif"}:
                raise TemplateError(gettext_noop("“%(what)s” is not allowed here."), line, what=value)
            ifs += {"if": 1, "endif": -1}.get(value, 0)
        # A number with a point is only ever a mistake; a backslash in a text would bring in Python's rules.
        if value in FORBIDDEN or kind == "float" or (kind == "string" and "\\" in value):
            raise TemplateError(gettext_noop("“%(what)s” is not allowed here."), line, what=value)
        parentheses += {"(": 1, "[": 1, ")": -1, "]": -1}.get(value, 0)
        if tokens > MAX_TOKENS_IN_A_TAG or parentheses > MAX_PARENTHESES or ifs > MAX_NESTED_IFS:
            raise TemplateError(gettext_noop("This is nested too deeply, or too long for one expression."), line)


class _Whitelist(NodeTransformer):
    """Walks a parsed template, refuses every node that is not listed here, and notes the names it uses."""

    def __init__(self) -> None:
        self.names: dict[str, set[str]] = {}

    def visit(self, node: nodes.Node, *args: object, **kwargs: object) -> Any:
        match node:
            case nodes.Template() | nodes.Output() | nodes.TemplateData() | nodes.If() | nodes.CondExpr():
                pass
            case nodes.Compare() | nodes.Operand() | nodes.And() | nodes.Or() | nodes.Not() | nodes.Add():
                pass
            case nodes.Tuple() | nodes.List():
                pass
            case nodes.Const(value=None):
                # What is missing is the empty text; so is `none`, or `x == none` would never hold.
                return nodes.Const("", lineno=node.lineno)
            case nodes.Const():
                pass
            case nodes.Name():
                self._note_name(node)
            case nodes.Getattr():
                self._note_part(node, node.attr)
            case nodes.Getitem():
                self._note_part(node, node.arg.value if isinstance(node.arg, nodes.Const) else None)
            case nodes.Concat():
                # `~` becomes `+`, which the environment answers itself, within MAX_TEXT.
                return self.visit(reduce(partial(nodes.Add, lineno=node.lineno), node.nodes))
            case nodes.Filter():
                check_function(node, FILTERS)
            case nodes.Test():
                check_function(node, TESTS)
            case _:
                raise TemplateError(
                    gettext_noop("“%(what)s” is not allowed here."),
                    node.lineno,
                    what=type(node).__name__.lower(),
                )
        return self.generic_visit(node, *args, **kwargs)

    def _note_name(self, node: nodes.Name) -> None:
        self._check_name(node.name, node.lineno)
        if node.name in {"self", "super", "caller", "loop", "varargs", "kwargs"}:
            raise TemplateError(gettext_noop("“%(what)s” is not allowed here."), node.lineno, what=node.name)
        self.names.setdefault(node.name, set())

    def _note_part(self, node: nodes.Getattr | nodes.Getitem, attribute: object) -> None:
        owner = node.node
        if not isinstance(owner, nodes.Name) or owner.name not in OBJECTS or not isinstance(attribute, str):
            raise TemplateError(
                gettext_noop("Only %(objects)s have parts, as in “company.name”."),
                node.lineno,
                objects=", ".join(OBJECTS),
            )
        self._check_name(attribute, node.lineno)
        self.names.setdefault(owner.name, set()).add(attribute)

    def _check_name(self, name: str, line: int) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise TemplateError(gettext_noop("“%(what)s” cannot be the name of a field."), line, what=name)


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, in which values have no attributes at all, and `+` joins texts."""

    intercepted_binops = frozenset(["+"])

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> str:
        return (to_text(left) + to_text(right))[:MAX_TEXT]

    def getattr(self, obj: Any, attribute: str) -> str:
        return to_text(obj.get(attribute)) if isinstance(obj, Mapping) else ""

    def getitem(self, obj: Any, argument: Any) -> str:
        return self.getattr(obj, argument)


_ENVIRONMENT = _Environment(
    autoescape=False, optimized=False, undefined=Missing, finalize=to_text, cache_size=0, auto_reload=False
)
_ENVIRONMENT.globals.clear()
_ENVIRONMENT.filters = FILTERS
_ENVIRONMENT.tests = TESTS  # type: ignore[assignment]  # inferred from Jinja2's own, which are all functions
