"""Previews of display names on the page of a contact model: of what the editor may view, with nothing saved."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from cmphone.contacts.models import Contact, CustomerGroup, User
from cmphone.contacts.rebuilding import find_stale, rebuild_stale_customer_groups
from cmphone.properties.selectors import get_versions
from templates_store.models import DisplayNames
from templates_store.rendering import NUMBER
from tests.admin_pages import NOWHERE, log_in_as, read_messages, url_of
from tests.make import give_rights, make_company, make_contact_model, make_customer_group, make_person
from tests.test_contacts_admin_configuration import model_form

pytestmark = pytest.mark.django_db

PERSONS, COMPANIES = "display_names-0", "display_names-1"


@pytest.fixture
def administrator(client: Client) -> User:
    return log_in_as(client, "admin", is_superuser=True)


@pytest.fixture
def agent(client: Client) -> User:
    """Somebody who may change contact models, and so far may view no contact."""
    agent = log_in_as(client, "agent1")
    agent.user_permissions.set(Permission.objects.filter(codename="change_contactmodel"))
    return agent


@pytest.fixture
def group() -> CustomerGroup:
    """A group with a person and his company, built."""
    group = make_customer_group(country_prefix="49", area_prefix="211", company_line="339903")
    make_person(group, "Anders", company=make_company(group, "Alfreds"), phone="12")
    rebuild_stale_customer_groups()
    return group


def ask(client: Client, group: CustomerGroup, form: str = PERSONS, **changes: str) -> Any:
    """Send what the panel sends; `changes` as in model_form."""
    inputs = model_form(group.contact_model, **changes)
    names = {name: value for name, value in inputs.items() if name.startswith("display_names-")}
    return client.post(
        url_of("preview", model="contactmodel"), {"model": group.contact_model_id, "form": form, **names}
    )


def preview(client: Client, group: CustomerGroup, form: str = PERSONS, **changes: str) -> list[tuple[str, ...]]:
    """Return the names that the preview shows."""
    response = ask(client, group, form, **changes)
    assert response.status_code == 200
    assert "errors" not in response.context_data, response.context_data
    return [tuple(sample.names) for sample in response.context_data["samples"]]


def test_names_are_shown_by_what_stands_in_the_form_and_nothing_is_saved(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    before = get_versions(), list(DisplayNames.objects.values()), list(Contact.objects.values())
    names = preview(
        client,
        group,
        display_names__0__details="{{ last_name|upper }}\r\n{% if number %}({{ number }}){% endif %}",
        display_names__0__list="",
    )
    assert names == [("Anders, Maria", "ANDERS (+49 211 33990312)", "Anders, Maria")]
    assert (get_versions(), list(DisplayNames.objects.values()), list(Contact.objects.values())) == before


def test_the_company_in_a_name_is_called_as_the_form_says(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    names = preview(client, group, display_names__1__default="{{ name }} GmbH")
    assert names[0][1] == "Maria Anders (Alfreds GmbH)"
    assert preview(client, group, COMPANIES, display_names__1__default="{{ name }} GmbH")[0][0] == "Alfreds GmbH"


def test_a_language_is_shown_with_what_it_takes_from_all_languages(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    added = {"object": "person", "language": "en", "default": "", "details": "", "list": "{{ customer_group }}"}
    changes = {f"display_names__2__{name}": value for name, value in added.items()}
    names = preview(client, group, "display_names-2", display_names__0__default="{{ first_name }}", **changes)
    assert names == [("Maria", "Maria Anders (Alfreds)", "customers en")]
    assert preview(client, group, display_names__0__list="{{ customer_group }}", **changes)[0][2] == "customers de"


def test_without_a_number_there_is_a_sign_in_its_place(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    Contact.objects.update(fields={"last_name": "Anders"})
    response = ask(client, group, display_names__0__details="{{ number }}")
    assert "[number]" in response.content.decode()
    assert NUMBER not in response.content.decode()


def test_an_error_is_told_with_line_and_column(client: Client, administrator: User, group: CustomerGroup) -> None:
    response = ask(client, group, display_names__0__details="\r\n{{ a|upp }}", display_names__1__default="{{")
    (error,) = response.context_data["errors"]
    assert error.startswith("CM/Phone contact details: Line 2, column 6: “upp” is not known")


@pytest.mark.parametrize("form", ["display_names-7", "", "fields-0", "display_names-__prefix__", "display_names-0\0"])
def test_a_form_that_is_for_nobody_yet_is_told_so(
    client: Client, administrator: User, group: CustomerGroup, form: str
) -> None:
    response = ask(client, group, form)
    assert response.context_data["errors"] == ["Choose whether these are names of persons or of companies."]


def test_templates_that_would_run_long_do_not(client: Client, administrator: User, group: CustomerGroup) -> None:
    hostile = {f"display_names__{n}__{name}": "{{" * 50_000 for n in (1,) for name in ("default", "details", "list")}
    assert preview(client, group, **hostile) == [("Anders, Maria", "Maria Anders (Alfreds)", "Anders")]


# --- who sees what ---


def test_contacts_that_the_editor_may_not_view_are_not_there(client: Client, agent: User, group: CustomerGroup) -> None:
    hidden = make_customer_group("hidden", model=group.contact_model)
    make_person(hidden, "Secret")
    rebuild_stale_customer_groups()
    changes = {"display_names__0__list": "{{ first_name }}"}

    page = ask(client, group, **changes).content.decode()
    assert "Anders" not in page
    assert "There is no contact of this kind that you may view." in page
    assert "Saving renders no names anew." in page

    give_rights(agent, hidden, view=False, create=True, edit=True)
    assert preview(client, group, **changes) == []
    give_rights(agent, group)
    response = ask(client, group, **changes)
    assert [sample.name for sample in response.context_data["samples"]] == ["Anders, Maria"]
    # The person and his company; of the other group, nothing, not even how many.
    assert response.context_data["count"] == 2
    for hint in ("Secret", "hidden"):
        assert hint not in response.content.decode()
    agent.user_permissions.add(Permission.objects.get(codename="view_customergroup"))
    assert ask(client, group, **changes).context_data["count"] == 3


def test_previews_are_for_those_with_a_permission_on_contact_models(client: Client, group: CustomerGroup) -> None:
    agent = log_in_as(client, "agent1")
    give_rights(agent, group)
    assert ask(client, group).status_code == 403
    agent.user_permissions.set(Permission.objects.filter(codename="view_contactmodel"))
    assert preview(client, group) == [("Anders, Maria", "Maria Anders (Alfreds)", "Anders")]
    agent.is_staff = False
    agent.save()
    assert ask(client, group).status_code == 302
    client.logout()
    assert ask(client, group).status_code == 302


def test_a_preview_of_nothing_is_404_and_only_a_post(client: Client, administrator: User) -> None:
    url = url_of("preview", model="contactmodel")
    for key in ("", "x", str(NOWHERE)):
        assert client.post(url, {"model": key}).status_code == 404
    assert client.get(url).status_code == 405


def test_five_contacts_are_shown_of_whatever_groups(client: Client, administrator: User, group: CustomerGroup) -> None:
    other = make_customer_group("other", model=group.contact_model)
    for number in range(7):
        make_person(other, f"P{number}")
    make_person(make_customer_group("stranger"), "Stranger")
    assert [names[2] for names in preview(client, group)] == ["Anders", "P0", "P1", "P2", "P3"]


# --- how many ---


def test_a_save_says_how_many_contacts_it_renders_anew_before_and_after(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    make_person(make_customer_group("other", model=make_contact_model("other")))
    rebuild_stale_customer_groups()
    url = url_of("change", group.contact_model_id, model="contactmodel")
    assert ask(client, group).context_data["count"] == 0
    client.post(url, model_form(group.contact_model))
    assert not [text for text in read_messages(client) if "anew" in text]

    changes = {"display_names__0__list": "{{ first_name }}"}
    assert "Saving renders the names of 2 contacts anew." in ask(client, group, **changes).content.decode()
    client.post(url, model_form(group.contact_model, **changes))
    assert "The names of 2 contacts are being rendered anew." in read_messages(client)
    assert find_stale() == [("names", group.id)]


# --- the form ---


def test_names_are_added_for_a_language_once(client: Client, administrator: User, group: CustomerGroup) -> None:
    url = url_of("change", group.contact_model_id, model="contactmodel")
    changes = {
        "display_names__TOTAL_FORMS": 3,
        "display_names__2__object": "person",
        "display_names__2__language": "en",
        "display_names__2__default": "{{ first_name }}",
    }
    assert client.post(url, model_form(group.contact_model, **changes)).status_code == 302
    rebuild_stale_customer_groups()
    assert Contact.objects.get(kind="person").names["en"]["default"] == "Maria"
    changes = {name.replace("__2__", "__3__"): value for name, value in changes.items()}
    changes["display_names__TOTAL_FORMS"] = 4
    response = client.post(url, model_form(group.contact_model, **changes))
    assert response.status_code == 200
    assert DisplayNames.objects.filter(language="en").count() == 1


def test_a_language_that_the_site_has_not_is_refused(client: Client, administrator: User, group: CustomerGroup) -> None:
    url = url_of("change", group.contact_model_id, model="contactmodel")
    response = client.post(url, model_form(group.contact_model, display_names__0__language="xx"))
    assert response.status_code == 200
    assert not DisplayNames.objects.filter(language="xx").exists()


def test_the_page_lists_what_the_templates_of_each_object_may_hold(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    response = client.get(url_of("change", group.contact_model_id, model="contactmodel"))
    page = response.content.decode()
    persons, companies = (page.split(f'id="display_names-{index}"')[1].split("</fieldset>")[0] for index in (0, 1))
    assert _codes(persons)[:8] == [
        *("first_name", "last_name", "phone", "mobile", "private_phone"),
        *("company.name", "company.phone", "customer_group"),
    ]
    assert _codes(companies)[:4] == ["name", "phone", "customer_group", "number"]
    assert {"upper", "phone", "join", "truncate"} < set(_codes(companies))


def _codes(html: str) -> list[str]:
    return [part.split("</code>")[0] for part in html.split("<code>")[1:]]
