"""The admin pages of what configures contacts: models, customer groups, system properties."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from cmphone.contacts.models import Contact, ContactField, ContactModel, CustomerGroup, User
from cmphone.contacts.rebuilding import rebuild_stale_customer_groups
from cmphone.properties.selectors import get_versions, load_properties
from numbering.models import IndexEntry
from templates_store.models import DisplayNames
from tests.admin_pages import errors_of, formset_errors, log_in_as, read, read_messages, url_of
from tests.make import make_company, make_contact_model, make_customer_group, make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator(client: Client) -> User:
    return log_in_as(client, "admin", is_superuser=True)


@pytest.fixture
def agent(client: Client) -> User:
    """Somebody with staff status and, so far, without any right."""
    return log_in_as(client, "agent1")


# --- contact models ---


def model_form(model: ContactModel | None = None, **changes: object) -> dict[str, object]:
    """Return what the page of a contact model sends; `changes` by the name of an input, with - as __."""
    fields = list(ContactField.objects.filter(contact_model=model).order_by("-object", "position")) if model else []
    names = list(DisplayNames.objects.filter(contact_model=model).order_by("-object", "language")) if model else []
    data: dict[str, object] = {
        "name": model.name if model else "new-model",
        "fields-TOTAL_FORMS": len(fields),
        "fields-INITIAL_FORMS": len(fields),
        "display_names-TOTAL_FORMS": len(names),
        "display_names-INITIAL_FORMS": len(names),
    }
    for index, field in enumerate(fields):
        for name in ("id", "object", "name", "label_de", "label_en", "indexed", "position"):
            data[f"fields-{index}-{name}"] = getattr(field, name)
        if field.dialable:
            data[f"fields-{index}-dialable"] = "on"
    for index, each in enumerate(names):
        for name in ("id", "object", "language", "default", "details", "list"):
            data[f"display_names-{index}-{name}"] = getattr(each, name)
    return data | {name.replace("__", "-"): value for name, value in changes.items()}


def test_a_contact_model_is_made_with_fields_in_their_order(client: Client, administrator: User) -> None:
    data = model_form(fields__TOTAL_FORMS=3, display_names__TOTAL_FORMS=1)
    for index, (name, position) in enumerate((("phone", ""), ("last_name", "5"), ("mobile", ""))):
        data |= {f"fields-{index}-object": "person", f"fields-{index}-name": name, f"fields-{index}-position": position}
    data |= {"display_names-0-object": "person", "display_names-0-default": "{{ last_name }}"}
    response = client.post(url_of("add", model="contactmodel"), data)
    assert response.status_code == 302, formset_errors(response)
    fields = ContactField.objects.filter(contact_model__name="new-model").order_by("position")
    assert list(fields.values_list("name", "position")) == [("last_name", 10), ("phone", 20), ("mobile", 30)]
    assert DisplayNames.objects.get().default == "{{ last_name }}"


def test_a_template_with_an_error_is_refused_at_its_field_with_the_line(client: Client, administrator: User) -> None:
    model = make_contact_model()
    data = model_form(
        model, display_names__0__details="{{ last_name }}\r\n{% if %}", display_names__0__list="{{ a.b }}"
    )
    errors = formset_errors(client.post(url_of("change", model.pk, model="contactmodel"), data))
    assert [error.split(":")[0:2] for error in errors] == [
        ["details", " Line 2, column 7"],
        ["list", " Line 1, column 5"],
    ]


def test_a_changed_template_counts_the_version_up_and_renames(client: Client, administrator: User) -> None:
    model = make_contact_model()
    contact = make_person(make_customer_group(model=model))
    before = get_versions()
    data = model_form(model, display_names__0__default="{{ first_name }}", display_names__0__list="")
    response = client.post(url_of("change", model.pk, model="contactmodel"), data)
    assert response.status_code == 302, formset_errors(response)
    after = get_versions()
    assert int(after[0]) > int(before[0])
    # That of the popups: a name comes with each look-up.
    assert after[1] == before[1]
    rebuild_stale_customer_groups()
    contact.refresh_from_db()
    assert (contact.name, contact.name_list) == ("Maria", "Maria")


def test_a_field_that_is_indexed_from_now_on_finds_its_contacts(client: Client, administrator: User) -> None:
    model = make_contact_model()
    make_person(make_customer_group(model=model, country_prefix="49"), private_phone="0211 1234567")
    assert IndexEntry.objects.count() == 0
    url, data = url_of("change", model.pk, model="contactmodel"), model_form(model, fields__4__indexed="local")
    question = client.post(url, data)
    assert client.post(url, {**data, "_confirmed": question.context["key"]}).status_code == 302
    rebuild_stale_customer_groups()
    assert IndexEntry.objects.get().canonical == "492111234567"


def test_a_field_with_contacts_stays_one_of_its_kind(client: Client, administrator: User) -> None:
    model = make_contact_model()
    make_person(make_customer_group(model=model))
    data = model_form(model, fields__0__object="company", fields__0__label_en="Given name")
    assert client.post(url_of("change", model.pk, model="contactmodel"), data).status_code == 302
    field = ContactField.objects.get(label_en="Given name")
    assert (field.name, field.object) == ("first_name", "person")


def test_contacts_keep_at_least_one_field(client: Client, administrator: User) -> None:
    model = make_contact_model()
    make_company(make_customer_group(model=model))
    url = url_of("change", model.pk, model="contactmodel")
    companies = {"fields__5__DELETE": "on", "fields__6__DELETE": "on"}
    assert formset_errors(client.post(url, model_form(model, **companies))) == [
        "There are contacts of the kind company: they need at least one field."
    ]
    everything = {f"fields__{index}__DELETE": "on" for index in range(7)}
    assert formset_errors(client.post(url, model_form(model, **everything))) == [
        "A contact model needs at least one field."
    ]
    assert ContactField.objects.filter(contact_model=model).count() == 7


def test_two_fields_of_a_name_are_refused(client: Client, administrator: User) -> None:
    model = make_contact_model()
    data = model_form(model, fields__0__name="phone")
    assert formset_errors(client.post(url_of("change", model.pk, model="contactmodel"), data))


def test_a_contact_model_in_use_is_not_deleted(client: Client, administrator: User) -> None:
    group = make_customer_group()
    client.post(url_of("delete", group.contact_model_id, model="contactmodel"), {"post": "yes"})
    assert ContactModel.objects.count() == 1


# --- customer groups ---


def group_form(group: CustomerGroup, **changes: object) -> dict[str, object]:
    names = ["name", "label_de", "label_en", "country_prefix", "area_prefix", "company_line"]
    data: dict[str, object] = {name: getattr(group, name) for name in names}
    return data | {"contact_model": group.contact_model_id, "extension_min": "", "extension_max": ""} | changes


def test_the_page_of_a_group_shows_what_its_numbers_dial(client: Client, administrator: User) -> None:
    group = make_customer_group(country_prefix="49", area_prefix="211", company_line="339903")
    page = read(client, url_of("change", group.pk, model="customergroup"))
    assert "With 49, 211 and 339903 the numbers 12, 33990312 and 21133990312 all dial 4921133990312." in page
    assert page.count("<code>4921133990312</code>") == 5


def test_a_changed_plan_is_in_force_at_once_and_old_numbers_are_read_anew(client: Client, administrator: User) -> None:
    group = make_customer_group(country_prefix="49")
    make_person(group, phone="12")
    data = group_form(group, area_prefix="211", company_line="339903")
    response = client.post(url_of("change", group.pk, model="customergroup"), data)
    assert response.status_code == 302, errors_of(response)
    make_person(group, "Berg", phone="13")
    assert IndexEntry.objects.get(raw="13").canonical == "4921133990313"
    assert IndexEntry.objects.get(raw="12").canonical == "12"
    assert "numbers: waiting to be built anew" in read(client, url_of("changelist", model="customergroup"))
    rebuild_stale_customer_groups()
    assert IndexEntry.objects.get(raw="12").canonical == "4921133990312"
    assert "up to date" in read(client, url_of("changelist", model="customergroup"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"country_prefix": "+49"}, "country_prefix"),
        ({"area_prefix": "0211 "}, None),
        ({"area_prefix": "2-11"}, "area_prefix"),
        ({"company_line": "x"}, "company_line"),
        ({"name": "With Space"}, "name"),
        ({"extension_min": "4", "extension_max": "2"}, "__all__"),
        ({"contact_model": ""}, "contact_model"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_at_its_field(
    client: Client, administrator: User, changes: dict[str, object], field: str | None
) -> None:
    group = make_customer_group()
    response = client.post(url_of("change", group.pk, model="customergroup"), group_form(group, **changes))
    assert (list(errors_of(response)) if field else response.status_code) == ([field] if field else 302)


def test_the_contact_model_stays_once_there_are_contacts(client: Client, administrator: User) -> None:
    group, other = make_customer_group(), make_contact_model("other")
    url = url_of("change", group.pk, model="customergroup")
    make_person(group)
    assert errors_of(client.post(url, group_form(group, contact_model=other.pk))) == {
        "contact_model": ["The contact model cannot change any more: there are contacts."]
    }
    Contact.objects.all().delete()
    assert client.post(url, group_form(group, contact_model=other.pk)).status_code == 302


def test_deleting_a_group_names_none_of_its_contacts(client: Client, agent: User) -> None:
    agent.user_permissions.set(Permission.objects.filter(content_type__model="customergroup"))
    group = make_customer_group()
    contact = make_person(group)
    selected = {"action": "delete_selected", "_selected_action": [group.pk]}
    for page in (
        read(client, url_of("delete", group.pk, model="customergroup")),
        client.post(url_of("changelist", model="customergroup"), selected).content.decode(),
    ):
        assert "The contacts of the customer group" in page
        assert "Anders" not in page
        assert f"/contact/{contact.pk}/" not in page
    client.post(url_of("delete", group.pk, model="customergroup"), {"post": "yes"})
    client.post(url_of("changelist", model="customergroup"), {**selected, "post": "yes"})
    assert CustomerGroup.objects.count() == 1
    contact.delete()
    client.post(url_of("delete", group.pk, model="customergroup"), {"post": "yes"})
    assert CustomerGroup.objects.count() == 0


# --- system properties ---


PROPERTIES = "admin:properties_systemproperty_changelist"


def test_a_property_is_changed_and_in_force_at_once(client: Client, administrator: User) -> None:
    assert 'value="49"' in read(client, reverse(PROPERTIES))
    client.post(reverse(PROPERTIES), {**load_properties(), "local.country.prefix": " 43 "})
    assert read_messages(client) == ["Saved, and in force at once: cmas-core-server.local.country.prefix."]
    assert load_properties()["local.country.prefix"] == "43"
    make_person(make_customer_group(), phone="01 234567")
    assert IndexEntry.objects.get().canonical == "431234567"


def test_properties_are_saved_all_or_none_with_the_error_at_the_field(client: Client, administrator: User) -> None:
    before = load_properties()
    values = {**before, "local.country.prefix": "43", "external.line.access.prefix": "zero"}
    page = client.post(reverse(PROPERTIES), values).content.decode()
    assert '<ul class="errorlist" id="id_external.line.access.prefix_error"><li>Enter digits only' in page
    assert 'value="zero"' in page
    assert load_properties() == before


def test_saving_the_properties_unchanged_changes_nothing(client: Client, administrator: User) -> None:
    before = get_versions()
    client.post(reverse(PROPERTIES), load_properties())
    assert read_messages(client) == ["Nothing was changed."]
    assert get_versions() == before


def test_properties_are_neither_added_nor_deleted(client: Client, administrator: User) -> None:
    assert client.get(reverse("admin:properties_systemproperty_add")).status_code == 200
    assert "<h1>System properties</h1>" in read(client, reverse("admin:properties_systemproperty_change", args=[1]))
    assert client.post(reverse("admin:properties_systemproperty_delete", args=[1]), {"post": "yes"}).status_code == 403


def test_properties_are_for_those_with_the_permission(client: Client, agent: User) -> None:
    assert client.get(reverse(PROPERTIES)).status_code == 403
    agent.user_permissions.set(Permission.objects.filter(codename="view_systemproperty"))
    assert 'value="49"' in read(client, reverse(PROPERTIES))
    assert client.post(reverse(PROPERTIES), {"local.country.prefix": "43"}).status_code == 403
    assert load_properties()["local.country.prefix"] == "49"


@pytest.mark.parametrize("page", ["property", "group", "model"])
def test_a_change_of_the_configuration_asks_for_the_rebuild_even_with_the_broker_away(
    client: Client,
    administrator: User,
    page: str,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    from kombu.exceptions import OperationalError

    from cmphone.celery import app

    group = make_customer_group()
    asked: list[str] = []

    def send_task(name: str) -> None:
        asked.append(name)
        raise OperationalError("away")

    monkeypatch.setattr(app, "send_task", send_task)
    with django_capture_on_commit_callbacks(execute=True):
        if page == "property":
            response = client.post(reverse(PROPERTIES), {"local.country.prefix": "43"})
        elif page == "group":
            response = client.post(
                url_of("change", group.pk, model="customergroup"), group_form(group, area_prefix="211")
            )
        else:
            model = group.contact_model
            response = client.post(url_of("change", model.pk, model="contactmodel"), model_form(model))
    assert response.status_code == 302
    assert asked == ["cmphone.contacts.tasks.rebuild_stale_customer_groups"]
