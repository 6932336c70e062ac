"""What the forms of a contact share, in the administration and on the pages of agents: an input for every field of its
contact model, instead of the JSON they are kept in.
"""

from django import forms
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.configuration import FieldRule
from cmphone.contacts.services import MAX_VALUE_LENGTH

# Characters of a value that one line of a page does not show.
LONG = 60


def name_input(rule: FieldRule) -> str:
    """Return the name of a field's input, which is also the key of the services' errors."""
    return f"fields/{rule.name}"


def build_input(rule: FieldRule, line: type[forms.TextInput] = forms.TextInput) -> forms.CharField:
    """Return the input of a field: one line, as `line` shows it."""
    return forms.CharField(
        label=rule.label(),
        required=False,
        max_length=MAX_VALUE_LENGTH,
        # Nothing that is there is changed by saving the page.
        strip=False,
        widget=line(attrs={"type": "tel" if rule.dialable else "text", "autocomplete": "off"}),
        help_text=_("Phone number, as you write it.") if rule.dialable else "",
    )


def is_long(value: str) -> bool:
    """Say whether a value needs several lines: one line would hide some of it, or lose its line ends."""
    return len(value) > LONG or "\n" in value or "\r" in value


def unify_line_ends(text: str) -> str:
    """Return a text with line ends as they are kept: a browser sends others."""
    return text.replace("\r\n", "\n")
