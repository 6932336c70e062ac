"""What a display-name template may be, and how one is rendered.  Pure: no Django, no database.

A template is Jinja2, cut down to what a name needs.  Nothing in it calls, loops or multiplies, and no text
grows past MAX_TEXT, so no template can run long or grow big.  Three things see to that: the tokens are
counted before the parser sees them, since it recurses with them; the parsed tree may hold only what
`_Whitelist` lists; and the rest runs in Jinja2's sandbox, with values that have no attributes.

A missing value is the empty text everywhere: printed, compared, joined, as `company.name` without a company.

Names are rendered when contacts are written, but `number`, the one that a call matched, is known in the call only.
NUMBER stands for it until `put_number` puts it in; no value and no template can hold that character.
"""

import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from typing import Any, NamedTuple

from jinja2 import Template, TemplateSyntaxError, nodes, pass_context
from jinja2.lexer import TokenStream
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from templates_store.positions import find_place, lex, tokenize
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
# Of the private use area: no font and no language has it.
NUMBER = "\U0010fffd"
# Counted up when a template gives another name than before: names that were rendered by another version are stale.
RENDERING_VERSION = 2

ShowPhone = Callable[[str], str]
# Where the filter `phone` finds the function that shows a number: no template can name it.
_SHOW_PHONE = "show phone"


@dataclass(frozen=True)
class Templates:
    """The three templates of an object.  For an empty one the default stands in."""

    default: str = ""
    details: str = ""
    list: str = ""

    def complete(self, others: "Templates") -> "Templates":
        """Return these, as a language has them, with the ones for all languages where it has none."""
        return Templates(self.default or others.default, self.details or others.details, self.list or others.list)

    def use(self, name: str) -> bool:
        """Say whether one of them may use a value or filter of this name."""
        return any(re.search(rf"\b{name}\b", source) for source in (self.default, self.details, self.list))


class Names(NamedTuple):
    """What the three templates give for one contact."""

    default: str
    details: str
    list: str


def check_template(source: str) -> None:
    """Accept a template that `render_name` can use.  Raises TemplateError for every other text."""
    names = _compile(source)[1]
    # What only shows in running, such as '1' > 2, shows where no field has a value, or where every one has.
    _render(source, {})
    _render(source, {name: dict.fromkeys(attributes, "x") if attributes else "x" for name, attributes in names.items()})


def parse_template(source: str) -> nodes.Template:
    """Return the tree of a template, whose nodes have their position in the source for a line.

    Raises TemplateError for what `check_template` refuses by looking at the text.
    """
    _compile(source)
    return _ENVIRONMENT.parse(source)


def render_name(source: str, values: Mapping[str, object], show_phone: ShowPhone = str) -> str:
    """Return the name the template gives for these values: one line of at most 300 characters, perhaps empty.

    A value is a text (anything else is printed as one; None is missing), or for OBJECTS perhaps a mapping of such.
    `show_phone` shows a text as a telephone number.
    Raises TemplateError for a template that `check_template` refuses, or that fails on these values.
    """
    return to_line(_render(source, _clean(values) | {_SHOW_PHONE: show_phone}))


def display_names(
    templates: Templates, values: Mapping[str, object], fallback: str, show_phone: ShowPhone = str
) -> Names:
    """Return a contact's three names, none of them empty, whatever the templates and values are.

    `values` come in the order of the contact model's fields.  A name that turns out empty, or whose template
    fails, is the default name; where that is empty too, it is the first value that is not, else `fallback`.
    Details and list name hold NUMBER where the number of a call belongs, unless `number` is one of the values.
    """
    clean = _clean(values)
    context = clean | {_SHOW_PHONE: show_phone}
    default = _name_or_nothing(templates.default, context) or _first_value(clean) or to_line(_strip(fallback)) or "?"
    context.setdefault("number", NUMBER)
    return Names(
        default,
        _name_or_nothing(templates.details, context) or default,
        _name_or_nothing(templates.list, context) or default,
    )


def put_number(name: str, number: str) -> str:
    """Return a name with the number of a call in it, where it says so."""
    return to_line(name.replace(NUMBER, number)) if NUMBER in name else name


def to_line(text: str) -> str:
    """Return the text as one line of at most 300 characters, without anything that hides or reorders it."""
    if not text.isprintable():
        text = "".join(filter(is_visible, text))
    text = " ".join(text.split()).strip(JOINERS + " ")
    if len(text) > MAX_NAME:
        text = text[: MAX_NAME - 1].rstrip() + "…"
    return text


def _clean(values: Mapping[str, object]) -> dict[str, object]:
    return {
        name: value if isinstance(value, Mapping) else _strip(value if type(value) is str else to_text(value))
        for name, value in values.items()
    }


def _strip(text: str) -> str:
    """Return a text as a value may be: not too long, and without what stands for the number."""
    return text[:MAX_TEXT] if NUMBER not in text else text.replace(NUMBER, "")[:MAX_TEXT]


def _name_or_nothing(source: str, context: Mapping[str, object]) -> str:
    try:
        name = to_line(_render(source, context)) if source else ""
    except TemplateError:
        return ""
    # Without a letter or digit it is only what stands between two values that are missing.
    return name if any(map(str.isalnum, name)) or NUMBER in name else ""


