"""Admin pages of cases, for administrators and agents alike: roles decide, never Django's permissions.

A case that somebody may not read gives exactly what one gives that does not exist.  Nobody changes a case; a superuser
may delete one.
"""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from cmphone.calls.cases import (
    MAX_DESCRIPTION,
    create_case,
    find_case_errors,
    find_contact,
    find_queue,
    list_cases,
    list_known_queues,
    list_queues,
)
from cmphone.calls.models import Case
from cmphone.contacts.admin.rights import list_viewable, read_rights, require_user
from cmphone.contacts.models import Contact, User
from cmphone.contacts.selectors import list_contacts


class CaseForm(forms.ModelForm):
    """A new case.  `build_case_form` adds contact and queue."""

    description = forms.CharField(
        label=capfirst(_("description")),
        required=False,
        max_length=MAX_DESCRIPTION,
        widget=forms.Textarea(attrs={"rows": 8, "cols": 80}),
    )

    class Meta:
        model = Case
        fields = ["contact", "queue", "subject", "description"]
        widgets = {"subject": forms.TextInput(attrs={"size": 80})}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        said = {name: cleaned.get(name) for name in ("contact", "queue")}
        texts = {name: cleaned.get(name) or "" for name in ("subject", "description")}
        for name, errors in find_case_errors(**said, **texts).items():  # type: ignore[arg-type]
            if name not in self.errors:
                self.add_error(name, errors)
        return cleaned


def build_case_form(*, user: User, groups: list[int], contact: Contact | None) -> type[CaseForm]:
    """Return the form of a new case, for who may create some in these customer groups.

    For a contact it offers only the queues that take its cases.
    """
    contacts = forms.ModelChoiceField(
        label=capfirst(_("contact")),
        queryset=list_contacts(user).filter(customer_group__in=groups),
        widget=AutocompleteSelect(Case._meta.get_field("contact"), admin.site),
    )
    offered = list_queues(user, contact.customer_group_id if contact else None)
    first_two = list(offered[:2])
    queues = forms.ModelChoiceField(
        label=capfirst(_("queue")), queryset=offered, initial=first_two[0] if len(first_two) == 1 else None
    )
    return type("CaseForm", (CaseForm,), {"contact": contacts, "queue": queues})


class QueueFilter(admin.SimpleListFilter):
    """Offers the queues that one knows of."""

    title = _("queue")
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(queue.pk), str(queue)) for queue in list_known_queues(require_user(request))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Case]) -> QuerySet[Case]:
        if self.value() is None:
            return queryset
        queue = find_queue(list_known_queues(require_user(request)), self.value() or "")
        return queryset.filter(queue=queue) if queue else queryset.none()


class ContactFilter(admin.SimpleListFilter):
    """Shows the cases of one contact.  It offers nothing: the page of the contact links to it."""

    title = _("contact")
    parameter_name = "contact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        text = str(request.GET.get(self.parameter_name, ""))
        self._contact = find_contact(require_user(request), text)
        return [(text, self._contact.name if self._contact else "–")] if text else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Case]) -> QuerySet[Case]:
        if self.value() is None:
            return queryset
        return queryset.filter(contact=self._contact) if self._contact else queryset.none()


@admin.register(Case)
class CaseAdmin(admin.ModelAdmin):
    list_display = ["number", "subject", "contact_name", "queue_name", "author", "created"]
    list_display_links = ["number", "subject"]
    list_filter = [QueueFilter, ContactFilter]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["=id", "subject", "contact__name"]
    search_help_text = _("Number, subject or name of the contact")
    ordering = ["-id"]
    # Deleting many at once would be a way to lose them.
    actions = None

    class Media:
        css = {"all": ["cmphone/admin.css"]}

    # --- rights ---

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Case | None = None) -> bool:
        # Which ones is for get_queryset to say: it has no others.
        return bool(list_viewable(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(_list_groups(request))

    def has_change_permission(self, request: HttpRequest, obj: Case | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Case | None = None) -> bool:
        return request.user.is_active and request.user.is_superuser

    def get_queryset(self, request: HttpRequest) -> QuerySet[Case]:
        return list_cases(require_user(request)).select_related("contact__customer_group", "queue", "created_by")

    # --- the list ---

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Case], search_term: str
    ) -> tuple[QuerySet[Case], bool]:
        # People write the number as it is shown.
        return super().get_search_results(request, queryset, search_term.replace("\x00", "").removeprefix("#"))

    @admin.display(description=_("number"), ordering="id")
    def number(self, case: Case) -> str:
        return str(case)

    # Texts and not the records: a link would lead agents to pages that are not for them.
    @admin.display(description=_("contact"), ordering="contact__name")
    def contact_name(self, case: Case) -> str:
        return case.contact.name

    @admin.display(description=_("customer group"))
    def group(self, case: Case) -> str:
        return str(case.contact.customer_group)

    @admin.display(description=_("queue"), ordering="queue__name")
    def queue_name(self, case: Case) -> str:
        return str(case.queue)

    @admin.display(description=_("created by"), ordering="created_by_name")
    def author(self, case: Case) -> str:
        return case.author

    @admin.display(description=_("created at"), ordering="created_at")
    def created(self, case: Case) -> str:
        # Short enough that the table fits on a page.
        return date_format(timezone.localtime(case.created_at), "SHORT_DATETIME_FORMAT")

    @admin.display(description=_("contact"))
    def contact_link(self, case: Case) -> SafeString:
        url = reverse("admin:contacts_contact_change", args=[case.contact_id])
        return format_html('<a href="{}">{}</a>', url, case.contact.name)

    # --- the form ---

    def get_fieldsets(self, request: HttpRequest, obj: Case | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["contact", "queue", "subject", "description"]})]
        return [
            (None, {"fields": ["subject", "contact_link", "group", "queue_name", "description"]}),
            (_("Record"), {"fields": ["author", "created_at"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Case | None = None) -> list[str]:
        return [] if obj is None else ["contact_link", "group", "queue_name", "author", "created_at"]

    def get_form(self, request: HttpRequest, obj: Case | None = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None:
            return super().get_form(request, obj, change, **kwargs)
        groups = _list_groups(request)
        contact = find_contact(require_user(request), request.GET.get("contact", ""))
        known = contact if contact and contact.customer_group_id in groups else None
        return build_case_form(user=require_user(request), groups=groups, contact=known)

    def save_model(self, request: HttpRequest, obj: Case, form: Any, change: bool) -> None:
        said = {"contact": str(obj.contact_id), "queue": str(obj.queue_id)}
        created = create_case(require_user(request), **said, subject=obj.subject, description=obj.description)
        # The pages that follow show the object of the form.
        obj.pk = created.case.pk


def _list_groups(request: HttpRequest) -> list[int]:
    """Return the customer groups of whose contacts he may create cases."""
    return [id for id, rights in read_rights(request).items() if rights.create_case]
