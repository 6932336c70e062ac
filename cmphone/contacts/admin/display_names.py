"""The form of a contact model's display names: templates for all languages and for single ones, with what they may
name beside them.  What they give belongs to name_previews.py.
"""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.models import ContactField, ContactKind, ContactModel
from templates_store.models import DisplayNames
from templates_store.rendering import NAME_FILTERS, Templates
from templates_store.services import find_template_errors

TEMPLATES = ("default", "details", "list")


class DisplayNamesForm(forms.ModelForm):
    language = forms.ChoiceField(label=_("language"), required=False)

    class Meta:
        model = DisplayNames
        fields = ["object", "language", *TEMPLATES]
        widgets = {
            name: forms.Textarea(attrs={"rows": 2, "cols": 80, "spellcheck": "false", "class": "vLargeTextField"})
            for name in TEMPLATES
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = {"": _("all languages"), **dict(settings.LANGUAGES)}
        # One that the site had once.
        choices.setdefault(self.instance.language, self.instance.language)
        self.fields["language"].choices = list(choices.items())  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        # A browser sends every line break as two characters.
        sources = {name: cleaned.get(name, "").replace("\r\n", "\n") for name in TEMPLATES}
        cleaned |= sources
        for name, message in find_template_errors(Templates(**sources)).items():
            self.add_error(name, message)
        return cleaned

    def read_templates(self) -> Templates:
        """Return the templates as they were sent."""
        return Templates(*(self.cleaned_data[name] for name in TEMPLATES))


class DisplayNamesFormSet(BaseInlineFormSet):
    def read_templates(self) -> dict[tuple[str, str], Templates]:
        """Return the templates of a page that was sent, by object and language."""
        forms: list[Any] = self.forms
        kept = (form for form in forms if form.cleaned_data.get("object") and not form.cleaned_data.get("DELETE"))
        return {(form.instance.object, form.instance.language): form.read_templates() for form in kept}


class DisplayNamesInline(admin.StackedInline):
    model = DisplayNames
    form = DisplayNamesForm
    formset = DisplayNamesFormSet
    extra = 0
    max_num = len(ContactKind.choices) * (len(settings.LANGUAGES) + 1)
    # Persons first, and for all languages.
    ordering = ["-object", "language"]
    fields = [("object", "language"), *TEMPLATES, "usable", "preview"]
    readonly_fields = ["usable", "preview"]
    verbose_name_plural = _("Display names (templates)")

    def get_extra(self, request: HttpRequest, obj: ContactModel | None = None, **kwargs: Any) -> int:
        return 0 if obj else 1

    def get_formset(self, request: HttpRequest, obj: ContactModel | None = None, **kwargs: Any) -> Any:
        # A form that is added has no record that knows its contact model.
        self.contact_model = obj
        return super().get_formset(request, obj, **kwargs)

    @admin.display(description=_("what templates may hold"))
    def usable(self, names: DisplayNames) -> SafeString:
        fields: dict[str, list[str]] = {kind: [] for kind in ContactKind.values}
        for field in ContactField.objects.filter(contact_model=self.contact_model).order_by("position", "id"):
            fields[field.object].append(field.name)
        persons, companies = fields[ContactKind.PERSON], fields[ContactKind.COMPANY]
        usable: list[tuple[str | Promise, Sequence[str]]] = []
        if names.object != ContactKind.COMPANY:
            usable.append((_("Fields of a person"), persons))
        if names.object != ContactKind.COMPANY and companies:
            # `name` is the display name of the company, whether or not it has such a field.
            usable.append((_("His company"), [f"company.{name}" for name in dict.fromkeys(["name", *companies])]))
        if names.object != ContactKind.PERSON:
            usable.append((_("Fields of a company"), companies))
        usable += [
            (_("The label of the customer group"), ["customer_group"]),
            (_("The number that called, in details and list"), ["number"]),
            (_("Filters, as in {{ phone|phone }}"), sorted(NAME_FILTERS)),
        ]
        shown = [(what, each) for what, each in usable if each]
        return render_to_string("admin/contacts/contactmodel/usable.html", {"usable": shown})

    @admin.display(description=_("preview"))
    def preview(self, names: DisplayNames) -> SafeString:
        model = self.contact_model
        context = {"url": reverse("admin:contacts_contactmodel_preview"), "model": model.pk if model else ""}
        return render_to_string("admin/contacts/contactmodel/preview.html", context)
