"""Admin pages of API keys: made, told once, revoked."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from cmphone.access.models import ApiKey, Scope
from cmphone.access.services import create_api_key, revoke_api_key


class ApiKeyForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(
        label=_("scopes"), choices=Scope.choices, widget=forms.CheckboxSelectMultiple, help_text=_("What it is for.")
    )

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= timezone.now():
            raise forms.ValidationError(gettext("Enter a time that is to come, or nothing."))
        return expires_at


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    """A key is made and revoked; what it may do does not change in between."""

    form = ApiKeyForm
    list_display = ["name", "user", "scope_names", "beginning", "state", "last_used_at", "expires_at", "created_at"]
    list_filter = [("revoked_at", admin.EmptyFieldListFilter)]
    list_select_related = ["user"]
    search_fields = ["name", "user__username", "hint"]
    actions = ["revoke"]
    change_form_template = "admin/access/apikey/change_form.html"

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[Any]:
        if obj is None:
            return ["name", "user", "scopes", "expires_at"]
        shown = ["name", "user", "scope_names", "beginning", "state", "created_at", "created_by", "expires_at"]
        return [*shown, "last_used_at", "revoked_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[Any]:
        return [] if obj is None else self.get_fields(request, obj)

    @admin.display(description=_("scopes"))
    def scope_names(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description=_("key"))
    def beginning(self, key: ApiKey) -> str:
        return f"{key.hint}…"

    @admin.display(description=_("state"))
    def state(self, key: ApiKey) -> str | Promise:
        if key.revoked_at is not None:
            return _("revoked")
        if key.expires_at is not None and key.expires_at <= timezone.now():
            return _("expired")
        return _("in force") if key.user.is_active else _("out of force: its user is not active")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "user":
            users = get_user_model().objects.filter(is_active=True).order_by("username")
            # As with passwords: nobody comes by more rights than he may give.
            kwargs["queryset"] = users if request.user.is_superuser else users.filter(is_superuser=False)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            return
        key, secret = create_api_key(
            name=obj.name,
            user=obj.user,
            scopes=obj.scopes,
            expires_at=obj.expires_at,
            created_by=request.user,  # type: ignore[arg-type]
        )
        obj.pk = key.pk
        request.api_key_secret = secret  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """Show the secret, here and never again."""
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("The new API key"),
            "opts": self.opts,
            "key": obj,
            "secret": request.api_key_secret,  # type: ignore[attr-defined]
        }
        response = TemplateResponse(request, "admin/access/apikey/secret.html", context)
        add_never_cache_headers(response)
        return response

    @admin.action(description=_("Revoke the selected API keys"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        revoked = [key for key in queryset if revoke_api_key(key)]
        for key in revoked:
            self.log_change(request, key, gettext("revoked"))
        text = ngettext("%d API key revoked.", "%d API keys revoked.", len(revoked))
        self.message_user(request, text % len(revoked), messages.SUCCESS if revoked else messages.WARNING)

    def get_urls(self) -> list[Any]:
        revoke = path(
            "<path:object_id>/revoke/", self.admin_site.admin_view(self.revoke_one), name="access_apikey_revoke"
        )
        return [revoke, *super().get_urls()]

    def revoke_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Revoke the key of the page."""
        key = self.get_object(request, unquote(object_id))
        if key is None or request.method != "POST" or not self.has_change_permission(request, key):
            raise PermissionDenied
        self.revoke(request, ApiKey.objects.filter(pk=key.pk))
        return HttpResponseRedirect(reverse("admin:access_apikey_change", args=[key.pk]))

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        # Asked for each key when its user is deleted; the list offers no deletion: what was revoked stays known.
        return obj is not None and super().has_delete_permission(request, obj)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Refuse: one alone is never deleted."""
        raise PermissionDenied

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        is_change = kwargs.get("change", False)
        context |= {"show_delete": False, "show_save_and_add_another": False, "show_save_and_continue": False}
        if is_change:
            context |= {"show_save": False}
        return super().render_change_form(request, context, *args, **kwargs)
