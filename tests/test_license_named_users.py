"""No more users are active than the licence names: on every way that somebody becomes active, and by every import."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import translation
from pytest_django import DjangoAssertNumQueries

from cmphone.contacts.models import User
from cmphone.contacts.site.file import apply_site
from cmphone.contacts.site.tables import SiteFileError
from cmphone.problems import LicenseExhausted, Unavailable, as_problem
from license import waiting
from license.importing import import_license
from license.models import LicenseFile, Pool
from license.named_users import require_free_name
from license.problems import LicenseRefused, NoFreeLicense
from license.selectors import find_pool_state, list_pool_states
from tests.admin_pages import errors_of, url_of
from tests.licenses import make_license, make_section
from tests.locks import start, wait_for_waiting
from tests.make import PASSWORD, make_user

FULL = "The licence names 2 users, and 2 are active. Deactivate one, or import a licence for more."


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    with translation.override("en"):
        yield


def import_names(named: int | str, **section: Any) -> LicenseFile:
    text = make_license(make_section(), make_section("NAMED_USERS", licenses=named, **section))
    return import_license(text=text, imported_by=None)


def count_active() -> int:
    return User.objects.filter(is_active=True).count()


@pytest.fixture
def two_users(request: pytest.FixtureRequest) -> list[User]:
    """Two who are active, in a licence that names two, and one who is not."""
    marker = request.node.get_closest_marker("django_db")
    request.getfixturevalue("transactional_db" if marker.kwargs.get("transaction") else "db")
    users = [make_user("agent1"), make_user("agent2"), make_user("agent3", is_active=False)]
    import_names(2)
    return users


@pytest.mark.django_db
class TestImport:
    """A licence that names fewer users than are active."""

    def test_it_is_refused_with_figures_and_line_and_what_to_do(self) -> None:
        for number in range(3):
            make_user(f"agent{number}")
        make_user("left", is_active=False)
        import_license(text=make_license(make_section(licenses=4)), imported_by=None)
        with pytest.raises(LicenseRefused) as caught:
            import_names(1)
        assert (caught.value.code, caught.value.line) == ("too-many-users", 14)
        assert caught.value.members == {"active": 3, "named": 1, "excess": 2}
        assert caught.value.detail == (
            "Line 14: More users are active (3) than section [NAMED_USERS] names (1). "
            "Deactivate 2, or ask for a licence that names more."
        )
        assert dict(Pool.objects.values_list("name", "licensed")) == {"REST_USERS": 4}
        assert LicenseFile.objects.count() == 1

    def test_one_that_names_just_those_who_are_active_comes_into_force(self) -> None:
        make_user("agent1")
        make_user("left", is_active=False)
        import_names(1)
        assert Pool.objects.get(name="NAMED_USERS").licensed == 1

    def test_a_licence_without_the_section_lifts_the_limit(self, two_users: list[User]) -> None:
        import_license(text=make_license(), imported_by=None)
        make_user("agent4")
        assert count_active() == 3

    def test_an_expired_section_still_limits(self) -> None:
        make_user("agent1")
        import_names(1, expires="01.01.2020")
        with pytest.raises(ValidationError):
            require_free_name()

    def test_the_command_says_so(self, tmp_path: Any, two_users: list[User]) -> None:
        file = tmp_path / "license.txt"
        file.write_text(make_license(make_section(), make_section("NAMED_USERS", licenses=1)), encoding="utf-8")
        with pytest.raises(CommandError, match=r"Line 14: More users are active \(2\)"):
            call_command("import_license", str(file))


@pytest.mark.django_db
class TestUse:
    """What the pool NAMED_USERS says of its use."""

    def test_in_use_is_who_is_active(
        self, two_users: list[User], django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        import_license(
            text=make_license(make_section(), make_section("NAMED_USERS", licenses=5), make_section("TRACK")),
            imported_by=None,
        )
        with django_assert_num_queries(1):
            states = list_pool_states()
        assert [(each.name, each.in_use, each.free, each.is_counted) for each in states] == [
            ("NAMED_USERS", 2, 3, True),
            ("REST_USERS", 0, 10, True),
            ("TRACK", 0, 10, False),
        ]
        two_users[0].is_active = False
        two_users[0].save()
        state = find_pool_state("NAMED_USERS")
        assert state is not None
        assert state.in_use == 1

    def test_the_administration_shows_it(self, client: Client, two_users: list[User]) -> None:
        User.objects.filter(username="agent1").update(is_staff=True, is_superuser=True)
        client.force_login(User.objects.get(username="agent1"))
        page = client.get(reverse("admin:license_pool_changelist")).content.decode()
        assert 'class="field-in_use">2<' in page
        assert 'class="field-in_use">0<' in page


def activate_by_save(user: User) -> None:
    user.is_active = True
    user.save()


def activate_by_sql(user: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute("update contacts_user set is_active = true where id = %s", [user.pk])


def make_many(_: User) -> None:
    User.objects.bulk_create([User(username="bulk1"), User(username="bulk2")])


@pytest.mark.django_db
class TestDatabase:
    """What no surface can forget."""

    @pytest.mark.parametrize(
        "activate",
        [
            lambda _: make_user("agent4"),
            lambda _: User.objects.create_user("agent4"),
            lambda _: User.objects.update(is_active=True),
            lambda _: User.objects.filter(username="agent3").update(is_active=True, first_name="x"),
            activate_by_save,
            activate_by_sql,
            make_many,
        ],
        ids=["save", "create_user", "update of all", "update of one", "saved again", "SQL", "bulk"],
    )
    def test_nobody_more_becomes_active(self, activate: Callable[[User], object], two_users: list[User]) -> None:
        with pytest.raises(IntegrityError) as caught, transaction.atomic():
            activate(two_users[2])
        problem = as_problem(caught.value)
        assert (type(problem), problem.slug, problem.status) == (LicenseExhausted, "no-free-license", 409)
        assert problem.detail == (
            "As many users are active as the licence names. Deactivate one, or import a licence for more."
        )
        assert (count_active(), User.objects.count()) == (2, 3)

    def test_who_is_not_active_may_be_added_and_who_is_may_change(self, two_users: list[User]) -> None:
        make_user("agent4", is_active=False)
        two_users[0].first_name = "Maria"
        two_users[0].save()
        two_users[2].first_name = "Otto"
        two_users[2].save()
        assert count_active() == 2

    def test_one_who_leaves_makes_room_for_another(self, two_users: list[User]) -> None:
        User.objects.filter(username="agent1").update(is_active=False)
        activate_by_save(two_users[2])
        assert count_active() == 2
        User.objects.filter(username="agent2").delete()
        make_user("agent4")
        assert count_active() == 2

    def test_without_the_section_there_is_no_limit(self) -> None:
        import_license(text=make_license(make_section(licenses=0)), imported_by=None)
        for number in range(3):
            make_user(f"agent{number}")
        assert count_active() == 3

    def test_another_constraint_is_no_full_licence(self) -> None:
        make_user("agent1")
        with pytest.raises(IntegrityError) as caught, transaction.atomic():
            make_user("agent1")
        assert as_problem(caught.value).status == 500


@pytest.mark.django_db
class TestSurfaces:
    """People are told, and do not see an error page."""

    @pytest.fixture
    def administrator(self, client: Client, two_users: list[User]) -> User:
        user = two_users[0]
        user.is_staff = user.is_superuser = True
        user.save()
        client.force_login(user)
        return user

    def add(self, client: Client, **values: str) -> Any:
        data = {"username": "agent4", "password1": PASSWORD, "password2": PASSWORD, "language": "en"}
        return client.post(url_of("add", model="user"), data | values, headers={"accept-language": "en"})

    def change(self, client: Client, user: User, **values: str) -> Any:
        data = {"username": user.username, "language": "en"}
        return client.post(url_of("change", user.pk, model="user"), data | values, headers={"accept-language": "en"})

    def test_the_form_of_a_new_user(self, client: Client, administrator: User) -> None:
        assert errors_of(self.add(client, is_active="on")) == {"__all__": [FULL]}
        assert not User.objects.filter(username="agent4").exists()
        assert self.add(client).status_code == 302
        assert not User.objects.get(username="agent4").is_active

    def test_the_form_of_a_user(self, client: Client, administrator: User, two_users: list[User]) -> None:
        agent2, agent3 = two_users[1:]
        assert errors_of(self.change(client, agent3, is_active="on")) == {"__all__": [FULL]}
        assert self.change(client, agent3, first_name="Otto").status_code == 302
        assert self.change(client, agent2, is_active="on", first_name="Maria").status_code == 302
        assert self.change(client, agent2).status_code == 302
        assert self.change(client, agent3, is_active="on").status_code == 302
        assert list(User.objects.filter(is_active=True).values_list("username", flat=True)) == ["agent1", "agent3"]

    def test_a_page_that_comes_too_late_is_a_problem_and_no_fault(
        self, client: Client, administrator: User, two_users: list[User], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("cmphone.contacts.user_models.require_free_name", lambda: None)
        response = self.change(client, two_users[2], is_active="on")
        assert response.status_code == 409
        assert response.json()["type"].endswith("/problems/no-free-license")
        assert count_active() == 2

    def test_the_site_file(self, two_users: list[User]) -> None:
        with pytest.raises(SiteFileError) as caught:
            apply_site(data={"users": [{"username": "agent4"}, {"username": "agent3", "active": True}]}, environ={})
        assert caught.value.problems == [f"user agent4: {FULL}", f"user agent3: {FULL}"]
        assert count_active() == 2
        swap = [{"username": "agent3", "active": True}, {"username": "agent1", "active": False}]
        apply_site(data={"users": [*swap, {"username": "agent4", "active": False}]}, environ={})
        assert sorted(User.objects.filter(is_active=True).values_list("username", flat=True)) == ["agent2", "agent3"]

    def test_createsuperuser(self, two_users: list[User]) -> None:
        with pytest.raises(CommandError) as caught:
            call_command("createsuperuser", username="root", email="root@example.com", interactive=False)
        assert str(caught.value) == FULL
        assert count_active() == 2

    def test_the_text_for_one_user(self) -> None:
        make_user("agent1")
        import_names(1)
        with pytest.raises(ValidationError) as caught:
            require_free_name()
        assert caught.value.messages == [
            "The licence names 1 user, and 1 is active. Deactivate one, or import a licence for more."
        ]

    def test_the_page_of_the_problem_is_that_of_both_its_kinds(self, client: Client) -> None:
        page = client.get("/problems/no-free-license").content.decode()
        assert "every seat is held by another client, or as many users are active" in page
        assert issubclass(NoFreeLicense, LicenseExhausted)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


@pytest.mark.django_db(transaction=True)
class TestRaces:
    """Imports and activations at the same time."""

    def test_of_two_who_become_active_at_once_only_one_does(
        self, threads: ThreadPoolExecutor, two_users: list[User]
    ) -> None:
        import_names(3)
        with transaction.atomic():
            activate_by_save(two_users[2])
            other = start(threads, partial(make_user, "agent4"))
            wait_for_waiting()
        with pytest.raises(IntegrityError) as caught:
            other.result(timeout=10)
        assert as_problem(caught.value).slug == "no-free-license"
        assert count_active() == 3

    def test_who_waits_for_one_that_fails_becomes_active(
        self, threads: ThreadPoolExecutor, two_users: list[User]
    ) -> None:
        import_names(3)
        with transaction.atomic():
            activate_by_save(two_users[2])
            other = start(threads, partial(activate_by_sql, User.objects.get(username="agent3")))
            another = start(threads, partial(make_user, "agent4"))
            wait_for_waiting(2)
            transaction.set_rollback(True)
        outcomes = [future.exception(timeout=10) for future in (other, another)]
        assert [type(each) for each in outcomes if each is not None] == [IntegrityError]
        assert count_active() == 3

    def test_an_import_waits_for_somebody_on_the_way_and_counts_him(self, threads: ThreadPoolExecutor) -> None:
        make_user("agent1")
        # No section before: there is no row that an activation could hold.
        import_license(text=make_license(), imported_by=None)
        with transaction.atomic():
            make_user("agent2")
            late = start(threads, partial(import_names, 1))
            wait_for_waiting()
        with pytest.raises(LicenseRefused) as caught:
            late.result(timeout=10)
        assert caught.value.members == {"active": 2, "named": 1, "excess": 1}

    def test_somebody_who_comes_during_an_import_counts_by_the_new_licence(self, threads: ThreadPoolExecutor) -> None:
        make_user("agent1")
        import_license(text=make_license(), imported_by=None)
        with transaction.atomic():
            import_names(1)
            late = start(threads, partial(make_user, "agent2"))
            wait_for_waiting()
        with pytest.raises(IntegrityError):
            late.result(timeout=10)
        assert count_active() == 1

    def test_somebody_who_comes_while_the_limit_is_lifted_becomes_active(
        self, threads: ThreadPoolExecutor, two_users: list[User]
    ) -> None:
        with transaction.atomic():
            import_license(text=make_license(), imported_by=None)
            late = start(threads, partial(activate_by_save, two_users[2]))
            wait_for_waiting()
        late.result(timeout=10)
        assert count_active() == 3

    def test_an_import_does_not_wait_for_ever(
        self, threads: ThreadPoolExecutor, two_users: list[User], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(waiting, "WAIT_AT_MOST", timedelta(seconds=0.3))
        with transaction.atomic():
            two_users[0].save()
            late = start(threads, partial(import_names, 5))
            with pytest.raises(Unavailable):
                late.result(timeout=10)
        assert Pool.objects.get(name="NAMED_USERS").licensed == 2

    def test_a_role_and_an_activation_in_either_order_do_not_block_each_other(
        self, threads: ThreadPoolExecutor, two_users: list[User]
    ) -> None:
        import_names(4)
        with transaction.atomic():
            # Not save(), which writes is_superuser, too, and so locks the rights first.
            activate_by_sql(two_users[2])
            other = start(threads, partial(make_user, "agent4"))
            wait_for_waiting()
            make_user("agent5", is_active=False)
        other.result(timeout=10)
        assert count_active() == 4
