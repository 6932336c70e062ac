"""The admin pages of users and roles."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from cmphone.contacts.models import CustomerGroupRight, Role, User
from tests.admin_pages import errors_of, formset_errors, log_in_as, read, url_of
from tests.make import PASSWORD, make_customer_group, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator(client: Client) -> User:
    return log_in_as(client, "admin", is_superuser=True)


@pytest.fixture
def agent(client: Client) -> User:
    """Somebody with staff status and, so far, without any right."""
    return log_in_as(client, "agent1")


def test_a_role_gets_rights_by_group_and_queue(client: Client, administrator: User) -> None:
    group = make_customer_group()
    response = client.post(
        url_of("add", model="role"),
        {
            "name": "agents",
            "customer_group_rights-TOTAL_FORMS": 1,
            "customer_group_rights-INITIAL_FORMS": 0,
            "customer_group_rights-0-customer_group": group.pk,
            "customer_group_rights-0-can_view": "on",
            "customer_group_rights-0-can_edit": "on",
            "queue_rights-TOTAL_FORMS": 0,
            "queue_rights-INITIAL_FORMS": 0,
            "call_rights-TOTAL_FORMS": 0,
            "call_rights-INITIAL_FORMS": 0,
        },
    )
    assert response.status_code == 302, formset_errors(response)
    right = CustomerGroupRight.objects.get(role__name="agents", customer_group=group)
    assert (right.can_view, right.can_create, right.can_edit) == (True, False, True)
    assert "customers en: view, edit" in read(client, url_of("changelist", model="role"))


def test_roles_stand_in_for_django_s_groups(client: Client, administrator: User) -> None:
    assert client.get("/admin/auth/group/").status_code == 404


def test_a_user_is_made_with_language_and_roles(client: Client, administrator: User) -> None:
    role = Role.objects.create(name="agents")
    data = {
        "username": "agent7",
        "password1": PASSWORD,
        "password2": PASSWORD,
        "is_active": "on",
        "language": "en",
        "groups": [role.pk],
    }
    response = client.post(url_of("add", model="user"), data)
    assert response.status_code == 302, errors_of(response)
    user = User.objects.get(username="agent7")
    assert (user.language, user.groups.get().name, user.is_staff) == ("en", "agents", False)
    assert user.is_active
    assert user.check_password(PASSWORD)


def test_only_a_superuser_makes_one(client: Client, agent: User) -> None:
    agent.user_permissions.set(Permission.objects.filter(content_type__app_label="contacts"))
    role = Role.objects.create(name="all-rights")
    page = read(client, url_of("change", agent.pk, model="user"))
    for name in ("is_superuser", "is_staff", "user_permissions", "groups"):
        assert f'name="{name}"' not in page
    data = {"username": "agent1", "language": "de", "is_active": "on", "is_superuser": "on", "groups": [role.pk]}
    response = client.post(url_of("change", agent.pk, model="user"), data)
    assert response.status_code == 302, errors_of(response)
    new = {**data, "username": "friend", "password1": PASSWORD, "password2": PASSWORD, "is_staff": "on"}
    assert client.post(url_of("add", model="user"), new).status_code == 302
    for user in User.objects.all():
        assert (user.is_superuser, user.groups.count()) == (False, 0)
    assert User.objects.filter(is_staff=True).get() == agent


def test_only_a_superuser_touches_one(client: Client, agent: User) -> None:
    agent.user_permissions.set(Permission.objects.filter(content_type__app_label="contacts"))
    root = make_user("root", password=PASSWORD, is_staff=True, is_superuser=True)
    data = {"username": "root", "language": "de"}
    assert client.post(url_of("change", root.pk, model="user"), data).status_code == 403
    assert client.post(url_of("delete", root.pk, model="user"), {"post": "yes"}).status_code == 403
    passwords = {"password1": "another staple", "password2": "another staple", "usable_password": "true"}
    url = reverse("admin:auth_user_password_change", args=[root.pk])
    assert client.post(url, passwords).status_code == 403
    client.post(
        url_of("changelist", model="user"),
        {"action": "delete_selected", "_selected_action": [root.pk], "post": "yes"},
    )
    root.refresh_from_db()
    assert root.is_active
    assert root.check_password(PASSWORD)


def test_a_role_s_permissions_are_a_superuser_s_to_give(client: Client, agent: User) -> None:
    agent.user_permissions.set(Permission.objects.filter(content_type__app_label="contacts"))
    role = Role.objects.create(name="agents")
    data = {
        "name": "agents",
        "permissions": [Permission.objects.earliest("pk").pk],
        "customer_group_rights-TOTAL_FORMS": 0,
        "customer_group_rights-INITIAL_FORMS": 0,
        "queue_rights-TOTAL_FORMS": 0,
        "queue_rights-INITIAL_FORMS": 0,
    }
    assert client.post(url_of("change", role.pk, model="role"), data).status_code == 302
    assert role.permissions.count() == 0
