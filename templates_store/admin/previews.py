"""Shows what popups look like: of every sample, or of a real caller, by the files in force or by one being edited.

A preview is a page of its own in a frame that may do nothing: its Content-Security-Policy counts for the popups in it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from templates_store.admin.publishing import FileError, describe_popup_error
from templates_store.popup_context import SAMPLES, build_context, build_sample, choose_popup
from templates_store.popup_sets import PopupSet
from templates_store.popup_texts import get_texts
from templates_store.popups import CSS, PopupError, check_popup_files, render_popup

# Nothing is loaded, run, sent or framed elsewhere, whatever a popup says; it brings its own styles.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
}

Scheme = Literal["light", "dark"]
# Width in pixels and colours; where there are many popups, two of them do.
ALL_LOOKS: Sequence[tuple[int, Scheme]] = [(320, "light"), (320, "dark"), (480, "light"), (480, "dark")]
TWO_LOOKS: Sequence[tuple[int, Scheme]] = [(320, "light"), (480, "dark")]
SCHEMES: Mapping[Scheme, str | Promise] = {"light": _("light"), "dark": _("dark")}

SAMPLE_LABELS: Mapping[str, str | Promise] = {
    "incoming": _("the telephone rings"),
    "match": _("one contact"),
    "match, long names": _("one contact with long names"),
    "match, from right to left": _("one contact, written from right to left"),
    "match, company": _("a company, with an extension"),
    "match, uncertain": _("one contact, uncertain"),
    "match, parts missing": _("one contact, without what may be missing"),
    "choice": _("several contacts"),
    "choice, 50 contacts": _("50 contacts, and more"),
    "nomatch": _("nobody found"),
    "nomatch, parts missing": _("nobody found, an unreadable number"),
    "withheld": _("number withheld"),
    "missed": _("missed call of one contact"),
    "missed, several": _("missed call of several contacts"),
    "missed, unknown": _("missed call of nobody known"),
    "missed, withheld": _("missed call, number withheld"),
}

# From a language to the answer of a look-up in it, and to who is called.
Caller = Callable[[str], tuple[Mapping[str, Any], Mapping[str, str]]]


@dataclass(frozen=True)
class Look:
    """A popup as it looks at a width and in colours."""

    page: str
    width: int
    scheme: Scheme
    scheme_label: str | Promise


@dataclass(frozen=True)
class Shown:
    """A state, the file that shows it, and how; or what is wrong."""

    title: str
    name: str
    looks: Sequence[Look] = ()
    error: FileError | None = None


def list_samples(name: str = "") -> list[tuple[str, str]]:
    """Return the samples that a file is for, all of them for styles or without a file, with their labels."""
    return [
        (sample, f"{template}: {gettext_of(sample)}")
        for sample, (template, *_rest) in SAMPLES.items()
        if name in {"", CSS, template}
    ]


def gettext_of(sample: str) -> str:
    """Return the label of a sample in the active language."""
    return str(SAMPLE_LABELS.get(sample, sample))


def take_files(popups: PopupSet, language: str) -> dict[str, str]:
    """Return the files of a language by name."""
    return {name: content.decode() for (of, name), content in popups.files.items() if of == language}


def preview(
    files: Mapping[str, str], *, language: str, samples: Sequence[str], caller: Caller | None = None
) -> dict[str, Any]:
    """Return what the page shows: the popups of these samples, or of a caller, and what is wrong with the files."""
    errors = check_popup_files(files)
    states = list(_list_states(language, samples) if caller is None else _list_states_of(caller, language))
    looks = ALL_LOOKS if len(states) == 1 else TWO_LOOKS
    shown = [_show(files, *state, language=language, looks=looks) for state in states]
    # What is wrong with a file is said once, and not at every state.
    known = [describe_popup_error(error, language=language, sources=files) for error in errors]
    return {"errors": known, "shown": [state for state in shown if state.error not in known]}


State = tuple[str, str, Mapping[str, object]]


def _list_states(language: str, samples: Sequence[str]) -> Iterator[State]:
    for sample in samples:
        yield gettext_of(sample), *build_sample(sample, language=language, texts=get_texts(language))


def _list_states_of(caller: Caller, language: str) -> Iterator[State]:
    lookup, user = caller(language)
    ringing, missed = (
        build_context(lookup, language=language, texts=get_texts(language), user=user, call={"state": state})
        for state in ("ringing", "missed")
    )
    yield gettext("the telephone rings"), "incoming.html", ringing
    yield gettext("after the look-up"), choose_popup(lookup), ringing
    yield gettext("as a missed call"), "missed.html", missed


def _show(
    files: Mapping[str, str],
    title: str,
    name: str,
    context: Mapping[str, object],
    *,
    language: str,
    looks: Sequence[tuple[int, Scheme]],
) -> Shown:
    try:
        page = render_popup(files, name, context)
    except PopupError as error:
        return Shown(title, name, error=describe_popup_error(error, language=language, sources=files))
    return Shown(title, name, [Look(dress(page, scheme), width, scheme, SCHEMES[scheme]) for width, scheme in looks])


def dress(page: str, scheme: Scheme) -> str:
    """Return the page as a browser with these colours shows it, whatever this browser has.

    Not every one takes the colours of a frame from the page around it.
    """

    def decide(match: re.Match[str]) -> str:
        return "(min-width: 0)" if match[1] == scheme else "(max-width: 0)"

    page = re.sub(r"\(\s*prefers-color-scheme\s*:\s*(dark|light)\s*\)", decide, page)
    return re.sub(r"(?<![\w-])color-scheme\s*:\s*light\s+dark", f"color-scheme: {scheme}", page)
