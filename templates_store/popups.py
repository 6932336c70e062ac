"""What a set of popup templates may be, and how one is rendered.  Pure: no Django, no database.

A set is the files of one language.  Nothing in it reaches beyond the context and its own files, nothing calls or
multiplies, values are escaped, and what it may cost is counted: a hostile template ends with a PopupError.
"""

import re
import traceback
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any

from jinja2 import BaseLoader, Environment, Template, TemplateSyntaxError, nodes, pass_context
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from templates_store.markup import safe_url
from templates_store.popup_context import SAMPLES, TEXTS, build_sample
from templates_store.popup_parsing import EACH, POPUP_FILTERS, SAFE_URL, Parsed, parse_css, parse_popup
from templates_store.popup_parsing import MAX_FILE as MAX_FILE
from templates_store.sandbox import MAX_TEXT, TESTS, Missing, TemplateError, gettext_noop, is_visible, to_text

CSS = "popup.css"
NAMES = ("incoming.html", "match.html", "choice.html", "nomatch.html", "withheld.html", "missed.html", CSS)
MAX_OUTPUT = 512_000
# In steps of about a microsecond: what printing a value takes.
MAX_WORK = 80_000
MAX_ITEMS = 100
_WORK = "_work"


class PopupError(Exception):
    """A file that cannot be used: what is wrong (in English, as `str()`), in which file, line and column, from 1.

    Who shows it translates `message`, then puts in the `params`.
    """

    def __init__(
        self, message: str, *, name: str, line: int = 1, column: int = 1, params: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message % params if params else message)
        self.message = message
        self.params = params or {}
        self.name = name
        self.line = line
        self.column = column


def check_popup_files(files: Mapping[str, str]) -> list[PopupError]:
    """Return what is wrong with the whole set of one language, at most one error a file; empty if it is usable."""
    errors = {}
    for name in files.keys() - set(NAMES):
        errors[name] = PopupError(_NO_SUCH_FILE, name=name, params={"what": name[:100], "known": ", ".join(NAMES)})
    popups = _compile_set(_freeze(files))
    for name in NAMES:
        try:
            popups.check(name)
        except PopupError as error:
            # A fault of the frame is one, however many files stand in it.
            errors.setdefault(error.name, error)
    return list(errors.values())


def render_popup(files: Mapping[str, str], name: str, context: Mapping[str, object]) -> str:
    """Return the page that a file of the set makes of a context.  Raises PopupError.

    `context` is what build_context returns; a value that is neither text, number, list nor mapping prints as text.
    """
    return _compile_set(_freeze(files)).render(name, context)


