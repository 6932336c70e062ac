"""Admin page of deliveries: the log of what was sent, or still has to be, and the button that sends it again."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from cmphone.webhooks.admin.rights import is_superuser
from cmphone.webhooks.delivering import describe_event
from cmphone.webhooks.models import Delivery
from cmphone.webhooks.retrying import MAX_TRIES
from cmphone.webhooks.services import send_again


@admin.register(Delivery)
class DeliveryAdmin(admin.ModelAdmin):
    list_display = ["when", "kind", "subject", "webhook", "state_name", "tries_of", "answer_text", "next_try"]
    list_filter = ["state", "webhook", "kind"]
    list_select_related = ["webhook"]
    list_per_page = 50
    ordering = ["-occurred_at", "-id"]
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    actions = ["send_selected_again"]
    fields = ["webhook", "kind", "subject", "when", "event_id", "state_name", "tries_of"]
    fields += ["last_try", "answer_text", "next_try", "body"]
    change_form_template = "admin/webhooks/delivery/change_form.html"

    class Media:
        css = {"all": ["cmphone/admin.css"]}

    @admin.display(description=_("when"), ordering="occurred_at")
    def when(self, delivery: Delivery) -> str:
        return _show_time(delivery.occurred_at)

    @admin.display(description=_("id"))
    def subject(self, delivery: Delivery) -> str:
        return delivery.subject_id or "–"

    @admin.display(description=_("state"), ordering="state")
    def state_name(self, delivery: Delivery) -> str | SafeString:
        name = delivery.get_state_display()
        return format_html("<strong>⚠ {}</strong>", name) if delivery.state == "failed" else name

    @admin.display(description=_("tries"), ordering="tries")
    def tries_of(self, delivery: Delivery) -> str:
        return f"{delivery.tries} / {MAX_TRIES}"

    @admin.display(description=_("last answer"))
    def answer_text(self, delivery: Delivery) -> str:
        return str(delivery.answer)

    @admin.display(description=_("last try"))
    def last_try(self, delivery: Delivery) -> str:
        return _show_time(delivery.last_tried_at)

    @admin.display(description=_("next try"), ordering="next_try_at")
    def next_try(self, delivery: Delivery) -> str:
        return "–" if delivery.state == "sending" else _show_time(delivery.next_try_at)

    @admin.display(description=_("body"))
    def body(self, delivery: Delivery) -> SafeString:
        return format_html("<pre class='webhook-body'>{}</pre>", describe_event(delivery))

    # --- sending again ---

    @admin.action(description=_("Send the selected deliveries again"), permissions=["send"])
    def send_selected_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self._send(request, list(queryset))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.again_view)
        return [path("<int:delivery_id>/again/", view, name="webhooks_delivery_again"), *super().get_urls()]

    def again_view(self, request: HttpRequest, delivery_id: int) -> HttpResponse:
        """Send the delivery of the page again."""
        if not self.has_send_permission(request):
            raise PermissionDenied
        delivery = self.get_queryset(request).filter(pk=delivery_id).first()
        if delivery is None:
            raise Http404
        if request.method == "POST":
            self._send(request, [delivery])
        return HttpResponseRedirect(reverse("admin:webhooks_delivery_change", args=[delivery_id]))

    def _send(self, request: HttpRequest, deliveries: list[Delivery]) -> None:
        count = send_again([delivery.pk for delivery in deliveries])
        text = ngettext("%d delivery is sent again.", "%d deliveries are sent again.", count)
        messages.add_message(request, messages.SUCCESS if count else messages.WARNING, text % count)
        if left := len(deliveries) - count:
            text = ngettext("%d is being sent just now.", "%d are being sent just now.", left)
            messages.warning(request, text % left)
        for webhook in {each.webhook for each in deliveries if not each.webhook.is_active}:
            text = gettext("The webhook %s is not active: its deliveries wait until it is.")
            messages.warning(request, text % webhook)

    # --- rights ---

    def has_module_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_send_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        return is_superuser(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        return False


def _show_time(at: Any) -> str:
    return "–" if at is None else date_format(timezone.localtime(at), "SHORT_DATETIME_FORMAT")
