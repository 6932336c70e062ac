"""Says what a change of a contact model's fields does to contacts, before it is saved, and how far it is afterwards."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override as override_language

from cmphone.contacts.admin.rebuilds import group_digits, show_bar, time_column
from cmphone.contacts.field_changes import AllTemplates, Edit, FieldEdit, list_places
from cmphone.contacts.field_effects import Effect, Numbers, find_effects, list_values, sees_all_groups
from cmphone.contacts.models import ContactField, ContactKind, ContactModel, FieldAction, FieldChange, IndexScope, User
from cmphone.csv_cells import choose_delimiter, write_csv

SHOWN = 60
# What the buttons of the page that asks send, and what it says of what was looked at.
BACK, CONFIRMED = "_back", "_confirmed"


class Obstructed(Exception):
    """A change of fields that cannot be saved: why, in sentences."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(*problems)
        self.problems = problems


class Unconfirmed(Exception):
    """A change of fields that concerns contacts, and that nobody has looked at as it is now.

    `key` stands for what was looked at.  `was_confirmed`: somebody has looked at it as it was before.
    """

    def __init__(self, edits: Sequence[FieldEdit], templates: AllTemplates, key: str, *, was_confirmed: bool) -> None:
        super().__init__()
        self.edits = edits
        self.templates = templates
        self.key = key
        self.was_confirmed = was_confirmed


def describe_question(question: Unconfirmed, model: ContactModel, user: User) -> dict[str, Any]:
    """Return what the page shows that asks whether the fields are to be changed."""
    labels = {(field.object, field.name): str(field) for field in ContactField.objects.filter(contact_model=model)}
    effects = find_effects(model, question.edits, user, get_language() or "en")
    return {
        "changes": [_describe(effect, question.templates, model, labels) for effect in effects],
        "is_stale": question.was_confirmed,
        "sees_all": sees_all_groups(user),
        "deletes": any(effect.edit.edit == Edit.REMOVE for effect in effects),
        "key": question.key,
    }


