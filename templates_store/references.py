"""Where display-name templates name a field, and how they name it by another name.  Pure: no Django, no database.

Both go by the parsed tree and not by the text, in which `phone` is also a filter, a word or a part of another name.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from jinja2 import nodes

from templates_store.positions import find_place, normalize
from templates_store.rendering import OBJECTS, TemplateError, Templates, check_template, parse_template
from templates_store.sandbox import gettext_noop

PERSON, COMPANY = "person", "company"
# What a company is called, whatever fields it has.
COMPANY_NAME = "name"


class Source(NamedTuple):
    """A template of a contact model: whose, in which language (empty: all), which of the three, and its text."""

    object: str
    language: str
    name: str
    text: str


class Reference(NamedTuple):
    """A place where a template names a field."""

    source: Source
    line: int
    column: int


def list_references(templates: Mapping[tuple[str, str], Templates], *, kind: str, field: str) -> list[Reference]:
    """Return where the templates of a contact model, by object and language, name a field of this kind of contacts.

    A template that cannot be read counts as one that does, at its beginning.
    """
    return [Reference(source, *place) for source in list_sources(templates) for place in _places(source, kind, field)]


def list_sources(templates: Mapping[tuple[str, str], Templates]) -> Iterator[Source]:
    """Yield every template that is not empty."""
    for (object, language), of_object in templates.items():
        for name in ("default", "details", "list"):
            if text := getattr(of_object, name):
                yield Source(object, language, name, text)


def rename_references(source: Source, *, kind: str, old: str, new: str) -> str:
    """Return the template's text with a field's new name in it, which then gives for it what it gave for the old one.

    Raises TemplateError, with the place, where that cannot be.
    """
    text, owner = normalize(source.text), _owner(source, kind)
    if owner is None:
        return text
    tree = parse_template(text)
    found = list(_find(tree, old, owner))
    if not found:
        return text
    if new in ((COMPANY_NAME,) if owner else OBJECTS):
        raise TemplateError(
            gettext_noop("“%(name)s” means something else here."), *find_place(text, found[0].lineno), name=new
        )
    starts = [_start(text, node, old) for node in found]
    renamed = text
    for start in sorted(starts, reverse=True):
        renamed = renamed[:start] + new + renamed[start + len(old) :]
    for node in found:
        _rename(node, new)
    check_template(renamed)
    # A name may be one to us and something else to Jinja2, such as `none`.
    if parse_template(renamed) != tree:
        raise TemplateError(
            gettext_noop("“%(name)s” means something else here."), *find_place(text, found[0].lineno), name=new
        )
    return renamed


def _places(source: Source, kind: str, field: str) -> Iterator[tuple[int, int]]:
    owner = _owner(source, kind)
    if owner is None or (owner and field == COMPANY_NAME):
        return
    text = normalize(source.text)
    try:
        found = list(_find(parse_template(text), field, owner))
    except TemplateError as error:
        yield error.line, error.column
        return
    yield from (find_place(text, node.lineno) for node in found)


def _owner(source: Source, kind: str) -> str | None:
    """Return what a field of this kind of contacts stands behind in the template: nothing, or `company`; None where
    no template of the object names such a field.
    """
    if source.object == kind:
        return ""
    return COMPANY if source.object == PERSON and kind == COMPANY else None


def _find(tree: nodes.Template, name: str, owner: str) -> Iterator[nodes.Node]:
    if owner and name == COMPANY_NAME:
        return
    for node in tree.find_all((nodes.Name, nodes.Getattr, nodes.Getitem)):
        match node:
            case nodes.Name(name=found) if not owner and found == name:
                yield node
            case nodes.Getattr(node=nodes.Name(name=of), attr=found) if of == owner and found == name:
                yield node
            case nodes.Getitem(node=nodes.Name(name=of), arg=nodes.Const(value=found)) if of == owner and found == name:
                yield node


_before: Mapping[type[nodes.Node], str] = {nodes.Name: "", nodes.Getattr: r"\.\s*", nodes.Getitem: r"\[\s*['\"]"}


def _start(text: str, node: nodes.Node, name: str) -> int:
    """Return where the name itself begins."""
    before = re.compile(_before[type(node)]).match(text, node.lineno)
    if before is None or not text.startswith(name, before.end()):
        raise TemplateError(gettext_noop("Write the field's name more simply here."), *find_place(text, node.lineno))
    return before.end()


def _rename(node: nodes.Node, new: str) -> None:
    match node:
        case nodes.Name():
            node.name = new
        case nodes.Getattr():
            node.attr = new
        case nodes.Getitem(arg=nodes.Const() as key):
            key.value = new
