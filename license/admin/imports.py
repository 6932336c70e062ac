"""The page that imports a licence: choose it, look at what it changes, bring it into force.

The text goes through the browser between the last two; bringing it into force verifies it as if it came anew.
"""

import base64
import binascii
from typing import Any

from django import forms
from django.contrib.admin.utils import label_for_field
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from license.files import MAX_BYTES
from license.models import Pool
from license.preview import Preview, preview_license
from license.problems import LicenseRefused


class ImportForm(forms.Form):
    """A licence as a file or as text.  It is valid if it may come into force: then it has a `preview`."""

    file = forms.FileField(
        label=_("File"),
        required=False,
        allow_empty_file=True,
        help_text=_("As you received it: a text file of at most 100 kB."),
    )
    text = forms.CharField(
        label=_("or its text"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 12, "cols": 80, "spellcheck": "false", "class": "license-text"}),
    )
    preview: Preview

    def clean(self) -> dict[str, Any]:
        file, text = self.cleaned_data.get("file"), self.cleaned_data.get("text", "")
        if self.errors:
            return self.cleaned_data
        if file is not None and text.strip():
            raise ValidationError(_("Choose a file or paste a text, not both."))
        if file is None and not text.strip():
            raise ValidationError(_("Choose a licence file, or paste its text."))
        try:
            # One byte more than is allowed tells that a file is too large, whatever its size.
            self.preview = preview_license(text if file is None else file.read(MAX_BYTES + 1))
        except LicenseRefused as refusal:
            self.add_error("text" if file is None else "file", ValidationError(refusal.detail, code=refusal.code))
        return self.cleaned_data


class ConfirmationForm(forms.Form):
    """What the preview was of: a text, in base64 as a browser would change the ends of its lines, and the file
    that was imported last.
    """

    license = forms.CharField(widget=forms.HiddenInput)
    last_file_id = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    def clean_license(self) -> str:
        try:
            return base64.b64decode(self.cleaned_data["license"], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValidationError("") from error


def make_confirmation(preview: Preview) -> ConfirmationForm:
    """Return the form that brings what the preview shows into force."""
    encoded = base64.b64encode(preview.text.encode()).decode()
    return ConfirmationForm(initial={"license": encoded, "last_file_id": preview.last_file_id}, auto_id=False)


def describe_preview(preview: Preview) -> dict[str, Any]:
    """Return what the template shows of a preview."""
    pools = [
        {
            "pool": pool,
            "rows": [(capfirst(str(label_for_field(each.name, Pool))), each) for each in pool.differences],
        }
        for pool in preview.pools
    ]
    return {"preview": preview, "pools": pools, "confirmation": make_confirmation(preview)}
