"""The page that exports contacts: for everybody who may view some, and with what he may view.

What the list of contacts shows, by its filters and its search, is what the page offers.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils.formats import number_format
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.admin.rights import list_viewable, require_user
from cmphone.contacts.configuration import GroupRules, get_current_configuration
from cmphone.contacts.exporting import Export, export_csv, export_vcards
from cmphone.contacts.models import Contact
from cmphone.contacts.selectors import list_contacts
from cmphone.contacts.vcards.writing import Version
from cmphone.csv_cells import choose_delimiter

if TYPE_CHECKING:
    from cmphone.contacts.admin.contacts import ContactAdmin

# The parameter that has those of the list.
LIST = "_changelist_filters"
# Of its parameters, those that say what is on a page and not what is in the list.
PAGE = {"p", "o", "all"}
ALL = "all"
CSV = "csv"
VERSIONS: Mapping[str, Version] = {"vcard-4": "4.0", "vcard-3": "3.0"}
DELIMITERS = {"semicolon": ";", "comma": ",", "tab": "\t"}


class ExportForm(forms.Form):
    """What is exported, and as what.  The groups are those that one may view and that have some of the contacts."""

    customer_group = forms.ChoiceField(label=_("Customer group"), widget=forms.RadioSelect)
    format = forms.ChoiceField(
        label=_("Format"),
        widget=forms.RadioSelect,
        choices=[
            (CSV, _("CSV, for spreadsheets and for another CM/Phone")),
            ("vcard-4", _("vCard 4.0, for address books")),
            ("vcard-3", _("vCard 3.0, for older address books and telephones")),
        ],
    )
    delimiter = forms.ChoiceField(
        label=_("Delimiter (CSV)"),
        choices=[("semicolon", _("semicolon")), ("comma", _("comma")), ("tab", _("tab"))],
    )

    def __init__(self, *args: Any, groups: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["customer_group"].choices = groups  # type: ignore[attr-defined]  # a field of choices

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("customer_group") == ALL and cleaned.get("format") == CSV:
            self.add_error(
                "customer_group", gettext("Choose one: the columns of a CSV file are the fields of one group.")
            )
        return cleaned


@dataclass(frozen=True)
class _Selection:
    """The contacts that the list shows, how many there are of each group that one may view, and whether that is all."""

    contacts: QuerySet[Contact]
    counts: Mapping[int, int]
    groups: Mapping[int, GroupRules]
    is_filtered: bool


def show_export(model_admin: "ContactAdmin", request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Show the page, or send the file where the address says what is wanted."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    if request.method not in {"GET", "HEAD"}:
        raise Http404
    selection = _select(model_admin, request)
    form = _make_form(selection, request.GET)
    if form.is_bound and form.is_valid():
        export = _export(selection, form.cleaned_data)
        return StreamingHttpResponse(export.text, headers=export.headers)
    total = sum(selection.counts.values())
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Export contacts"),
        "opts": model_admin.opts,
        "form": form,
        "list": request.GET.get(LIST, ""),
        "is_filtered": selection.is_filtered,
        "total": total,
        "count": _count(total),
    }
    return TemplateResponse(request, "admin/contacts/contact/export.html", context)


def _select(model_admin: "ContactAdmin", request: HttpRequest) -> _Selection:
    configuration = get_current_configuration()
    groups = {id: configuration.groups[id] for id in list_viewable(request) if id in configuration.groups}
    of_list = copy.copy(request)
    of_list.GET = _read_list(request)  # type: ignore[assignment]
    try:
        changes = model_admin.get_changelist_instance(of_list)
    except IncorrectLookupParameters as error:
        raise Http404 from error
    contacts = list_contacts(require_user(request)).filter(customer_group_id__in=groups)
    is_filtered = bool(changes.has_active_filters or changes.query)
    if is_filtered:
        contacts = contacts.filter(pk__in=changes.queryset.order_by().values("pk"))
    counted = contacts.order_by().values_list("customer_group_id").annotate(count=Count("pk"))
    return _Selection(contacts, dict(counted), groups, is_filtered)


def _read_list(request: HttpRequest) -> QueryDict:
    query = QueryDict(request.GET.get(LIST, ""), mutable=True)
    for name in PAGE & query.keys():
        del query[name]
    return query


def _make_form(selection: _Selection, data: QueryDict) -> ExportForm:
    language = get_language() or "en"
    labels = sorted((selection.groups[id].label(language), id) for id in selection.counts)
    choices = [(str(id), f"{label} ({_count(selection.counts[id])})") for label, id in labels]
    if len(choices) > 1:
        choices.append((ALL, gettext("all of them (vCard only)")))
    separators = {separator: name for name, separator in DELIMITERS.items()}
    initial = {
        "customer_group": choices[0][0] if choices else "",
        "format": CSV,
        "delimiter": separators[choose_delimiter(language)],
    }
    return ExportForm(data if "format" in data else None, groups=choices, initial=initial)


def _count(contacts: int) -> str:
    text = ngettext("%s contact", "%s contacts", contacts)
    return text % number_format(contacts, force_grouping=True)


def _export(selection: _Selection, wanted: Mapping[str, str]) -> Export:
    chosen, groups = wanted["customer_group"], selection.groups
    if chosen != ALL:
        groups = {int(chosen): groups[int(chosen)]}
    if wanted["format"] == CSV:
        (rules,) = groups.values()
        delimiter = DELIMITERS[wanted["delimiter"]]
        return export_csv(selection.contacts, rules=rules, viewable=selection.groups, delimiter=delimiter)
    version = VERSIONS[wanted["format"]]
    return export_vcards(selection.contacts, groups=groups, viewable=selection.groups, version=version)