def _first_value(values: Mapping[str, object]) -> str:
    return next((line for value in values.values() if (line := to_line(to_text(value)))), "")


def _render(source: str, context: Mapping[str, object]) -> str:
    template, _ = _compile(source)
    text = ""
    try:
        for piece in template.root_render_func(template.new_context(dict(context), shared=True)):
            text += piece
            if len(text) > MAX_TEXT:
                break
    except Exception as error:
        # Jinja2 knows which line of its Python came from which position in the template.
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == "<template>" and frame.lineno]
        place = find_place(source, template.get_corresponding_lineno(lines[-1]) if lines else 0)
        raise TemplateError(gettext_noop("This fails: %(problem)s."), *place, problem=str(error)) from error
    return text


@lru_cache(maxsize=1024)
def _compile(source: str) -> tuple[Template, dict[str, set[str]]]:
    """Return the compiled template, and the names it uses with the attributes it takes of each."""
    _check_source(source)
    with _line_and_column(source):
        try:
            _check_tokens(source)
            whitelist = _Whitelist()
            tree = whitelist.visit(_ENVIRONMENT.parse(source))
            return _ENVIRONMENT.from_string(tree), whitelist.names
        except TemplateSyntaxError as error:
            # Where, it says in its own way, too.
            problem = re.sub(r" at \d+$", "", error.message or "Syntax error")
            raise TemplateError(gettext_noop("%(problem)s"), error.lineno, problem=problem) from error
        except RecursionError as error:
            raise TemplateError(gettext_noop("This is nested too deeply."), 0) from error


@contextmanager
def _line_and_column(source: str) -> Iterator[None]:
    """Turn the position in the source that an error has for a line into line and column."""
    try:
        yield
    except TemplateError as error:
        error.line, error.column = find_place(source, error.line)
        raise


def _check_source(source: str) -> None:
    if len(source) > MAX_SOURCE:
        place = find_place(source, MAX_SOURCE)
        raise TemplateError(gettext_noop("A template has at most %(limit)s characters."), *place, limit=MAX_SOURCE)
    check_characters(source)
    if NUMBER in source:
        raise TemplateError(
            gettext_noop("The character %(character)s is not allowed."),
            *find_place(source, source.index(NUMBER)),
            character=f"U+{ord(NUMBER):04X}",
        )


def _check_tokens(source: str) -> None:
    """Refuse what the parser is not to see: it recurses for every level, and so does everything after it."""
    tag = tokens = parentheses = ifs = 0
    for position, kind, value in lex(_ENVIRONMENT, source):
        if kind in {"variable_begin", "block_begin"}:
            tag, tokens, parentheses = kind == "block_begin", 0, 0
            continue
        if kind not in {"name", "integer", "float", "string", "operator"}:
            continue
        tokens += 1
        if tag and tokens == 1:
            if value not in {"if", "elif", "else", "endif"}:
                raise TemplateError(gettext_noop("“%(what)s” is not allowed here."), position, what=value)
            ifs += {"if": 1, "endif": -1}.get(value, 0)
        # A number with a point is only ever a mistake; a backslash in a text would bring in Python's rules.
        if value in FORBIDDEN or kind == "float" or (kind == "string" and "\\" in value):
            raise TemplateError(gettext_noop("“%(what)s” is not allowed here."), position, what=value)
        parentheses += {"(": 1, "[": 1, ")": -1, "]": -1}.get(value, 0)
        if tokens > MAX_TOKENS_IN_A_TAG or parentheses > MAX_PARENTHESES or ifs > MAX_NESTED_IFS:
            raise TemplateError(gettext_noop("This is nested too deeply, or too long for one expression."), position)


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
                check_function(node, NAME_FILTERS)
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

    def _check_name(self, name: str, position: int) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise TemplateError(gettext_noop("“%(what)s” cannot be the name of a field."), position, what=name)


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, in which values have no attributes at all, and `+` joins texts."""

    intercepted_binops = frozenset(["+"])

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> str:
        return (to_text(left) + to_text(right))[:MAX_TEXT]

    def _tokenize(self, source: str, name: Any, filename: Any = None, state: Any = None) -> TokenStream:
        return tokenize(self, source)

    def getattr(self, obj: Any, attribute: str) -> str:
        if isinstance(obj, Mapping):
            return _strip(to_text(obj.get(attribute)))
        # An object that is no more than its name is given as a text.
        return obj if attribute == "name" and isinstance(obj, str) else ""

    def getitem(self, obj: Any, argument: Any) -> str:
        return self.getattr(obj, argument)


@pass_context
def _filter_phone(context: Context, value: object) -> str:
    text = to_text(value)
    return text if not text or NUMBER in text else to_text(context.parent.get(_SHOW_PHONE, str)(text))


NAME_FILTERS: dict[str, Callable[..., object]] = {**FILTERS, "phone": _filter_phone}

_ENVIRONMENT = _Environment(
    autoescape=False, optimized=False, undefined=Missing, finalize=to_text, cache_size=0, auto_reload=False
)
_ENVIRONMENT.globals.clear()
_ENVIRONMENT.filters = NAME_FILTERS
_ENVIRONMENT.tests = TESTS  # type: ignore[assignment]  # inferred from Jinja2's own, which are all functions
