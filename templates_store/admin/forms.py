"""What the pages of the popup files take in."""

import base64
import binascii
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from templates_store.models import PopupVersion
from templates_store.popups import NAMES
from templates_store.shipped_popups import list_languages

# In bytes: in base64, as the browser sends it back, it is a third longer, and has to fit into a request.
MAX_UPLOAD = 1_900_000
MAX_NUMBER = 200
ONE, ALL = "one", "all"


class PublishForm(forms.Form):
    """What goes with every new version; `based_on` is the one that whoever publishes saw."""

    note = forms.CharField(
        label=_("Note"),
        required=False,
        max_length=PopupVersion._meta.get_field("note").max_length,
        help_text=_("What you changed, and why. It stands in the history."),
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
    )
    based_on = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class EditForm(PublishForm):
    """One file."""

    source = forms.CharField(
        label=_("Source text"),
        required=False,
        strip=False,
        widget=forms.Textarea(
            attrs={"rows": 32, "cols": 80, "spellcheck": "false", "class": "popup-source", "wrap": "off"}
        ),
    )
    scope = forms.ChoiceField(
        label=_("Publish for"),
        choices=[(ONE, _("this language")), (ALL, _("every language"))],
        initial=ONE,
        widget=forms.RadioSelect,
        help_text=_("For every language: the file replaces those of the other languages, too."),
    )


class UploadForm(forms.Form):
    """A zip with popup files."""

    file = forms.FileField(
        label=_("Zip file"),
        allow_empty_file=True,
        help_text=_(
            "Files as match.html count for every language, files in a folder as de/match.html for that language. What "
            "is not in it stays as it is."
        ),
    )

    def clean_file(self) -> bytes:
        file: UploadedFile[Any] = self.cleaned_data["file"]
        if (file.size or 0) > MAX_UPLOAD:
            raise ValidationError(gettext("A zip file has at most %(limit)s bytes.") % {"limit": MAX_UPLOAD})
        data: bytes = file.read()
        return data


class ZipForm(forms.Form):
    """A zip that was looked at, as the browser sends it back."""

    zip = forms.CharField(widget=forms.HiddenInput)

    def clean_zip(self) -> bytes:
        try:
            return base64.b64decode(self.cleaned_data["zip"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValidationError("") from error


class PreviewForm(forms.Form):
    """What a preview shows.

    `number`: of a real caller; empty: of the samples.  `file`: only what this one shows.  `source`: as it would be.
    """

    language = forms.ChoiceField(label=_("Language"))
    sample = forms.ChoiceField(label=_("State"), required=False)
    number = forms.CharField(
        label=_("or a real number"),
        required=False,
        max_length=MAX_NUMBER,
        help_text=_("As the telephone system presents it. It finds what you may view. Nothing is saved."),
        widget=forms.TextInput(attrs={"inputmode": "tel", "autocomplete": "off", "spellcheck": "false", "size": 24}),
    )
    version = forms.IntegerField(required=False, min_value=1, max_value=10**17, widget=forms.HiddenInput)
    file = forms.ChoiceField(required=False, choices=[(name, name) for name in NAMES], widget=forms.HiddenInput)
    source = forms.CharField(required=False, strip=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, samples: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["language"].choices = [(code, code) for code in list_languages()]  # type: ignore[attr-defined]
        self.fields["sample"].choices = [("", gettext("every state")), *samples]  # type: ignore[attr-defined]
