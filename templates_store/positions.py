"""Where in a template something stands.  Pure.

Jinja2 knows lines only.  Here it is told the position of every token in the source instead of its line, and hands that
on to every node and error; `find_place` turns a position into line and column.
"""

import re
from collections.abc import Iterator

from jinja2 import Environment, TemplateSyntaxError
from jinja2.lexer import TokenStream

# As Jinja2 reads them.
_newline = re.compile("\r\n|\r|\n")


def normalize(source: str) -> str:
    """Return a source as positions count it: a line ends with one character."""
    return _newline.sub("\n", source)


def lex(environment: Environment, source: str) -> Iterator[tuple[int, str, str]]:
    """Yield position, kind and text of each token.  Raises TemplateSyntaxError with a position as its line."""
    source = normalize(source)
    end = 0
    try:
        for _, kind, text in environment.lexer.tokeniter(source, None):
            # Between two tokens there is at most the space that a template lets be taken away: `{%-`.
            start = source.index(text, end)
            end = start + len(text)
            yield start, kind, text
    except TemplateSyntaxError as error:
        error.lineno = end
        raise


def tokenize(environment: Environment, source: str) -> TokenStream:
    """Return what Jinja2's parser reads, with positions as lines."""
    return TokenStream(environment.lexer.wrap(lex(environment, source)), None, None)


def find_place(source: str, position: int) -> tuple[int, int]:
    """Return line and column of a position, both from 1."""
    before = normalize(source)[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