def _freeze(files: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(files.items())


class _Set(BaseLoader):
    """The files of one language, each compiled when it is first asked for."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        self.environment = _Environment(
            autoescape=True,
            optimized=False,
            undefined=Missing,
            finalize=_print,
            cache_size=0,
            auto_reload=False,
            loader=self,
        )
        self.environment.globals.clear()
        self.environment.filters = {**POPUP_FILTERS, EACH: _pay_for_each, SAFE_URL: _guard_url}
        self.environment.tests = TESTS  # type: ignore[assignment]  # inferred from Jinja2's own, all functions
        self.compiled: dict[str, tuple[Parsed, Template]] = {}
        self.refused: dict[str, PopupError] = {}

    def load(self, environment: Environment, name: str, globals: Any = None) -> Template:
        """Return a file that another one names.  Jinja2 asks for it."""
        return self.get(name)[1]

    def get(self, name: str, trail: tuple[str, ...] = ()) -> tuple[Parsed, Template]:
        """Return a file with everything it names.  Raises PopupError."""
        if name in self.refused:
            raise self.refused[name]
        if name not in self.compiled:
            try:
                self.compiled[name] = self._compile(name, trail)
            except TemplateError as error:
                self.refused[name] = self._locate(error, name)
                raise self.refused[name] from error
        return self.compiled[name]

    def _compile(self, name: str, trail: tuple[str, ...]) -> tuple[Parsed, Template]:
        if name not in NAMES or name == CSS or name not in self.files:
            raise TemplateError(_NO_SUCH_FILE, what=name[:100], known=", ".join(NAMES))
        parsed = parse_popup(self.files[name], self.environment, self.get_css())
        named = [*parsed.includes, *([(parsed.frame, parsed.frame_line)] if parsed.frame else [])]
        for other, line in named:
            if other in (*trail, name):
                raise TemplateError(gettext_noop("“%(what)s” would contain itself."), line, what=other)
            if other not in NAMES or other == CSS or other not in self.files:
                raise TemplateError(_NO_SUCH_FILE, line, what=other[:100], known=", ".join(NAMES))
            contained = self.get(other, (*trail, name))[0]
            parsed.cost += contained.cost
            if other == parsed.frame:
                self._check_blocks(parsed, contained)
        if parsed.cost > MAX_WORK:
            raise TemplateError(_TOO_MUCH)
        try:
            code = self.environment.compile(parsed.tree, name, f"<{name}>")
        except TemplateSyntaxError as error:
            raise TemplateError(gettext_noop("%(problem)s"), error.lineno, problem=error.message) from error
        return parsed, Template.from_code(self.environment, code, {}, None)

    def _check_blocks(self, parsed: Parsed, frame: Parsed) -> None:
        top = [each for each in parsed.tree.body if isinstance(each, nodes.Block)]
        for block in top:
            if block.name not in frame.blocks:
                raise TemplateError(
                    gettext_noop("The frame has no block “%(what)s”; there are %(known)s."),
                    block.lineno,
                    what=block.name[:100],
                    known=", ".join(frame.blocks) or "–",
                )
        parsed.blocks = {**frame.blocks, **parsed.blocks}

    def get_css(self) -> str:
        """Return the style sheet.  Raises PopupError."""
        if isinstance(self._css, PopupError):
            raise self._css
        return self._css

    @cached_property
    def _css(self) -> str | PopupError:
        try:
            return parse_css(self.files.get(CSS, ""))
        except TemplateError as error:
            return self._locate(error, CSS)

    def check(self, name: str) -> None:
        """Accept a file that renders every sample it is for.  Raises PopupError."""
        if name not in self.files:
            raise PopupError(gettext_noop("This file is missing."), name=name)
        if name == CSS:
            self.get_css()
            return
        self.render(name, {})
        for sample, (template, *_) in SAMPLES.items():
            if template == name:
                self.render(name, build_sample(sample, language="en", texts=TEXTS)[1])

    def render(self, name: str, context: Mapping[str, object]) -> str:
        """Return the page.  Raises PopupError."""
        _, template = self.get(name)
        plain = {key: _to_plain(value) for key, value in context.items()}
        plain[_WORK] = _Work(MAX_WORK)
        pieces, length = [], 0
        try:
            for piece in template.root_render_func(template.new_context(plain, shared=True)):
                pieces.append(piece)
                length += len(piece)
                if length > MAX_OUTPUT:
                    break
        except TemplateError as error:
            raise self._locate(error, *self._find_line(error, name)) from error
        except Exception as error:
            located = TemplateError(gettext_noop("This fails: %(problem)s."), problem=str(error))
            raise self._locate(located, *self._find_line(error, name)) from error
        page = "".join(pieces)
        if length > MAX_OUTPUT or len(page.encode()) > MAX_OUTPUT:
            raise PopupError(_TOO_LONG, name=name, params={"limit": MAX_OUTPUT})
        return page

    def _find_line(self, error: Exception, name: str) -> tuple[str, int]:
        """Return in which file and line an error happened: Jinja2 knows which line its Python came from."""
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            file = frame.filename[1:-1]
            if file in self.compiled and frame.lineno:
                return file, self.compiled[file][1].get_corresponding_lineno(frame.lineno)
        return name, 1

    def _locate(self, error: TemplateError, name: str, line: int | None = None) -> PopupError:
        line = line or error.line
        lines = self.files.get(name, "").splitlines()
        text = lines[line - 1] if line <= len(lines) else ""
        column = text.find(str(error.params["what"])) if "what" in error.params else -1
        if column < 0:
            tag = re.search(r"\{[{%]", text)
            column = tag.start() if tag else len(text) - len(text.lstrip())
        return PopupError(error.message, name=name, line=line, column=column + 1, params=error.params)


@lru_cache(maxsize=32)
def _compile_set(files: tuple[tuple[str, str], ...]) -> _Set:
    return _Set(dict(files))


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, in which only lists and mappings have parts, and `+` joins texts."""

    intercepted_binops = frozenset(["+"])

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> str:
        return (to_text(left) + to_text(right))[:MAX_TEXT]

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict):
            return obj.get(attribute, "")
        if isinstance(obj, LoopContext) and attribute in {"index", "first", "last", "length"}:
            return getattr(obj, attribute)
        return ""

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, list) and isinstance(argument, int):
            return obj[argument] if 0 <= argument < len(obj) else ""
        return self.getattr(obj, argument)


class _Work:
    """What a rendering may still do."""

    def __init__(self, steps: int) -> None:
        self.steps = steps


@pass_context
def _pay_for_each(context: Context, values: object, cost: int) -> list[object]:
    """Return what a loop goes over, once its rounds are paid for."""
    if not isinstance(values, list):
        return []
    work = context.resolve_or_missing(_WORK)
    work.steps -= len(values) * cost
    if work.steps < 0:
        raise TemplateError(_TOO_MUCH, what="for")
    return values


def _guard_url(value: object) -> str:
    return safe_url(to_text(value))


def _print(value: object) -> str:
    # Exactly a text: what claims to be HTML already would not be escaped.
    return str(to_text(value))


def _to_plain(value: object, depth: int = 0) -> object:
    """Return the value as a template may have it: mappings, lists, texts, whole numbers, and nothing that has more."""
    if isinstance(value, str):
        text = str(value[:MAX_TEXT])
        return text if text.isprintable() else "".join(filter(is_visible, text))
    if value is None or depth > 4:
        return ""
    if isinstance(value, bool | int):
        return value if abs(value) < 10**15 else to_text("∞")
    if isinstance(value, Mapping):
        return {str(key): _to_plain(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(each, depth + 1) for each in value[:MAX_ITEMS]]
    return _to_plain(str(value), depth)


_NO_SUCH_FILE = gettext_noop("There is no file “%(what)s” in the set; there are %(known)s.")
_TOO_MUCH = gettext_noop("This does too much: it has too many tags, or too much in a loop.")
_TOO_LONG = gettext_noop("This makes a page of more than %(limit)s bytes.")
