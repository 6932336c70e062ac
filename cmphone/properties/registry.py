"""Every system property there is: its name, default, meaning and what values it takes.  Pure.

The first three are the vendor's; a system without them behaves as 49 / 0 / 0.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from cmphone.properties.addresses import has_only, is_web_address, list_placeholders

MODULE = "cmas-core-server"
TRUE, FALSE = "true", "false"


def digits(value: str) -> str | None:
    return None if re.fullmatch(r"[0-9]{0,6}", value) else gettext_noop("Enter digits only, at most six, or nothing.")


def country_code(value: str) -> str | None:
    return (
        None
        if re.fullmatch(r"[1-9][0-9]{0,2}", value)
        else gettext_noop("Enter a country code without + or zeros, for example 49.")
    )


def digits_list(value: str) -> str | None:
    if re.fullmatch(r"([0-9]{1,6}( ?, ?[0-9]{1,6}){0,9})?", value):
        return None
    return gettext_noop("Enter digits, several codes separated by commas, or nothing.")


def seconds(value: str) -> str | None:
    if re.fullmatch(r"[0-9]{1,6}", value) and 30 <= int(value) <= 604_800:
        return None
    return gettext_noop("Enter a whole number of seconds from 30 to 604800.")


def days(value: str) -> str | None:
    if re.fullmatch(r"[0-9]{1,4}", value) and 1 <= int(value) <= 3650:
        return None
    return gettext_noop("Enter a whole number of days from 1 to 3650.")


def days_or_ever(value: str) -> str | None:
    if value == "0" or (re.fullmatch(r"[0-9]{1,5}", value) and 7 <= int(value) <= 36_500):
        return None
    return gettext_noop("Enter a whole number of days from 7 to 36500, or 0 to keep them.")


def days_or_zero(value: str) -> str | None:
    if value == "0" or days(value) is None:
        return None
    return gettext_noop("Enter a whole number of days from 1 to 3650, or 0.")


def seconds_or_nothing(value: str) -> str | None:
    return seconds(value) if value else None


def uri_scheme(value: str) -> str | None:
    if re.fullmatch(r"[a-z][a-z0-9+.-]{0,30}", value) and value not in {"javascript", "data", "vbscript", "file"}:
        return None
    return gettext_noop("Enter the name of a URI scheme without colon, for example phone or tel.")


def truth(value: str) -> str | None:
    return None if value in {TRUE, FALSE} else gettext_noop("Enter true or false.")


# What the addresses of pages may name.
CONTACT_PAGE_NAMES = ("id", "external_id", "kind", "customer_group")
NEW_CONTACT_PAGE_NAMES = ("number",)
NEW_CASE_PAGE_NAMES = (*CONTACT_PAGE_NAMES, *NEW_CONTACT_PAGE_NAMES)
_NO_ADDRESS = gettext_noop(
    "Enter an address that begins with https:// or http:// and the name of a server: at most 200 characters, no "
    "spaces, and everything but plain ASCII percent-encoded."
)


def contact_page(value: str) -> str | None:
    if value and not is_web_address(value):
        return _NO_ADDRESS
    if not has_only(value, CONTACT_PAGE_NAMES):
        return gettext_noop(
            "In braces may stand {id}, {external_id}, {kind} and {customer_group}. Write a brace itself twice."
        )
    if value and not {"id", "external_id"} & list_placeholders(value):
        return gettext_noop("Name {id} or {external_id}: else it is the same page for every contact.")
    return None


def new_contact_page(value: str) -> str | None:
    if value and not is_web_address(value):
        return _NO_ADDRESS
    if not has_only(value, NEW_CONTACT_PAGE_NAMES):
        return gettext_noop("In braces may stand {number}. Write a brace itself twice.")
    return None


def new_case_page(value: str) -> str | None:
    if value and not is_web_address(value):
        return _NO_ADDRESS
    if not has_only(value, NEW_CASE_PAGE_NAMES):
        return gettext_noop(
            "In braces may stand {id}, {external_id}, {kind}, {customer_group} and {number}. Write a brace itself "
            "twice."
        )
    return None


@dataclass(frozen=True)
class PropertyDefinition:
    """One property.  `find_error` takes a value and returns what is wrong with it, or None."""

    name: str
    default: str
    find_error: Callable[[str], str | None]
    description: str | Promise


COUNTRY_PREFIX = "local.country.prefix"
OUTSIDE_CODES = "internal.line.access.prefix"
TRUNK_PREFIX = "external.line.access.prefix"
INTERNATIONAL_PREFIX = "international.access.prefix"
DIAL_URI_SCHEME = "dial.uri.scheme"
DIAL_INTERNAL_SHORTEN = "dial.internal.shorten"
COMPANY_MATCH = "lookup.match.company"
TAIL_MATCH = "lookup.match.tail"
SESSION_TIMEOUT = "server.session.timeout"
REST_SESSION_TIMEOUT = "server.session.timeout.REST"
SESSION_TAKEOVER = "server.session.takeover"
SESSION_ARCHIVE = "server.session.archive.timeout"
CONTACT_PAGE = "page.contact.url"
NEW_CONTACT_PAGE = "page.contact.new.url"
NEW_CASE_PAGE = "page.case.new.url"
WEBHOOK_LOG = "webhook.log.days"
RINGING_LIMIT = "calls.ringing.limit"
ANSWERED_LIMIT = "calls.answered.limit"
CALL_RETENTION = "calls.retention.days"
IMPORT_REPORT_DAYS = "import.report.days"
INACTIVE_CONTACT_DAYS = "retention.contacts.inactive.days"
HISTORY_DAYS = "retention.history.days"
CASE_DAYS = "retention.cases.days"

DEFINITIONS = {
    definition.name: definition
    for definition in (
        PropertyDefinition(
            COUNTRY_PREFIX, "49", country_code, _("Country code of this site, for example 49 for Germany.")
        ),
        PropertyDefinition(
            OUTSIDE_CODES,
            "0",
            digits_list,
            _(
                "What the company's telephone system wants before a call out of the company, for example 0 or 9. "
                "Several codes are separated by commas."
            ),
        ),
        PropertyDefinition(
            TRUNK_PREFIX,
            "0",
            digits,
            _(
                "What stands before an area code within the country (trunk prefix), for example 0 in Germany. Empty "
                "where the country has none."
            ),
        ),
        PropertyDefinition(
            INTERNATIONAL_PREFIX,
            "",
            digits,
            _(
                "What stands before a country code when dialling abroad. Empty: the country's own, for example 00 in "
                "Germany and 011 in the USA."
            ),
        ),
        PropertyDefinition(
            DIAL_URI_SCHEME,
            "phone",
            uri_scheme,
            _("What stands before the number in a dial link, for example phone or tel."),
        ),
        PropertyDefinition(
            DIAL_INTERNAL_SHORTEN,
            FALSE,
            truth,
            _(
                "true: within a company line of a customer group, only the extension is dialled. For sites whose "
                "customer groups with a company line are all behind this site's own telephone system."
            ),
        ),
        PropertyDefinition(
            COMPANY_MATCH,
            TRUE,
            truth,
            _("true: a number that nobody has, but that begins with the line of a company, finds the company."),
        ),
        PropertyDefinition(
            TAIL_MATCH,
            TRUE,
            truth,
            _(
                "true: a number without country that nobody has finds, as an uncertain match, who has a number that "
                "ends with it."
            ),
        ),
        PropertyDefinition(
            SESSION_TIMEOUT, "1800", seconds, _("Seconds without a sign of life after which a session ends.")
        ),
        PropertyDefinition(
            REST_SESSION_TIMEOUT,
            "300",
            seconds_or_nothing,
            _(
                "The same for CM/Phone clients and other users of the REST API: the seat of a client that crashed is "
                "free again after this time. Empty: server.session.timeout."
            ),
        ),
        PropertyDefinition(
            SESSION_TAKEOVER,
            FALSE,
            truth,
            _(
                "true: when every seat is taken, a client gets the one of its own user's session that has been "
                "silent for longest, and for half of its time-out at least. Never that of another user."
            ),
        ),
        PropertyDefinition(
            SESSION_ARCHIVE, "31", days, _("Days after which a session that has ended is removed from the list.")
        ),
        PropertyDefinition(
            CONTACT_PAGE,
            "",
            contact_page,
            _(
                "Address of a contact's page in your CRM, for example https://crm.example.com/people/{external_id}. In "
                "braces: id, external_id, kind (person or company), customer_group (its internal name). Empty, and for "
                "a contact without external id where that is named: the page here."
            ),
        ),
        PropertyDefinition(
            NEW_CONTACT_PAGE,
            "",
            new_contact_page,
            _(
                "Address of the page for a new contact in your CRM, for example "
                "https://crm.example.com/people/new?phone={number}. In braces: number (that of the caller, with + and "
                "country code, or nothing). Empty: the page here."
            ),
        ),
        PropertyDefinition(
            NEW_CASE_PAGE,
            "",
            new_case_page,
            _(
                "Address of the page for a new case of a contact in your CRM. In braces: what the contact's page may "
                "name, and number (that of the caller, or nothing). Empty, and for a contact without external id where "
                "that is named: the page here."
            ),
        ),
        PropertyDefinition(
            WEBHOOK_LOG, "30", days, _("Days after which a delivery to a webhook is removed from the log.")
        ),
        PropertyDefinition(
            IMPORT_REPORT_DAYS, "30", days, _("Days after which an import of contacts is removed, with its report.")
        ),
        PropertyDefinition(
            INACTIVE_CONTACT_DAYS,
            "0",
            days_or_ever,
            _(
                "Days after which a contact that has been inactive all the time is erased, with its cases, calls and "
                "history; a company only when no persons belong to it. 0: never."
            ),
        ),
        PropertyDefinition(
            HISTORY_DAYS,
            "0",
            days_or_ever,
            _(
                "Days after which the history of contacts is thinned: what was changed is deleted; when a contact was "
                "made, deactivated and restored, and by whom, stays. 0: never."
            ),
        ),
        PropertyDefinition(CASE_DAYS, "0", days_or_ever, _("Days after which a case is deleted. 0: never.")),
        PropertyDefinition(
            RINGING_LIMIT,
            "300",
            seconds,
            _("Seconds after which a call that still rings, and of which no end was reported, counts as missed."),
        ),
        PropertyDefinition(
            ANSWERED_LIMIT,
            "28800",
            seconds,
            _("Seconds after which a call that was answered, and of which no end was reported, counts as ended."),
        ),
        PropertyDefinition(
            CALL_RETENTION,
            "90",
            days_or_zero,
            _("Days after which a call is removed, with all that is known of it. 0: never."),
        ),
    )
}


def full_name(name: str) -> str:
    """Return the name with its module, as the site file has it: `cmas-core-server.local.country.prefix`."""
    return f"{MODULE}.{name}"