def _describe(
    effect: Effect, templates: AllTemplates, model: ContactModel, labels: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    edit = effect.edit
    is_removal = edit.edit == Edit.REMOVE
    query = urlencode({"kind": edit.kind, "field": edit.name})
    numbers = effect.numbers
    return {
        "title": _title(edit, labels),
        "sentences": list(_sentences(effect)),
        "counts": [(label, group_digits(count)) for label, count in effect.counts],
        "total": group_digits(effect.total),
        "samples": [Truncator(text).chars(SHOWN) for text in numbers.samples] if numbers else [],
        "places": list_places(edit, templates) if edit.edit == Edit.RENAME else [],
        "is_removal": is_removal,
        "csv_url": f"{reverse('admin:contacts_contactmodel_values', args=[model.pk])}?{query}"
        if is_removal and effect.total
        else "",
    }


def _title(edit: FieldEdit, labels: Mapping[tuple[str, str], str]) -> str:
    label = labels.get((edit.kind, edit.name), edit.name)
    named = label if label == edit.name else f"{label} ({edit.name})"
    what = {"kind": ContactKind(edit.kind).label, "field": named, "new": edit.after}
    match edit.edit:
        case Edit.ADD:
            return gettext("New %(kind)s field %(field)s") % what
        case Edit.RENAME:
            return gettext("The %(kind)s field %(field)s is renamed to %(new)s") % what
        case Edit.REMOVE:
            return gettext("The %(kind)s field %(field)s is removed") % what
        case Edit.DIALABLE if edit.after:
            return gettext("The %(kind)s field %(field)s becomes a phone number") % what
        case Edit.DIALABLE:
            return gettext("The %(kind)s field %(field)s is no phone number any more") % what
    what["scope"] = str(dict(IndexScope.choices)[edit.after])
    return gettext("A number in the %(kind)s field %(field)s finds: %(scope)s") % what


def _sentences(effect: Effect) -> Iterator[str]:
    edit, hidden = effect.edit, group_digits(effect.hidden)
    match edit.edit:
        case Edit.ADD:
            text = ngettext(
                "%s contact still has a value under this name, of an earlier field. It will be shown again.",
                "%s contacts still have a value under this name, of an earlier field. They will be shown again.",
                effect.hidden,
            )
            yield text % hidden
            yield gettext("If that is not wanted, choose another name, or save, and remove the field once.")
        case Edit.RENAME:
            yield gettext(
                "The values move to the new name in the background. Until that is done the field keeps its old name; "
                "nobody sees a contact without its value. Programs that name the field have to use the new name then."
            )
            if effect.hidden:
                text = ngettext(
                    "%s contact has a value under the new name, of an earlier field. It is deleted.",
                    "%s contacts have a value under the new name, of an earlier field. They are deleted.",
                    effect.hidden,
                )
                yield text % hidden
        case Edit.REMOVE:
            yield gettext(
                "The field is gone at once. Its values are deleted for good in the background, from the history of the "
                "contacts, too."
            )
            if effect.lost:
                yield _say_lost(effect.lost)
        case Edit.DIALABLE if effect.numbers:
            yield gettext("The values are shown as dial links, and stay as they were typed.")
            yield from _say_unreadable(effect.numbers)
        case Edit.DIALABLE:
            yield gettext("The values are not shown as dial links any more, and stay as they are.")
        case Edit.INDEXED if effect.numbers:
            count = effect.numbers.numbers
            text = ngettext("%s number will find somebody.", "%s numbers will find somebody.", count)
            yield text % group_digits(count)
            yield from _say_unreadable(effect.numbers)
        case Edit.INDEXED if effect.lost is not None:
            yield _say_lost(effect.lost)
        case Edit.INDEXED:
            yield gettext("The numbers find others than before; how many numbers there are does not change.")


def _say_lost(count: int) -> str:
    text = ngettext("%s number finds nobody any more.", "%s numbers find nobody any more.", count)
    return text % group_digits(count)


def _say_unreadable(numbers: Numbers) -> Iterator[str]:
    if not numbers.is_complete:
        text = gettext("There are more values than are read for this page: only the first %s were.")
        yield text % group_digits(numbers.values)
    if numbers.unreadable:
        text = ngettext(
            "%s value cannot be read as a number.", "%s values cannot be read as a number.", numbers.unreadable
        )
        yield text % group_digits(numbers.unreadable)


# --- the file of the values that go ---


def list_lines(model: ContactModel, kind: str, name: str, user: User, language: str) -> Iterator[str]:
    """Yield the text of a CSV file with the values in a field, of the contacts that `user` may view."""

    def list_chunks() -> Iterator[list[list[object]]]:
        with override_language(language):
            header: list[object] = [gettext("contact"), gettext("external id"), gettext("name"), name]
        yield [header]
        for chunk in list_values(model, kind=kind, name=name, user=user):
            yield [list(row) for row in chunk]

    return write_csv(list_chunks(), delimiter=choose_delimiter(language))


# --- how far it is ---


def show_field_changes(model: ContactModel) -> SafeString:
    """Return a line and a bar for each change of the model's fields that is not finished."""
    changes = FieldChange.objects.filter(contact_model=model, finished_at=None).order_by("id")
    lines = ((show_bar(change.percent, str(change)), _describe_progress(change)) for change in changes)
    return format_html_join("", "<div class='rebuild'>{}{}</div>", lines)


def _describe_progress(change: FieldChange) -> str:
    return gettext("%(what)s: %(percent)d %%, %(step)s") % {
        "what": describe_change(change),
        "percent": change.percent,
        "step": change.get_step_display(),
    }


def describe_change(change: FieldChange) -> str:
    """Say which field becomes what."""
    what = {"kind": change.get_object_display(), "name": change.name, "new": change.new_name}
    if change.action == FieldAction.RENAME:
        return gettext("%(kind)s field %(name)s renamed to %(new)s") % what
    return gettext("%(kind)s field %(name)s removed") % what


def describe_start(change: FieldChange) -> str:
    """Say what begins now."""
    if change.action == FieldAction.RENAME:
        return gettext("The field %(name)s is renamed to %(new)s as soon as its values have moved.") % {
            "name": change.name,
            "new": change.new_name,
        }
    return gettext("The field %s is removed; its values are being deleted.") % change.name


@admin.register(FieldChange)
class FieldChangeAdmin(admin.ModelAdmin):
    """To look at: who may view contact models may see what is, and was, done to their fields."""

    list_per_page = 100
    ordering = ["-id"]
    # There is no page of a single one.
    list_display_links = None

    class Media:
        css = {"all": ["cmphone/admin.css"]}

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: FieldChange | None = None) -> bool:
        may = request.user.has_perm
        return may("contacts.view_contactmodel") or may("contacts.change_contactmodel")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: FieldChange | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: FieldChange | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[FieldChange]:
        return super().get_queryset(request).select_related("contact_model")

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns: list[str | Callable[[Any], Any]] = ["contact_model", "what", "state", "bar", "contacts"]
        return [*columns, "requested_by_name", *(time_column(name, FieldChange) for name in TIMES)]

    @admin.display(description=_("change"))
    def what(self, change: FieldChange) -> str:
        return describe_change(change)

    @admin.display(description=_("state"))
    def state(self, change: FieldChange) -> str | Promise:
        if change.problem:
            return gettext("given up, nothing has changed: %s") % change.problem
        return _("done") if change.finished_at else change.get_step_display()

    @admin.display(description=_("progress"))
    def bar(self, change: FieldChange) -> SafeString:
        return format_html("<span class='nowrap'>{}{} %</span>", show_bar(change.percent, str(change)), change.percent)

    @admin.display(description=_("contacts with a value"))
    def contacts(self, change: FieldChange) -> str:
        return group_digits(change.changed)


TIMES = ("requested_at", "updated_at", "finished_at")
