"""Reads the entries of a directory by LDAP: encrypted unless somebody allowed otherwise, in pages, with a limit to
every wait.

python-ldap is imported only here, and only when a directory is read: sites without one need not have it.
"""

import contextlib
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from django.utils.translation import gettext as _

from cmphone.contacts.directories.line import DirectoryFailed, DirectoryServer, Patience, open_line
from cmphone.contacts.directories.mapping import Entry

PAGE = 500


@dataclass(frozen=True, slots=True)
class DirectorySearch:
    """Which entries are wanted: those at any depth below `base`, itself included, or only those directly below."""

    base: str
    filter: str
    is_deep: bool = True


def read_entries(
    server: DirectoryServer, search: DirectorySearch, attributes: list[str], *, limit: int | None = None
) -> Generator[tuple[str, Entry], None, None]:
    """Yield the name (DN) and the attributes of every entry, or of the first ones up to `limit`.

    Raises DirectoryFailed.  All have been read only if the iterator ends by itself without it.
    """
    ldap = import_ldap()
    with _explaining(ldap, server, search):
        connection = _connect(ldap, server)
        try:
            yield from _read_pages(ldap, connection, search, attributes, limit, server.patience)
        finally:
            # One that broke off cannot be told goodbye.
            with contextlib.suppress(ldap.LDAPError):
                connection.unbind_s()


def import_ldap() -> ModuleType:
    """Return the library.  Raises DirectoryFailed with what to install where it is missing."""
    try:
        import ldap
        import ldap.controls
    except ImportError as error:
        raise DirectoryFailed(
            _(
                "This server cannot read directories: the Python package python-ldap is missing. Install it with "
                "pip install -r requirements-ldap.txt, and start the web server and the worker anew."
            )
        ) from error
    library: ModuleType = ldap
    return library


def _connect(ldap: Any, server: DirectoryServer) -> Any:
    if server.bind_dn and not server.password:
        # The protocol would take that for somebody who does not log in, and show him what everybody may see.
        raise DirectoryFailed(_("There is no password for this user name. Enter it."))
    line = open_line(server)
    # The library closes it.  Of the address it needs nothing but the form.
    connection = ldap.initialize("ldap://directory", fileno=line.detach())
    connection.set_option(ldap.OPT_PROTOCOL_VERSION, 3)
    connection.set_option(ldap.OPT_REFERRALS, 0)
    connection.set_option(ldap.OPT_TIMEOUT, server.patience.answering)
    connection.simple_bind_s(server.bind_dn, server.password)
    return connection


def _read_pages(
    ldap: Any,
    connection: Any,
    search: DirectorySearch,
    attributes: list[str],
    limit: int | None,
    patience: Patience,
) -> Generator[tuple[str, Entry], None, None]:
    size = min(PAGE, limit or PAGE)
    scope = ldap.SCOPE_SUBTREE if search.is_deep else ldap.SCOPE_ONELEVEL
    give_up_at = time.monotonic() + patience.reading
    count, cookie = 0, b""
    while True:
        # Not critical: a server that knows no pages sends everything at once.
        page = ldap.controls.SimplePagedResultsControl(False, size=size, cookie=cookie)
        message = connection.search_ext(search.base, scope, search.filter, attributes, serverctrls=[page])
        kind = None
        while kind != ldap.RES_SEARCH_RESULT:
            # One by one, so that no more of them are kept than one.
            kind, entries, _id, controls = connection.result3(message, all=0, timeout=patience.answering)
            if time.monotonic() > give_up_at:
                raise DirectoryFailed(_("Reading the directory took longer than %d seconds.") % patience.reading)
            # Whatever else comes are references to other servers.
            if kind == ldap.RES_SEARCH_ENTRY:
                for dn, values in entries:
                    yield dn, values
                    count += 1
                    if count == limit:
                        return
        cookies = (each.cookie for each in controls if each.controlType == page.controlType)
        cookie = next(cookies, b"")
        if not cookie:
            return


# --- what went wrong, in words ---


@contextlib.contextmanager
def _explaining(ldap: Any, server: DirectoryServer, search: DirectorySearch) -> Iterator[None]:
    """Turn the library's errors into DirectoryFailed."""
    try:
        yield
    except ldap.LDAPError as error:
        facts = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        text = _explain(ldap, error, facts, server, search)
        # Some servers say more exactly what they mind; none is trusted not to repeat what it was sent.
        said = str(facts.get("info", "")).strip("\0 ")
        if said and not isinstance(error, ldap.SERVER_DOWN | ldap.TIMEOUT):
            said = said.replace(server.password, "…") if server.password else said
            text = _("%(text)s The directory says: %(said)s") % {"text": text, "said": said[:300]}
        # Without the library's own, which may name more.
        raise DirectoryFailed(text) from None


def _explain(ldap: Any, error: Any, facts: dict[str, Any], server: DirectoryServer, search: DirectorySearch) -> str:
    match error:
        case ldap.INVALID_CREDENTIALS() | ldap.INAPPROPRIATE_AUTH() | ldap.UNWILLING_TO_PERFORM():
            return _("The directory refuses the user name or the password.")
        case ldap.STRONG_AUTH_REQUIRED() | ldap.CONFIDENTIALITY_REQUIRED():
            return _("The directory wants an encrypted connection: use ldaps:// or StartTLS.")
        case ldap.NO_SUCH_OBJECT():
            return _("The directory has no entry “%s” to search below, or does not show it.") % search.base
        case ldap.INVALID_DN_SYNTAX():
            return _("The user name or the base of the search is no distinguished name, for example dc=example,dc=com.")
        case ldap.FILTER_ERROR():
            return _("The directory does not understand the filter “%s”.") % search.filter
        case ldap.SIZELIMIT_EXCEEDED() | ldap.TIMELIMIT_EXCEEDED() | ldap.ADMINLIMIT_EXCEEDED():
            return _("The directory ended the search early: it limits this user. Raise that, or narrow the filter.")
        case ldap.TIMEOUT():
            return _("The directory at %s does not answer in time.") % server.uri
        case ldap.SERVER_DOWN():
            return _("The connection to the directory at %s broke off.") % server.uri
    return _("The directory cannot be read: %s.") % str(facts.get("desc", type(error).__name__))
