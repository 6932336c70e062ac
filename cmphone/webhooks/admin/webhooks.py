"""Admin page of webhooks: whom is told what, whether it arrives, and the secrets, each shown once."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from cmphone.webhooks.admin.rights import is_superuser
from cmphone.webhooks.models import PREVIOUS_SECRET_LASTS, EventKind, PauseReason, Webhook
from cmphone.webhooks.services import change_secret, find_url_error, save_webhook, send_test


class WebhookForm(forms.ModelForm):
    events = forms.MultipleChoiceField(
        label=capfirst(_("events")), choices=EventKind.choices, widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        widgets = {
            "customer_groups": forms.CheckboxSelectMultiple,
            "url": forms.TextInput(attrs={"class": "vLargeTextField", "inputmode": "url", "spellcheck": "false"}),
        }

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        if message := find_url_error(url):
            raise forms.ValidationError(message)
        return url

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        # An error of theirs is told already.
        if "customer_groups" in cleaned and cleaned["is_for_all_groups"] == bool(cleaned["customer_groups"]):
            self.add_error("customer_groups", gettext("Choose either customer groups or all of them."))
        return cleaned


@admin.register(Webhook)
class WebhookAdmin(admin.ModelAdmin):
    form = WebhookForm
    list_display = ["name", "url", "event_names", "state", "failing"]
    list_filter = ["is_active"]
    search_fields = ["name", "url"]
    change_form_template = "admin/webhooks/webhook/change_form.html"

    class Media:
        css = {"all": ["cmphone/admin.css"]}

    def get_fields(self, request: HttpRequest, obj: Webhook | None = None) -> list[Any]:
        fields = ["name", "url", "events", "is_for_all_groups", "customer_groups", "is_active"]
        return fields if obj is None else [*fields, "state", "failing", "secrets", "created_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Webhook | None = None) -> list[Any]:
        return [] if obj is None else ["state", "failing", "secrets", "created_at"]

    @admin.display(description=_("events"))
    def event_names(self, webhook: Webhook) -> str:
        return ", ".join(webhook.events)

    @admin.display(description=_("state"), ordering="is_active")
    def state(self, webhook: Webhook) -> str | SafeString:
        if webhook.pause_reason:
            return format_html("<strong>⚠ {}</strong> {}", gettext("paused:"), PauseReason(webhook.pause_reason).label)
        return gettext("active") if webhook.is_active else gettext("not active")

    @admin.display(description=_("failures"))
    def failing(self, webhook: Webhook) -> str:
        if webhook.failing_since is None:
            return "–"
        since = date_format(timezone.localtime(webhook.failing_since), "SHORT_DATETIME_FORMAT")
        text = ngettext(
            "%(count)d failed try since %(since)s", "%(count)d failed tries since %(since)s", webhook.failures
        )
        return text % {"count": webhook.failures, "since": since}

    @admin.display(description=_("secret"))
    def secrets(self, webhook: Webhook) -> str:
        made = date_format(timezone.localtime(webhook.secret_changed_at), "SHORT_DATETIME_FORMAT")
        text = gettext("made %s, shown once") % made
        if len(webhook.list_secrets(timezone.now())) == 1:
            return text
        until = timezone.localtime(webhook.secret_changed_at + PREVIOUS_SECRET_LASTS)
        more = gettext("the one before signs along until %s") % date_format(until, "SHORT_DATETIME_FORMAT")
        return f"{text}; {more}"

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "customer_groups" and field is not None:
            # They are made on their own page.
            field.widget.can_add_related = False
        return field

    # --- writing ---

    def save_model(self, request: HttpRequest, obj: Webhook, form: Any, change: bool) -> None:
        groups = form.cleaned_data["customer_groups"]
        ids = None if form.cleaned_data["is_for_all_groups"] else [group.pk for group in groups]
        save_webhook(obj, customer_groups=ids)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Write nothing more: the customer groups are written with the webhook."""

    def response_add(self, request: HttpRequest, obj: Webhook, post_url_continue: str | None = None) -> HttpResponse:
        """Show the secret, here and never again."""
        return self._show_secret(request, obj, obj.secret)

    def _show_secret(self, request: HttpRequest, webhook: Webhook, secret: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("The secret of the webhook"),
            "opts": self.opts,
            "webhook": webhook,
            "secret": secret,
            "media": self.media,
        }
        response = TemplateResponse(request, "admin/webhooks/webhook/secret.html", context)
        add_never_cache_headers(response)
        return response

    # --- buttons ---

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:webhook_id>/test/", wrap(self.test_view), name="webhooks_webhook_test"),
            path("<int:webhook_id>/secret/", wrap(self.secret_view), name="webhooks_webhook_secret"),
            *super().get_urls(),
        ]

    def test_view(self, request: HttpRequest, webhook_id: int) -> HttpResponse:
        """Send a test event, and show how that goes."""
        webhook = self._get(request, webhook_id)
        if request.method != "POST":
            # Who had to log in again on the way comes with GET.
            return HttpResponseRedirect(reverse("admin:webhooks_webhook_change", args=[webhook.pk]))
        delivery = send_test(webhook)
        self.log_change(request, webhook, gettext("Test event sent."))
        messages.success(request, gettext("A test event is on its way. Load this page again to see how it went."))
        return HttpResponseRedirect(reverse("admin:webhooks_delivery_change", args=[delivery.pk]))

    def secret_view(self, request: HttpRequest, webhook_id: int) -> HttpResponse:
        """Make a new secret, and show it once."""
        webhook = self._get(request, webhook_id)
        if request.method != "POST":
            return HttpResponseRedirect(reverse("admin:webhooks_webhook_change", args=[webhook.pk]))
        secret = change_secret(webhook)
        self.log_change(request, webhook, gettext("Secret changed."))
        return self._show_secret(request, webhook, secret)

    def _get(self, request: HttpRequest, webhook_id: int) -> Webhook:
        if not self.has_change_permission(request):
            raise PermissionDenied
        webhook = Webhook.objects.filter(pk=webhook_id).first()
        if webhook is None:
            raise Http404
        return webhook

    # --- rights ---

    def has_module_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Webhook | None = None) -> bool:
        return is_superuser(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Webhook | None = None) -> bool:
        return is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Webhook | None = None) -> bool:
        return is_superuser(request)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Count the deliveries that go along, and do not list them: they may be a million."""
        webhooks = list(objs)
        counts = {str(self.opts.verbose_name_plural): len(webhooks)}
        return [str(webhook) for webhook in webhooks], counts, set(), []
