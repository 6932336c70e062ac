"""What cases add to the admin pages of contacts and queues.

It is here since their own room does not know what cases are.
"""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext

from cmphone.calls.admin.data_protection import show_data_protection
from cmphone.calls.models import Case
from cmphone.contacts.admin.configuration import QueueAdmin
from cmphone.contacts.admin.contacts import ContactAdmin
from cmphone.contacts.admin.rights import read_rights, require_user
from cmphone.contacts.models import Contact, Queue
from cmphone.contacts.selectors import NO_RIGHTS

admin.site.unregister([Contact, Queue])


@admin.register(Contact)
class ContactWithCasesAdmin(ContactAdmin):
    """Leads to the cases of a contact, to a new one, and to its data protection."""

    change_form_template = "admin/calls/contact/change_form.html"
    delete_confirmation_template = "admin/calls/contact/delete_confirmation.html"
    delete_selected_confirmation_template = "admin/calls/contact/delete_selected_confirmation.html"

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Contact | None = None,
    ) -> HttpResponse:
        if obj is not None:
            query = urlencode({"contact": obj.pk})
            context["cases_url"] = f"{reverse('admin:calls_case_changelist')}?{query}"
            if read_rights(request).get(obj.customer_group_id, NO_RIGHTS).create_case:
                context["add_case_url"] = f"{reverse('admin:calls_case_add')}?{query}"
            if require_user(request).is_superuser:
                context["data_protection_url"] = reverse("admin:contacts_contact_data_protection", args=[obj.pk])
        return super().render_change_form(request, context, add, change, form_url, obj)

    def get_urls(self) -> list[URLPattern]:
        def view(request: HttpRequest, id: int) -> HttpResponse:
            return show_data_protection(request, id, self.admin_site)

        address = path(
            "<int:id>/data-protection/",
            self.admin_site.admin_view(view),
            name="contacts_contact_data_protection",
        )
        return [address, *super().get_urls()]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Contact], search_term: str
    ) -> tuple[QuerySet[Contact], bool]:
        if _is_choice_for_case(request):
            groups = [id for id, rights in read_rights(request).items() if rights.create_case]
            queryset = queryset.filter(customer_group__in=groups)
        return super().get_search_results(request, queryset, search_term)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """List what would go too, but no case: whoever deletes a contact need not be one who reads its cases."""
        contacts = list(objs)
        if not Case.objects.filter(contact__in=contacts).exists():
            return super().get_deleted_objects(contacts, request)
        return [str(contact) for contact in contacts], {}, set(), [gettext("The cases of the contact")]


def _is_choice_for_case(request: HttpRequest) -> bool:
    is_choice = request.resolver_match is not None and request.resolver_match.url_name == "autocomplete"
    return is_choice and (request.GET.get("app_label"), request.GET.get("field_name")) == ("calls", "contact")


@admin.register(Queue)
class QueueWithCasesAdmin(QueueAdmin):
    """Keeps a queue that has cases, and says so."""

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """List what would go too, but no case: whoever deletes a queue need not be one who reads its cases."""
        queues = list(objs)
        if not Case.objects.filter(queue__in=queues).exists():
            return super().get_deleted_objects(queues, request)
        return [str(queue) for queue in queues], {}, set(), [gettext("The cases in the queue")]
