"""What the pages of imports take in: a file, and how it is read."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.admin.readings import label_field
from cmphone.contacts.configuration import GroupRules
from cmphone.contacts.imports.csv_columns import list_choices
from cmphone.contacts.imports.models import ImportRun, ImportSource
from cmphone.contacts.models import ContactKind
from cmphone.contacts.vcards.filling import AS_NAMED, list_targets

ENCODINGS: list[tuple[str, str]] = [
    ("utf-8-sig", "UTF-8"),
    ("cp1252", "Windows-1252"),
    ("iso8859-15", "ISO-8859-15"),
    ("utf-16", "UTF-16"),
    ("utf-16-le", "UTF-16 LE"),
    ("cp850", "DOS 850"),
    ("cp1250", "Windows-1250"),
    ("cp1251", "Windows-1251"),
    ("mac_roman", "Mac Roman"),
]
# A file of one column has no delimiter; this is none that one has.
NO_DELIMITER = "\x1f"
DELIMITERS: list[tuple[str, str | Promise]] = [
    (";", _("semicolon ;")),
    (",", _("comma ,")),
    ("tab", _("tab")),
    ("|", _("bar |")),
    ("none", _("none: one column")),
]
_spelled = {"tab": "\t", "none": NO_DELIMITER}
_own_columns: dict[str, str | Promise] = {
    "external_id": _("External id"),
    "kind": _("Person or company"),
    "active": _("Active or not"),
    "company": _("The person's company"),
}


class UploadForm(forms.Form):
    """A file, and the customer group that it goes into."""

    customer_group = forms.TypedChoiceField(label=_("Customer group"), coerce=int)
    file = forms.FileField(
        label=_("File"),
        allow_empty_file=True,
        help_text=_("CSV, as spreadsheets save it, or vCard (.vcf), as address books export it."),
    )

    encoding = forms.ChoiceField(
        label=_("Encoding"), required=False, choices=[("", _("told from the file")), *ENCODINGS]
    )

    def __init__(self, *args: Any, groups: Sequence[tuple[int, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["customer_group"].choices = groups  # type: ignore[attr-defined]  # a field of choices

    def clean_file(self) -> "UploadedFile[Any]":
        file: UploadedFile[Any] = self.cleaned_data["file"]
        if (file.size or 0) > settings.IMPORT_MAX_MB * 1_000_000:
            raise ValidationError(
                gettext("The file is larger than %d MB. Import it in parts, or by the command import_contacts.")
                % settings.IMPORT_MAX_MB
            )
        return file


class SettingsForm(forms.Form):
    """How the file of a draft is imported, and read: what it is now stands in it at first."""

    overwrite_empty = forms.BooleanField(
        label=_("Empty values overwrite"),
        required=False,
        help_text=ImportRun._meta.get_field("overwrite_empty").help_text,
    )
    encoding = forms.ChoiceField(label=_("Encoding"))
    delimiter = forms.ChoiceField(label=_("Delimiter"), choices=DELIMITERS)

    def __init__(self, data: Any = None, *, run: ImportRun, rules: GroupRules) -> None:
        super().__init__(data, initial={"overwrite_empty": run.overwrite_empty})
        self._options = run.options
        if run.source == ImportSource.CSV:
            self._add_columns(run.options, rules)
            return
        del self.fields["encoding"], self.fields["delimiter"]
        if "header" in run.options:
            self._add_properties(run.options, rules)

    def _add_columns(self, options: Mapping[str, Any], rules: GroupRules) -> None:
        known = dict(ENCODINGS)
        encoding, delimiter = options["encoding"], options["delimiter"]
        self.fields["encoding"].choices = [*ENCODINGS, *([] if encoding in known else [(encoding, encoding)])]  # type: ignore[attr-defined]
        spelled = next((name for name, character in _spelled.items() if character == delimiter), delimiter)
        self.initial.update({"encoding": encoding, "delimiter": spelled})
        choices = list_field_choices(rules, list_choices(rules))
        for index, (column, field) in enumerate(zip(options["header"], options["mapping"], strict=True)):
            # The label of fields with several names.
            extra = [(field, column)] if field and field not in dict(choices) else []
            self.fields[f"column-{index}"] = forms.ChoiceField(
                label=column, required=False, initial=field, choices=[*choices, *extra]
            )

    def _add_properties(self, options: Mapping[str, Any], rules: GroupRules) -> None:
        choices = list_field_choices(rules, list_targets(rules))
        labels = dict(choices)
        properties = zip(options["header"], options["mapping"], options["recognized"], strict=True)
        for index, (name, field, recognized) in enumerate(properties):
            fields = ", ".join(labels[each] for each in recognized if each in labels)
            usual = gettext("as recognized: %s") % (fields or gettext("no field"))
            self.fields[f"column-{index}"] = forms.ChoiceField(
                label=name, required=False, initial=field, choices=[(AS_NAMED, usual), *choices]
            )

    @property
    def columns(self) -> list[Any]:
        """The choice for each column of the file, or for each property of its cards."""
        return [self[name] for name in self.fields if name.startswith("column-")]

    @property
    def is_reread(self) -> bool:
        """Whether the file is to be read in another way, which makes other columns of it."""
        return "encoding" in self.cleaned_data and (
            self.cleaned_data["encoding"],
            self.cleaned_data["delimiter"],
        ) != (self._options["encoding"], self._options["delimiter"])

    @property
    def options(self) -> dict[str, Any]:
        """The options of the run as they are wanted now."""
        if "header" not in self._options:
            return dict(self._options)
        mapping = [self.cleaned_data[f"column-{index}"] for index in range(len(self._options["header"]))]
        return {**self._options, "mapping": mapping}

    def clean_delimiter(self) -> str:
        delimiter: str = self.cleaned_data["delimiter"]
        return _spelled.get(delimiter, delimiter)

    def clean(self) -> dict[str, Any]:
        # Several properties of a card may go into one field, but not two columns.
        if self.errors or "encoding" not in self.fields or self.is_reread:
            return self.cleaned_data
        columns: dict[str, str] = {}
        for index, column in enumerate(self._options["header"]):
            field = self.cleaned_data[f"column-{index}"]
            if field and columns.setdefault(field, column) != column:
                message = gettext("The column “%s” goes into this field already.") % columns[field]
                self.add_error(f"column-{index}", message)
        return self.cleaned_data


def list_field_choices(rules: GroupRules, names: Iterable[str]) -> list[tuple[str, str]]:
    """Return what a column or a property may be, for people to choose from."""
    has_both = rules.has_persons and rules.has_companies
    choices = [("", gettext("– leave out –"))]
    for name in names:
        kinds = {kind: rule for kind, fields in rules.fields.items() for rule in fields if rule.name == name}
        if not kinds or (name == "company" and has_both):
            choices.append((name, str(_own_columns[name])))
            continue
        labels = " / ".join(dict.fromkeys(label_field(rule) for rule in kinds.values()))
        choices.append((name, f"{labels} ({_list_kinds(kinds)})" if has_both else labels))
    return choices


def _list_kinds(kinds: Mapping[str, object]) -> str:
    return ", ".join(str(ContactKind(kind).label) for kind in ContactKind.values if kind in kinds)
