"""What a popup template may name: the one context, made of a look-up's answer, and samples of it for previews.

Pure: no Django, no database.  The texts are English here; popup_texts.py has them in the language of a client.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from templates_store.sandbox import gettext_noop

# Every name, with what it means.  `contacts[]` is one of a list, as in `{% for contact in contacts %}`.
CONTEXT_NAMES: Mapping[str, str] = {
    "language": gettext_noop("Language of the client, for the attribute lang."),
    "direction": gettext_noop("ltr, or rtl for languages that are written from right to left, for the attribute dir."),
    "number": gettext_noop("The number of the caller; empty where it is withheld."),
    "number.raw": gettext_noop("As the telephone system presented it."),
    "number.canonical": gettext_noop("Digits with country code, without +."),
    "number.e164": gettext_noop("With + and country code."),
    "number.display": gettext_noop("As people read it."),
    "number.tapi": gettext_noop("In the notation of TAPI."),
    "number.kind": gettext_noop("public, internal, service, withheld or unreadable."),
    "number.place": gettext_noop("Town or area that the number belongs to."),
    "number.country": gettext_noop("Country, as ISO 3166 code."),
    "contacts": gettext_noop("Who has the number: a list, perhaps empty, of at most 50."),
    "contacts[].id": gettext_noop("Id of the contact."),
    "contacts[].kind": gettext_noop("person or company."),
    "contacts[].name": gettext_noop("One contact: its name for CM/Phone contact details; several: for the list."),
    "contacts[].customer_group": gettext_noop("The customer group of the contact."),
    "contacts[].customer_group.id": gettext_noop("Id of the customer group."),
    "contacts[].customer_group.name": gettext_noop("Its name in the language of the client."),
    "contacts[].customer_group.internal_name": gettext_noop("Its internal name."),
    "contacts[].company": gettext_noop("The company that a person belongs to; empty without one."),
    "contacts[].company.id": gettext_noop("Id of that company."),
    "contacts[].company.name": gettext_noop("Name of that company."),
    "contacts[].field": gettext_noop("Internal name of the field with the number."),
    "contacts[].extension": gettext_noop("What follows the company's line, where only that was found."),
    "contacts[].url": gettext_noop("Address of the contact's page."),
    "contacts[].can_create_case": gettext_noop("Whether the user may create a case for the contact."),
    "contacts[].create_case_url": gettext_noop("Address to create a case for the contact; empty where he may not."),
    "company": gettext_noop("The one company of all the contacts; empty without one, or with several."),
    "company.id": gettext_noop("Id of that company."),
    "company.name": gettext_noop("Name of that company."),
    "company.extension": gettext_noop("What follows its line in the number, where nobody has the whole number."),
    "actions": gettext_noop("What else can be done."),
    "actions.create_contact": gettext_noop("Address to create a contact with the number; empty where he may not."),
    "actions.call_back": gettext_noop("Link that dials the number; empty where it cannot be dialled."),
    "user": gettext_noop("Who is being called."),
    "user.username": gettext_noop("His user name."),
    "user.display_name": gettext_noop("His name."),
    "call": gettext_noop("The call."),
    "call.id": gettext_noop("Id of the call; empty where it was not reported."),
    "call.state": gettext_noop("ringing or missed."),
    "call.match": gettext_noop("How the contacts were found: exact, company, tail, none or withheld."),
    "call.is_uncertain": gettext_noop("Whether only the end of the number was found."),
    "call.more": gettext_noop("Whether there are more contacts than these 50."),
    "call.time": gettext_noop("When it came in; empty where it was not reported."),
    "call.line": gettext_noop("The line that it came in on; empty where it was not reported."),
    "texts": gettext_noop("The texts of the shipped popups in the language of the client."),
}

TEXTS: Mapping[str, str] = {
    "incoming_call": gettext_noop("Incoming call"),
    "missed_call": gettext_noop("Missed call"),
    "looking": gettext_noop("Looking for the caller …"),
    "unknown_caller": gettext_noop("Unknown caller"),
    "nobody_has_number": gettext_noop("No contact has this number."),
    "withheld": gettext_noop("Number withheld"),
    "withheld_hint": gettext_noop("The caller does not show a number."),
    "person": gettext_noop("Person"),
    "company": gettext_noop("Company"),
    "extension": gettext_noop("Extension"),
    "internal": gettext_noop("Internal call"),
    "service": gettext_noop("Service number"),
    "company_match": gettext_noop("Nobody has the whole number; it belongs to this company."),
    "uncertain": gettext_noop("Uncertain"),
    "uncertain_hint": gettext_noop("Only the end of the number matches. Ask who is calling."),
    "choose": gettext_noop("Who is calling?"),
    "more": gettext_noop("There are more than these 50 contacts. Search for the caller by name."),
    "actions": gettext_noop("Actions"),
    "open_contact": gettext_noop("Open contact"),
    "create_case": gettext_noop("New case"),
    "create_contact": gettext_noop("New contact"),
    "call_back": gettext_noop("Call back"),
}

MAX_CONTACTS = 50
_FROM_RIGHT_TO_LEFT = frozenset(["ar", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"])


def choose_popup(lookup: Mapping[str, Any]) -> str:
    """Return the name of the template that fits the answer to a look-up."""
    if lookup["match"] == "withheld":
        return "withheld.html"
    match len(lookup["contacts"]):
        case 0:
            return "nomatch.html"
        case 1:
            return "match.html"
    return "choice.html"


def build_context(
    lookup: Mapping[str, Any],
    *,
    language: str,
    texts: Mapping[str, str],
    user: Mapping[str, str] | None = None,
    call: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """Return what the templates may name, out of the answer to a look-up.

    `user` has username and display_name; `call` id, state, time and line, as far as they are known.
    """
    contacts = [_describe_contact(contact) for contact in lookup["contacts"][:MAX_CONTACTS]]
    return {
        "language": language,
        "direction": "rtl" if language.split("-")[0] in _FROM_RIGHT_TO_LEFT else "ltr",
        "number": {} if lookup["match"] == "withheld" else lookup["number"],
        "contacts": contacts,
        "company": _find_company(contacts),
        "actions": lookup["actions"],
        "user": user or {},
        "call": {
            "state": "ringing",
            **(call or {}),
            "match": lookup["match"],
            "is_uncertain": lookup["match"] == "tail",
            "more": lookup["more"],
        },
        "texts": texts,
    }


def _describe_contact(contact: Mapping[str, Any]) -> dict[str, Any]:
    return {**contact, "create_case_url": contact["create_case_url"] if contact["can_create_case"] else ""}


def _find_company(contacts: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    companies = {each["id"]: each for contact in contacts if (each := _company_of(contact))}
    if len(companies) != 1 or not all(map(_company_of, contacts)):
        return {}
    (company,) = companies.values()
    extensions = {contact["extension"] for contact in contacts} - {None}
    return {**company, "extension": extensions.pop() if len(extensions) == 1 else ""}


def _company_of(contact: Mapping[str, Any]) -> dict[str, str] | None:
    if contact["kind"] == "company":
        return {"id": contact["id"], "name": contact["name"]}
    return dict(contact["company"]) if contact["company"] else None


_NUMBER: Mapping[str, str | None] = {
    "raw": "0021133990312",
    "canonical": "4921133990312",
    "e164": "+4921133990312",
    "display": "+49 211 33990312",
    "tapi": "+49 (211) 33990312",
    "kind": "public",
    "place": "Düsseldorf",
    "country": "DE",
}
_ACTIONS = {
    "create_contact": "https://crm.example.com/contacts/new/?number=%2B4921133990312",
    "call_back": "phone:0021133990312",
}
_ALFREDS = {"id": "5", "name": "Alfreds Futterkiste"}


def _sample_contact(
    id: int,
    name: str,
    *,
    kind: str = "person",
    company: Mapping[str, str] | None = _ALFREDS,
    extension: str | None = None,
    group: str = "Kunden",
    can_create_case: bool = True,
) -> dict[str, object]:
    return {
        "id": str(id),
        "kind": kind,
        "name": name,
        "customer_group": {"id": "2", "name": group, "internal_name": "customers"},
        "company": company if kind == "person" else None,
        "field": "phone",
        "extension": extension,
        "url": f"https://crm.example.com/contacts/{id}/",
        "can_create_case": can_create_case,
        "create_case_url": f"https://crm.example.com/cases/new/?contact={id}" if can_create_case else None,
    }


def _write_number(*, raw: str, kind: str) -> dict[str, object]:
    return {**dict.fromkeys(_NUMBER), "raw": raw, "display": raw, "tapi": raw, "kind": kind}


def _sample_answer(
    match: str, *contacts: Mapping[str, object], more: bool = False, number: Mapping[str, object] = _NUMBER
) -> dict[str, Any]:
    return {
        "number": {**_NUMBER, **number},
        "match": match,
        "more": more,
        "contacts": list(contacts),
        "actions": _ACTIONS,
    }


_MARIA = _sample_contact(17, "Maria Anders (Alfreds Futterkiste)")
_LONG = _sample_contact(
    21,
    "Prof. Dr. h. c. Maximiliane-Alexandra Freifrau von Hohenstein-Wittelsbach-Donaudampfschifffahrtsgesellschaft",
    company={"id": "9", "name": "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesellschaft mbH & Co. KG"},
    group="Kundinnen und Kunden mit Wartungsvertrag in der Region Nordrhein-Westfalen/Niedersachsen",
)
_MISSED = {"state": "missed", "time": "14:03", "line": "12"}
_WITHHELD: dict[str, Any] = {
    **_sample_answer("withheld", number=_write_number(raw="", kind="withheld")),
    "actions": {"create_contact": "https://crm.example.com/contacts/new/", "call_back": None},
}
_NOTHING: dict[str, Any] = {"create_contact": None, "call_back": None}

# By the name of the sample: the template it is for, the answer to the look-up, and what is known of the call.
SAMPLES: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, str]]] = {
    "incoming": ("incoming.html", _sample_answer("none"), {}),
    "match": ("match.html", _sample_answer("exact", _MARIA), {}),
    "match, long names": ("match.html", _sample_answer("exact", _LONG), {}),
    "match, from right to left": (
        "match.html",
        _sample_answer(
            "exact",
            _sample_contact(23, "משה כהן (תל אביב)", company={"id": "11", "name": "חברת הדוגמה בע״מ"}),
            number={"display": "+972 3 555 0123", "place": "תל אביב", "country": "IL"},
        ),
        {},
    ),
    "match, company": (
        "match.html",
        _sample_answer(
            "company",
            _sample_contact(5, "Alfreds Futterkiste", kind="company", extension="12"),
        ),
        {},
    ),
    "match, uncertain": (
        "match.html",
        _sample_answer("tail", _MARIA, number=_write_number(raw="33990312", kind="public")),
        {},
    ),
    "match, parts missing": (
        "match.html",
        {
            **_sample_answer(
                "exact",
                _sample_contact(31, "?", company=None, can_create_case=False),
                number=_write_number(raw="12", kind="internal"),
            ),
            "actions": _NOTHING,
        },
        {},
    ),
    "choice": (
        "choice.html",
        _sample_answer(
            "exact",
            _MARIA,
            _sample_contact(18, "Thomas Hardy", company={"id": "6", "name": "Around the Horn"}),
            _sample_contact(5, "Alfreds Futterkiste", kind="company", can_create_case=False),
        ),
        {},
    ),
    "choice, 50 contacts": (
        "choice.html",
        _sample_answer(
            "tail", *[_sample_contact(100 + n, f"Person {n + 1}") for n in range(48)], _LONG, _MARIA, more=True
        ),
        {},
    ),
    "nomatch": ("nomatch.html", _sample_answer("none"), {}),
    "nomatch, parts missing": (
        "nomatch.html",
        {
            **_sample_answer("none", number=_write_number(raw="x", kind="unreadable")),
            "actions": _NOTHING,
        },
        {},
    ),
    "withheld": ("withheld.html", _WITHHELD, {}),
    "missed": ("missed.html", _sample_answer("exact", _MARIA), _MISSED),
    "missed, several": (
        "missed.html",
        _sample_answer("exact", _MARIA, _sample_contact(18, "Thomas Hardy", company=None)),
        _MISSED,
    ),
    "missed, unknown": ("missed.html", _sample_answer("none"), _MISSED),
    "missed, withheld": ("missed.html", _WITHHELD, {"state": "missed"}),
}
SAMPLE_USER = {"username": "agent1", "display_name": "Robin Beispiel"}


def build_sample(name: str, *, language: str, texts: Mapping[str, str]) -> tuple[str, dict[str, object]]:
    """Return the template that a sample is for, and its context."""
    template, lookup, call = SAMPLES[name]
    return template, build_context(lookup, language=language, texts=texts, user=SAMPLE_USER, call=call)
