"""Admin pages of the client's installers."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import AbstractUser
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy as _

from cmphone.releases.models import ClientRelease
from cmphone.releases.services import SUFFIXES, add_release, change_release, find_upload_errors


class NewReleaseForm(forms.ModelForm):
    """A new installer."""

    file = forms.FileField(
        label=_("File"),
        help_text=_("The client's installer."),
        widget=forms.ClearableFileInput(attrs={"accept": ",".join(SUFFIXES)}),
    )

    class Meta:
        model = ClientRelease
        fields = ["version", "notes_de", "notes_en", "is_offered"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        file = cleaned.get("file")
        errors = find_upload_errors(cleaned.get("version", ""), file.name if file else "", file.size if file else 0)
        for name, message in errors.items():
            if name not in self.errors:
                self.add_error(name, message)
        return cleaned


@admin.register(ClientRelease)
class ClientReleaseAdmin(admin.ModelAdmin):
    list_display = ["version", "is_offered", "file_name", "shown_size", "uploaded_at", "uploaded_by"]
    readonly_fields = ["file_name", "shown_size", "sha256", "uploaded_at", "uploaded_by"]
    ordering = ["-order"]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            return NewReleaseForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: ClientRelease | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["version", "file", "notes_de", "notes_en", "is_offered"]})]
        return [(None, {"fields": ["version", "notes_de", "notes_en", "is_offered", *self.readonly_fields]})]

    def get_readonly_fields(self, request: HttpRequest, obj: ClientRelease | None = None) -> Any:
        # Clients name a file by its version.
        return ["version", *self.readonly_fields] if obj else []

    def save_model(self, request: HttpRequest, obj: ClientRelease, form: Any, change: bool) -> None:
        if change:
            change_release(obj)
            return
        file = form.cleaned_data["file"]
        user = request.user if isinstance(request.user, AbstractUser) else None
        add_release(obj, content=file.chunks(), file_name=file.name, by=user)

    @admin.display(description=_("size"))
    def shown_size(self, release: ClientRelease) -> str:
        return filesizeformat(release.size)
