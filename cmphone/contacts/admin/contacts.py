"""Admin pages of contacts, for administrators and agents alike.

What somebody sees and does here is decided by his roles alone, never by Django's permissions.  A contact that he may
not view gives exactly what one gives that does not exist.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.text import Truncator, capfirst
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.admin.contact_filters import SameNumberFilter, ViewableGroupFilter
from cmphone.contacts.admin.contact_form import ContactForm, build_contact_form
from cmphone.contacts.admin.exports import show_export
from cmphone.contacts.admin.history import list_events
from cmphone.contacts.admin.readings import label_field, read_numbers, show_contact_numbers, show_number
from cmphone.contacts.admin.rights import read_rights, require_user
from cmphone.contacts.configuration import GroupRules, get_current_configuration
from cmphone.contacts.contact_form import name_input
from cmphone.contacts.editing import delete_contacts, log_contact
from cmphone.contacts.models import Contact, ContactKind, Way
from cmphone.contacts.searching import MAX_BOX_LENGTH, list_plans, match_contacts, read_box
from cmphone.contacts.selectors import NO_RIGHTS, Rights, list_contacts
from cmphone.contacts.services import BATCH, draft_contact, save_contact, save_contacts
from cmphone.contacts.writing import Author
from numbering.reading import read_typed
from templates_store.rendering import put_number


@admin.register(Contact)
class ContactAdmin(admin.ModelAdmin):
    list_filter = [("customer_group", ViewableGroupFilter), "kind", "is_active", SameNumberFilter]
    list_select_related = ["customer_group", "company"]
    list_per_page = 50
    change_list_template = "admin/contacts/contact/change_list.html"
    show_full_result_count = False
    search_fields = ["name", "external_id"]
    search_help_text = _("Name, external id or telephone number, national or international")
    readonly_fields = [
        "group",
        "kind",
        "values",
        "numbers",
        "display_names",
        "created_at",
        "updated_at",
    ]
    actions = ["activate", "deactivate"]

    # --- rights ---

    def has_module_permission(self, request: HttpRequest) -> bool:
        return any(each.view or each.create for each in read_rights(request).values())

    def has_view_permission(self, request: HttpRequest, obj: Contact | None = None) -> bool:
        return self._has_right(request, obj, lambda rights: rights.view)

    def has_change_permission(self, request: HttpRequest, obj: Contact | None = None) -> bool:
        return self._has_right(request, obj, lambda rights: rights.view and rights.edit)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._has_right(request, None, lambda rights: rights.create)

    def has_delete_permission(self, request: HttpRequest, obj: Contact | None = None) -> bool:
        return self.has_change_permission(request, obj)

    def _has_right(self, request: HttpRequest, contact: Contact | None, test: Callable[[Rights], bool]) -> bool:
        rights = read_rights(request)
        if contact is None:
            return any(test(each) for each in rights.values())
        return test(rights.get(contact.customer_group_id, NO_RIGHTS))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contact]:
        return list_contacts(require_user(request)).order_by(*(self.get_ordering(request) or ["name", "id"]))

    def get_urls(self) -> list[URLPattern]:
        export = path("export/", self.admin_site.admin_view(self.export_view), name="contacts_contact_export")
        return [export, *super().get_urls()]

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Show the page that exports contacts, or send the file."""
        return show_export(self, request)

    # --- the list ---

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        configuration = get_current_configuration()

        @admin.display(description=_("numbers"))
        def numbers(contact: Contact) -> SafeString:
            read = read_numbers(contact, configuration.groups[contact.customer_group_id])
            return format_html_join(
                "", "<div class='nowrap'>{}</div>", [(number.display or number.typed,) for number in read]
            )

        return ["name", "kind", "group", "company_name", numbers, "is_active"]

    # Texts and not the records: a link would lead agents to pages that are not for them.
    @admin.display(description=_("customer group"), ordering="customer_group__name")
    def group(self, contact: Contact) -> str:
        return str(contact.customer_group)

    @admin.display(description=_("company"), ordering="company__name")
    def company_name(self, contact: Contact) -> str:
        return contact.company.name if contact.company else ""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Contact], search_term: str
    ) -> tuple[QuerySet[Contact], bool]:
        search_term = search_term.replace("\x00", "")
        is_choice = request.resolver_match is not None and request.resolver_match.url_name == "autocomplete"
        if is_choice and request.GET.get("field_name") == "company":
            # The choice of a person's company.
            group_id = request.GET.get("customer_group", "")
            queryset = queryset.filter(kind=ContactKind.COMPANY)
            queryset = queryset.filter(customer_group_id=int(group_id) if re.fullmatch("[0-9]{1,18}", group_id) else 0)
        found, may_have_doubles = super().get_search_results(request, queryset, search_term)
        by_number = self._match_number(search_term, request)
        return (found | queryset.filter(by_number) if by_number else found), may_have_doubles

    def _match_number(self, text: str, request: HttpRequest) -> Q | None:
        """Return what contacts match by a number in the text, None where there is none."""
        configuration = get_current_configuration()
        viewable = {id for id, rights in read_rights(request).items() if rights.view}
        conditions = read_box(text, configuration.site, list_plans(configuration, viewable))
        by_number = [condition for condition in conditions if condition.number is not None]
        if not by_number or len(text) > MAX_BOX_LENGTH:
            return None
        # Also as it was typed, where the field is not indexed or the contact not active.
        return match_contacts(by_number, viewable) | Q(fields__icontains=text.strip())

    # --- the form ---

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if object_id is None or "_saveasnew" in request.POST:
            if not self.has_add_permission(request):
                raise PermissionDenied
            if (place := self._find_place(request)) is None:
                return self._choose_place(request)
            rules, kind = place
            title = _("New person in %s") if kind == ContactKind.PERSON else _("New company in %s")
            extra_context = {**(extra_context or {}), "title": title % rules.label(get_language() or "en")}
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _find_place(self, request: HttpRequest) -> tuple[GroupRules, str] | None:
        """Return where the address says that a new contact belongs, if one may be made there."""
        group_id, kind = request.GET.get("customer_group", ""), request.GET.get("kind", "")
        places = self._list_places(request)
        return next(((rules, each) for rules, each in places if (str(rules.id), each) == (group_id, kind)), None)

    def _list_places(self, request: HttpRequest) -> list[tuple[GroupRules, str]]:
        configuration = get_current_configuration()
        return [
            (configuration.groups[group_id], kind)
            for group_id, rights in read_rights(request).items()
            if rights.create and group_id in configuration.groups
            for kind in ContactKind.values
            if configuration.groups[group_id].fields.get(kind)
        ]

    def _choose_place(self, request: HttpRequest) -> HttpResponse:
        places = self._list_places(request)
        number = request.GET.get("number", "")
        queries = [_place_query(rules, kind, number) for rules, kind in places]
        if len(queries) == 1:
            return HttpResponseRedirect(f"{request.path}?{queries[0]}")
        groups: dict[str, list[dict[str, str]]] = {}
        for (rules, kind), query in zip(places, queries, strict=True):
            choice = {"label": str(ContactKind(kind).label).capitalize(), "query": query}
            groups.setdefault(rules.label(get_language() or "en"), []).append(choice)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Add contact"),
            "opts": self.opts,
            "groups": sorted(groups.items()),
            "number": number,
        }
        return TemplateResponse(request, "admin/contacts/contact/choose.html", context)

    def _get_rules(self, request: HttpRequest, contact: Contact | None) -> tuple[GroupRules, str]:
        if contact is not None and contact.pk is not None:
            return get_current_configuration().groups[contact.customer_group_id], contact.kind
        if (place := self._find_place(request)) is None:
            raise PermissionDenied
        return place

    def get_form(
        self, request: HttpRequest, obj: Contact | None = None, change: bool = False, **kwargs: Any
    ) -> type[ContactForm]:
        rules, kind = self._get_rules(request, obj)
        return build_contact_form(rules=rules, kind=kind, user=require_user(request))

    def get_fieldsets(self, request: HttpRequest, obj: Contact | None = None) -> Any:
        rules, kind = self._get_rules(request, obj)
        is_editable = obj is None or self.has_change_permission(request, obj)
        has_company = kind == ContactKind.PERSON and rules.has_companies
        inputs = [name_input(rule) for rule in rules.fields.get(kind, ())] if is_editable else ["values"]
        keys = [("group", "kind"), *inputs, *(["company"] if has_company else []), "is_active", "external_id"]
        if obj is not None and is_editable:
            keys.append("version")
        fieldsets: list[tuple[Any, dict[str, Any]]] = [(None, {"fields": keys})]
        if obj is not None:
            fieldsets += [
                (_("Numbers"), {"fields": ["numbers"]}),
                (_("Display names"), {"fields": ["display_names"], "classes": ["collapse"]}),
                (_("Record"), {"fields": ["created_at", "updated_at"], "classes": ["collapse"]}),
            ]
        return fieldsets

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Put the number of the address into the first telephone field, in international notation."""
        rules, kind = self._get_rules(request, None)
        number = request.GET.get("number", "").strip()
        first = next((rule for rule in rules.fields.get(kind, ()) if rule.dialable), None)
        if not number or first is None:
            return {}
        readings = read_typed(number, rules.plan)
        is_public = bool(readings) and readings[0].kind == "public"
        return {name_input(first): show_number(readings[0]) if is_public else number}

    @admin.display(description=_("values"))
    def values(self, contact: Contact) -> SafeString:
        fields = get_current_configuration().groups[contact.customer_group_id].fields.get(contact.kind, ())
        rows = [(label_field(rule), contact.fields[rule.name]) for rule in fields if rule.name in contact.fields]
        return format_html_join("", "<div><strong>{}:</strong> {}</div>", rows)

    @admin.display(description=_("as they are read"))
    def numbers(self, contact: Contact) -> SafeString:
        return show_contact_numbers(contact, get_current_configuration().groups[contact.customer_group_id])

    @admin.display(description=_("names"))
    def display_names(self, contact: Contact) -> SafeString:
        standard = {"default": contact.name, "details": contact.name_details, "list": contact.name_list}
        languages = [(label, contact.names[code]) for code, label in settings.LANGUAGES if code in contact.names]
        rows = [
            (label, [put_number(name, gettext("[number]")) for name in (standard | names).values()])
            for label, names in ((_("all languages"), {}), *languages)
        ]
        return render_to_string("admin/contacts/contact/display_names.html", {"rows": rows})

    # --- writing ---

    def save_model(self, request: HttpRequest, obj: Contact, form: Any, change: bool) -> None:
        contact_form: ContactForm = form
        saved = save_contact(contact_form.draft, by=Author(require_user(request), Way.ADMIN))
        # The pages that follow show the object of the form.
        obj.pk, obj.name, obj.fields, obj.company = saved.pk, saved.name, saved.fields, saved.company
        for number in read_numbers(saved, contact_form.rules):
            if number.doubt:
                what = {"field": number.field, "number": Truncator(number.typed).chars(60), "doubt": number.doubt}
                messages.warning(request, _("%(field)s “%(number)s”: %(doubt)s It is kept as typed.") % what)

    def response_add(self, request: HttpRequest, obj: Contact, post_url_continue: str | None = None) -> HttpResponse:
        response = super().response_add(request, obj, post_url_continue)
        if "_addanother" in request.POST and (place := self._find_place(request)):
            return HttpResponseRedirect(f"{request.path}?{_place_query(*place)}")
        return response

    def delete_model(self, request: HttpRequest, obj: Contact) -> None:
        delete_contacts([obj], user=require_user(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Contact]) -> None:
        delete_contacts(queryset, user=require_user(request))

    @admin.action(permissions=["change"], description=_("Make active"))
    def activate(self, request: HttpRequest, queryset: QuerySet[Contact]) -> None:
        self._set_active(request, queryset, is_active=True)

    @admin.action(permissions=["change"], description=_("Make inactive: nobody finds them by their numbers"))
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Contact]) -> None:
        self._set_active(request, queryset, is_active=False)

    def _set_active(self, request: HttpRequest, queryset: QuerySet[Contact], *, is_active: bool) -> None:
        editable = [id for id, rights in read_rights(request).items() if rights.view and rights.edit]
        skipped = queryset.exclude(customer_group_id__in=editable).count()
        contacts = (
            queryset.filter(customer_group_id__in=editable).exclude(is_active=is_active).select_related("company")
        )
        ids = list(contacts.order_by("id").values_list("id", flat=True))
        configuration = get_current_configuration()
        for start in range(0, len(ids), BATCH):
            drafts = [
                draft_contact(contact, configuration.groups[contact.customer_group_id])
                for contact in contacts.filter(id__in=ids[start : start + BATCH])
            ]
            for draft in drafts:
                draft.is_active = is_active
            save_contacts(drafts, by=Author(require_user(request), Way.ADMIN))
        message = ngettext("%d contact was changed.", "%d contacts were changed.", len(ids)) % len(ids)
        messages.success(request, message)
        if skipped:
            message = ngettext("%d contact you may not change.", "%d contacts you may not change.", skipped) % skipped
            messages.warning(request, message)

    # --- the history ---

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show who changed what of the contact.  The log of the administration has no values."""
        contact = self.get_object(request, unquote(object_id))
        if contact is None:
            answer: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
            return answer
        if not self.has_view_permission(request, contact):
            raise PermissionDenied
        rules = get_current_configuration().groups[contact.customer_group_id]
        rows, events = list_events(contact, rules, require_user(request), request.GET.get("page"))
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("History: %s") % contact.name,
            "object": contact,
            "opts": self.opts,
            "module_name": capfirst(str(self.opts.verbose_name_plural)),
            "rows": rows,
            "events": events,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/contacts/contact/object_history.html", context)

    # --- the log of changes ---
    # It is read by others than may see the contact, and outlives it: so it has no name in it.

    def log_addition(self, request: HttpRequest, obj: Contact, message: Any) -> LogEntry:
        return log_contact(obj, user=require_user(request), action=ADDITION, message=json.dumps(message))

    def log_change(self, request: HttpRequest, obj: Contact, message: Any) -> LogEntry:
        return log_contact(obj, user=require_user(request), action=CHANGE, message=json.dumps(message))

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Contact]) -> list[LogEntry]:
        # The service has done so.
        return []


def _place_query(rules: GroupRules, kind: str, number: str = "") -> str:
    query: dict[str, str] = {"customer_group": str(rules.id), "kind": kind}
    return urlencode(query | ({"number": number} if number else {}))
