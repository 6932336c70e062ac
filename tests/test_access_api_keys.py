"""API keys: made, shown once, limited to scopes, revoked; they have their user's rights and take no seat."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from cmphone.access.credentials import Credentials, hash_key, read_credentials
from cmphone.access.models import ApiKey, Scope
from cmphone.access.services import authenticate_key, create_api_key, revoke_api_key
from cmphone.contacts.models import User
from cmphone.problems import NotAuthenticated, PermissionDenied
from license.models import Session
from tests.make import give_rights, log_in, make_customer_group, make_license, make_person, make_user

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("header", "scheme", "secret"),
    [
        ("Bearer abc", "bearer", "abc"),
        ("bearer  abc ", "bearer", "abc"),
        ("Api-Key cmphone_x", "api-key", "cmphone_x"),
        ("API-KEY cmphone_x", "api-key", "cmphone_x"),
        ("ApiKey x", None, None),
        ("Basic x", None, None),
        ("Api-Key", None, None),
        ("Api-Key ", None, None),
        ("", None, None),
    ],
)
def test_what_a_header_shows(header: str, scheme: Any, secret: str | None) -> None:
    assert read_credentials(header) == (Credentials(scheme, secret) if secret else None)


@pytest.fixture
def user() -> User:
    """Somebody who may view one group with one contact."""
    make_license()
    user = make_user("pbx")
    group = make_customer_group(country_prefix="49", area_prefix="211", company_line="339903")
    give_rights(user, group, create=True)
    make_person(group, phone="12")
    return user


def make_key(user: User, *scopes: str, **values: Any) -> str:
    return create_api_key(name="PBX", user=user, scopes=scopes or ("lookup",), **values)[1]


def get(client: Client, path: str, secret: str) -> Any:
    return client.get(path, headers={"authorization": f"Api-Key {secret}", "accept-language": "en"})


LOOKUP = "/api/v1/lookup?number=%2B4921133990312"
ASKED = {
    LOOKUP: {"lookup"},
    LOOKUP + "&explain=true": {"lookup"},
    "/api/v1/contacts?q=Anders": {"contacts"},
    "/api/v1/customer-groups": {"lookup", "contacts", "calls"},
    "/api/v1/license": {"lookup", "contacts", "calls", "monitoring"},
}
POSTED: dict[str, tuple[dict[str, object], set[str]]] = {
    "/api/v1/lookup/batch": ({"numbers": ["12"]}, {"lookup"}),
    "/api/v1/numbers/canonicalize": ({"number": "12"}, {"lookup"}),
    "/api/v1/numbers/dial": ({"number": "0211 12345678"}, {"lookup", "calls"}),
}


class TestScopes:
    @pytest.mark.parametrize("scope", Scope.values)
    def test_a_key_is_good_for_its_scope_and_nothing_else(self, client: Client, user: User, scope: str) -> None:
        secret = make_key(user, scope)

        answers = {path: (get(client, path, secret), scopes) for path, scopes in ASKED.items()} | {
            path: (
                client.post(
                    path, body, content_type="application/json", headers={"authorization": f"Api-Key {secret}"}
                ),
                scopes,
            )
            for path, (body, scopes) in POSTED.items()
        }

        for path, (answer, scopes) in answers.items():
            assert answer.status_code == (200 if scope in scopes else 403), path
            if scope not in scopes:
                assert answer.json()["type"].endswith("/problems/permission-denied")

    def test_the_refusal_says_what_scope_it_takes(self, client: Client, user: User) -> None:
        detail = get(client, LOOKUP, make_key(user, "contacts")).json()["detail"]
        assert detail == "This API key is not good for this. It takes one with the scope lookup."

    def test_a_key_has_no_session_to_keep_or_to_end(self, client: Client, user: User) -> None:
        headers = {"authorization": f"Api-Key {make_key(user, *Scope.values)}"}
        statuses = [
            client.put("/api/v1/sessions/current", headers=headers).status_code,
            client.delete("/api/v1/sessions/current", headers=headers).status_code,
        ]
        assert statuses == [403, 403]

    def test_a_key_takes_no_seat(self, client: Client, user: User) -> None:
        answer = get(client, LOOKUP, make_key(user))
        assert (answer.status_code, Session.objects.count()) == (200, 0)

    def test_a_look_up_with_a_key_is_that_of_its_user(self, client: Client, user: User) -> None:
        with_key = get(client, LOOKUP, make_key(user))
        with_token = client.get(LOOKUP, headers=log_in(user))
        assert with_key.json()["match"] == "exact"
        assert with_key.content == with_token.content

    def test_a_key_of_somebody_without_rights_finds_nobody(self, client: Client, user: User) -> None:
        answer = get(client, LOOKUP, make_key(make_user("stranger")))
        assert (answer.status_code, answer.json()["match"]) == (200, "none")


class TestForce:
    """When a key counts, and when no more."""

    def refusals(self, client: Client, secret: str) -> set[tuple[int, object]]:
        answers = [get(client, path, secret) for path in ASKED]
        return {(answer.status_code, answer.json().get("reason")) for answer in answers}

    @pytest.mark.parametrize("secret", ["cmphone_x", "x", "é", "a" * 10_000])
    def test_an_unknown_key_is_nobody(self, client: Client, user: User, secret: str) -> None:
        assert self.refusals(client, secret) == {(401, None)}

    def test_a_session_token_is_no_key_and_a_key_no_token(self, client: Client, user: User) -> None:
        token = log_in(user)["Authorization"].removeprefix("Bearer ")
        assert self.refusals(client, token) == {(401, None)}
        assert client.get(LOOKUP, headers={"authorization": f"Bearer {make_key(user)}"}).status_code == 401

    def test_a_revoked_key_ends_with_the_next_call(self, client: Client, user: User) -> None:
        key, secret = create_api_key(name="PBX", user=user, scopes=["lookup"])
        assert get(client, LOOKUP, secret).status_code == 200
        assert revoke_api_key(key)
        assert not revoke_api_key(key)
        assert self.refusals(client, secret) == {(401, "revoked")}

    def test_a_key_expires(self, client: Client, user: User) -> None:
        secret = make_key(user, expires_at=timezone.now() + timedelta(hours=1))
        assert get(client, LOOKUP, secret).status_code == 200
        ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert self.refusals(client, secret) == {(401, "expired")}

    def test_a_user_who_is_not_active_any_more_takes_his_keys_along(self, client: Client, user: User) -> None:
        secret = make_key(user)
        User.objects.filter(pk=user.pk).update(is_active=False)
        assert self.refusals(client, secret) == {(401, None)}

    def test_its_use_is_written_once_a_minute(self, client: Client, user: User) -> None:
        secret = make_key(user)
        assert ApiKey.objects.get().last_used_at is None
        with CaptureQueriesContext(connection) as first:
            get(client, LOOKUP, secret)
        with CaptureQueriesContext(connection) as second:
            get(client, LOOKUP, secret)
        assert [sum("UPDATE" in each["sql"] for each in queries) for queries in (first, second)] == [1, 0]
        used_at = ApiKey.objects.get().last_used_at
        assert used_at is not None
        ApiKey.objects.update(last_used_at=used_at - timedelta(seconds=61))
        get(client, LOOKUP, secret)
        assert ApiKey.objects.filter(last_used_at__gte=used_at).exists()

    def test_the_secret_is_kept_nowhere(self, user: User) -> None:
        key, secret = create_api_key(name="PBX", user=user, scopes=["lookup"])
        assert (bytes(key.key_hash), len(secret), secret.startswith(key.hint)) == (hash_key(secret), 51, True)
        assert len(key.hint) == 12

    def test_what_is_no_scope_is_refused(self, user: User) -> None:
        for scopes in (["everything"], []):
            with pytest.raises(ValidationError):
                create_api_key(name="PBX", user=user, scopes=scopes)
        with pytest.raises(ValidationError):
            create_api_key(name=" ", user=user, scopes=["lookup"])
        assert not ApiKey.objects.exists()

    def test_services_say_why(self, user: User) -> None:
        secret = make_key(user, "contacts")
        assert authenticate_key(secret).user == user
        with pytest.raises(PermissionDenied):
            authenticate_key(secret, scope=Scope.LOOKUP)
        with pytest.raises(NotAuthenticated):
            authenticate_key("")


class TestCommand:
    def run(self, *arguments: str) -> tuple[str, str]:
        out, err = StringIO(), StringIO()
        call_command("create_api_key", *arguments, stdout=out, stderr=err)
        return out.getvalue(), err.getvalue()

    def test_it_prints_the_key_and_nothing_else(self, client: Client, user: User) -> None:
        out, err = self.run("--user", "pbx", "--scope", "lookup", "--scope", "calls", "--name", "switchboard")
        assert get(client, LOOKUP, out.strip()).status_code == 200
        assert err == "switchboard: lookup, calls for pbx.  It is shown only now:\n"
        assert ApiKey.objects.get().created_by is None

    def test_the_last_day_counts_in_full(self, user: User) -> None:
        today = timezone.localdate()
        self.run("--user", "pbx", "--scope", "lookup", "--expires", today.isoformat())
        expires_at = ApiKey.objects.get().expires_at
        assert expires_at is not None
        assert timezone.localtime(expires_at).strftime("%H:%M") == "00:00"
        assert timezone.localdate(expires_at) == today + timedelta(days=1)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--user", "nobody", "--scope", "lookup"], "no user 'nobody'"),
            (["--user", "pbx", "--scope", "lookup", "--expires", "31.12.2030"], "no day of the form"),
            (["--user", "pbx", "--scope", "lookup", "--expires", "2030-02-31"], "no day of the form"),
            (["--user", "pbx", "--scope", "lookup", "--expires", "2020-01-01"], "is over"),
            (["--user", "pbx", "--scope", "lookup", "--name", " "], "cannot be blank"),
            (["--user", "gone", "--scope", "lookup"], "is not active"),
            (["--user", "pbx", "--scope", "all"], "invalid choice"),
            (["--user", "pbx"], "--scope"),
        ],
    )
    def test_what_cannot_be_is_refused(self, user: User, arguments: list[str], message: str) -> None:
        make_user("gone", is_active=False)
        with pytest.raises(CommandError, match=message):
            self.run(*arguments)
        assert not ApiKey.objects.exists()


class TestAdmin:
    LIST, ADD = "admin:access_apikey_changelist", "admin:access_apikey_add"

    def log_in(self, client: Client, *rights: str, is_superuser: bool = False) -> User:
        admin = make_user("admin", is_staff=True, is_superuser=is_superuser)
        admin.user_permissions.set(Permission.objects.filter(content_type__app_label="access", codename__in=rights))
        client.force_login(admin)
        return admin

    def form(self, of: User, **values: object) -> dict[str, object]:
        return {"name": "PBX", "user": of.pk, "scopes": ["lookup"], "expires_at_0": "", "expires_at_1": "", **values}

    def test_a_key_is_made_and_shown_once(self, client: Client, user: User) -> None:
        admin = self.log_in(client, is_superuser=True)

        page = client.post(reverse(self.ADD), self.form(user, scopes=["calls", "lookup"]))

        key = ApiKey.objects.get()
        secret = str(page.context["secret"])
        assert (page.status_code, page.content.decode().count(secret)) == (200, 1)
        assert "no-store" in page.headers["Cache-Control"]
        assert (key.user, key.scopes, key.created_by) == (user, ["lookup", "calls"], admin)
        assert get(Client(), LOOKUP, secret).status_code == 200
        for url in (reverse(self.LIST), reverse("admin:access_apikey_change", args=[key.pk])):
            shown = client.get(url).content.decode()
            assert secret not in shown
            assert key.hint in shown

    @pytest.mark.parametrize(
        ("values", "field"),
        [
            ({"name": ""}, "name"),
            ({"scopes": []}, "scopes"),
            ({"scopes": ["all"]}, "scopes"),
            ({"user": 0}, "user"),
            ({"expires_at_0": "2020-01-01", "expires_at_1": "00:00"}, "expires_at"),
        ],
    )
    def test_a_form_that_is_not_right_makes_nothing(
        self, client: Client, user: User, values: dict[str, object], field: str
    ) -> None:
        self.log_in(client, is_superuser=True)
        page = client.post(reverse(self.ADD), self.form(user, **values))
        assert list(page.context["adminform"].form.errors) == [field]
        assert not ApiKey.objects.exists()

    def test_one_and_many_are_revoked_and_it_is_written_down(self, client: Client, user: User) -> None:
        self.log_in(client, is_superuser=True)
        first, second = (create_api_key(name=name, user=user, scopes=["lookup"])[0] for name in "ab")

        client.post(reverse("admin:access_apikey_revoke", args=[first.pk]))
        assert [key.revoked_at is None for key in ApiKey.objects.order_by("name")] == [False, True]
        client.post(reverse(self.LIST), {"action": "revoke", "_selected_action": [str(second.pk)]})

        assert not ApiKey.objects.filter(revoked_at=None).exists()
        assert "revoked" in client.get(reverse("admin:access_apikey_history", args=[first.pk])).content.decode()

    def test_who_may_only_look_changes_nothing(self, client: Client, user: User) -> None:
        key, _ = create_api_key(name="PBX", user=user, scopes=["lookup"])
        self.log_in(client, "view_apikey")
        page = client.get(reverse("admin:access_apikey_change", args=[key.pk])).content.decode()
        statuses = [
            client.post(reverse("admin:access_apikey_revoke", args=[key.pk])).status_code,
            client.post(reverse(self.ADD), self.form(user)).status_code,
            client.get(reverse("admin:access_apikey_delete", args=[key.pk])).status_code,
        ]
        client.post(reverse(self.LIST), {"action": "revoke", "_selected_action": [str(key.pk)]})
        assert (statuses, ApiKey.objects.filter(revoked_at=None).count()) == ([403, 403, 403], 1)
        assert "/revoke/" not in page

    def test_looking_at_the_revoking_address_revokes_nothing(self, client: Client, user: User) -> None:
        key, _ = create_api_key(name="PBX", user=user, scopes=["lookup"])
        self.log_in(client, is_superuser=True)
        assert client.get(reverse("admin:access_apikey_revoke", args=[key.pk])).status_code == 403
        assert ApiKey.objects.filter(revoked_at=None).exists()

    def test_without_permission_there_is_no_page(self, client: Client, user: User) -> None:
        self.log_in(client)
        assert client.get(reverse(self.LIST)).status_code == 403
        assert "/admin/access/" not in client.get(reverse("admin:index")).content.decode()

    def test_nobody_makes_himself_a_key_of_a_superuser(self, client: Client, user: User) -> None:
        root = make_user("root", is_staff=True, is_superuser=True)
        self.log_in(client, "add_apikey", "view_apikey")
        refused = client.post(reverse(self.ADD), self.form(root))
        assert list(refused.context["adminform"].form.errors) == ["user"]
        assert client.post(reverse(self.ADD), self.form(user)).status_code == 200
        assert [key.user for key in ApiKey.objects.all()] == [user]

    def test_a_user_is_deleted_with_his_keys(self, client: Client, user: User) -> None:
        create_api_key(name="PBX", user=user, scopes=["lookup"])
        self.log_in(client, is_superuser=True)
        client.post(reverse("admin:contacts_user_delete", args=[user.pk]), {"post": "yes"})
        assert not ApiKey.objects.exists()

    def test_a_key_alone_is_never_deleted(self, client: Client, user: User) -> None:
        key, _ = create_api_key(name="PBX", user=user, scopes=["lookup"])
        self.log_in(client, is_superuser=True)
        for send in (client.get, client.post):
            answer = send(reverse("admin:access_apikey_delete", args=[key.pk]), {"post": "yes"})
            assert answer.status_code == 403
        assert ApiKey.objects.exists()
