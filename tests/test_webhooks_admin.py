"""The pages of webhooks: for superusers only, with secrets shown once."""

import html
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from cmphone.contacts.models import CustomerGroup, User
from cmphone.contacts.services import save_configuration
from cmphone.webhooks.models import Delivery, EventKind, Webhook
from cmphone.webhooks.services import save_webhook
from tests.admin_pages import errors_of, log_in_as, read, read_messages
from tests.make import make_customer_group, make_person, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group()


@pytest.fixture
def admin(client: Client) -> User:
    return log_in_as(client, "admin", is_superuser=True)


@pytest.fixture
def webhook() -> Webhook:
    webhook = Webhook(name="CRM", url="https://crm.example.com/hook", events=[kind.value for kind in EventKind])
    return save_webhook(webhook, customer_groups=None)


def url_of(page: str, *arguments: object, model: str = "webhook") -> str:
    return reverse(f"admin:webhooks_{model}_{page}", args=arguments)


def make_form(**values: Any) -> dict[str, Any]:
    form = {
        "name": "CRM",
        "url": "https://crm.example.com/hook",
        "events": ["contact.created"],
        "is_for_all_groups": "on",
        "is_active": "on",
        **values,
    }
    return {name: value for name, value in form.items() if value is not None}


def test_a_webhook_is_made_and_its_secret_shown_once(client: Client, admin: User, group: CustomerGroup) -> None:
    response = client.post(
        url_of("add"), make_form(is_for_all_groups=None, customer_groups=[group.pk], events=["call.missed"])
    )

    webhook = Webhook.objects.get()
    page = html.unescape(response.content.decode())
    assert response.status_code == 200
    assert webhook.secret in page
    assert "no-store" in response["Cache-Control"]
    assert (webhook.events, webhook.is_for_all_groups, webhook.is_active) == (["call.missed"], False, True)
    assert list(webhook.customer_groups.all()) == [group]
    for url in (url_of("change", webhook.pk), url_of("changelist"), url_of("history", webhook.pk)):
        assert webhook.secret not in html.unescape(read(client, url))


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"url": "ftp://crm.example.com"}, "url"),
        ({"url": "https://user:secret@crm.example.com/"}, "url"),
        ({"url": ""}, "url"),
        ({"name": ""}, "name"),
        ({"events": []}, "events"),
        ({"events": ["contact.seen"]}, "events"),
        ({"is_for_all_groups": None}, "customer_groups"),
        ({"customer_groups": ["999"]}, "customer_groups"),
    ],
)
def test_what_cannot_be_used_is_told(client: Client, admin: User, values: dict[str, Any], field: str) -> None:
    assert list(errors_of(client.post(url_of("add"), make_form(**values)))) == [field]
    assert not Webhook.objects.exists()


def test_both_all_and_some_groups_are_one_too_many(client: Client, admin: User, group: CustomerGroup) -> None:
    errors = errors_of(client.post(url_of("add"), make_form(customer_groups=[group.pk])))

    assert errors == {"customer_groups": ["Choose either customer groups or all of them."]}


def test_a_change_leaves_what_is_counted_and_the_secret(
    client: Client, admin: User, webhook: Webhook, group: CustomerGroup
) -> None:
    Webhook.objects.update(failures=7, failing_since=timezone.now())
    client.post(url_of("change", webhook.pk), make_form(name="New", is_for_all_groups=None, customer_groups=[group.pk]))

    changed = Webhook.objects.get()
    assert (changed.name, changed.secret, changed.failures) == ("New", webhook.secret, 7)
    assert list(changed.customer_groups.all()) == [group]


def test_a_webhook_whose_last_group_is_deleted_has_to_be_told_whose_events_it_gets(
    client: Client, admin: User, webhook: Webhook, group: CustomerGroup
) -> None:
    save_webhook(webhook, customer_groups=[group.pk])
    save_configuration([group], delete=True)

    errors = errors_of(client.post(url_of("change", webhook.pk), make_form(is_for_all_groups=None)))
    assert errors == {"customer_groups": ["Choose either customer groups or all of them."]}


def test_a_paused_webhook_says_why_and_begins_anew_when_it_is_made_active(
    client: Client, admin: User, webhook: Webhook
) -> None:
    Webhook.objects.update(is_active=False, pause_reason="failing", failures=30, failing_since=timezone.now())
    page = read(client, url_of("change", webhook.pk))
    assert "paused:" in page
    assert "nothing has got through for a day" in page
    assert "30 failed tries since" in page

    client.post(url_of("change", webhook.pk), make_form())
    webhook.refresh_from_db()
    assert (webhook.is_active, webhook.pause_reason, webhook.failures, webhook.failing_since) == (True, "", 0, None)


def test_a_new_secret_is_shown_once_and_the_old_one_goes_on_for_a_while(
    client: Client, admin: User, webhook: Webhook
) -> None:
    response = client.post(url_of("secret", webhook.pk))
    changed = Webhook.objects.get()

    assert changed.secret in html.unescape(response.content.decode())
    assert changed.secret != webhook.secret
    assert changed.list_secrets(timezone.now()) == [changed.secret, webhook.secret]
    assert "the one before signs along until" in read(client, url_of("change", webhook.pk))
    assert client.get(url_of("secret", webhook.pk)).status_code == 302
    assert Webhook.objects.get().secret == changed.secret


def test_a_test_event_is_sent_and_its_delivery_shown(client: Client, admin: User, webhook: Webhook) -> None:
    response = client.post(url_of("test", webhook.pk))

    delivery = Delivery.objects.get()
    assert response["Location"] == url_of("change", delivery.pk, model="delivery")
    assert (delivery.kind, delivery.state) == ("webhook.test", "waiting")
    assert "&quot;type&quot;: &quot;webhook.test&quot;" in read(client, response["Location"])


def test_deliveries_are_shown_and_sent_again(
    client: Client, admin: User, webhook: Webhook, group: CustomerGroup
) -> None:
    person = make_person(group)
    Delivery.objects.update(state="failed", tries=10, next_try_at=None, last_status=500, last_failure="status")
    delivery = Delivery.objects.get()
    page = read(client, url_of("changelist", model="delivery"))
    assert "contact.created" in page or "contact created" in page
    assert "10 / 10" in page
    assert "given up" in page
    shown = html.unescape(read(client, url_of("change", delivery.pk, model="delivery")))
    assert f'/api/v1/contacts/{person.pk}"' in shown
    assert "Anders" not in shown

    client.post(url_of("again", delivery.pk, model="delivery"))
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == ("waiting", 0)
    assert "1 delivery is sent again." in read_messages(client)

    Delivery.objects.update(state="sending")
    action = {"action": "send_selected_again", "_selected_action": [delivery.pk]}
    client.post(url_of("changelist", model="delivery"), action)
    assert "1 is being sent just now." in read_messages(client)
    Webhook.objects.update(is_active=False)
    Delivery.objects.update(state="waiting", tries=3)
    client.post(url_of("changelist", model="delivery"), action)
    assert "The webhook CRM is not active: its deliveries wait until it is." in read_messages(client)
    delivery.refresh_from_db()
    assert delivery.tries == 0


def test_a_webhook_goes_with_its_deliveries(
    client: Client, admin: User, webhook: Webhook, group: CustomerGroup
) -> None:
    make_person(group)
    assert "contact.created" not in read(client, url_of("delete", webhook.pk))
    client.post(url_of("delete", webhook.pk), {"post": "yes"})

    assert (Webhook.objects.count(), Delivery.objects.count()) == (0, 0)


def test_nobody_but_superusers_sees_webhooks(client: Client, webhook: Webhook, group: CustomerGroup) -> None:
    make_person(group)
    delivery = Delivery.objects.get()
    agent = make_user("agent", is_staff=True)
    agent.user_permissions.set(Permission.objects.all())
    client.force_login(agent)
    pages = [
        *(url_of(page) for page in ("changelist", "add")),
        *(url_of(page, webhook.pk) for page in ("change", "delete", "history", "test", "secret")),
        url_of("changelist", model="delivery"),
        *(url_of(page, delivery.pk, model="delivery") for page in ("change", "history", "again")),
    ]
    for url in pages:
        for method in ("get", "post"):
            answer = getattr(client, method)(url, make_form() if method == "post" else {})
            assert (answer.status_code, "crm.example.com" in answer.content.decode()) == (403, False), (method, url)
    assert "webhook" not in read(client, reverse("admin:index")).lower()
    assert (Webhook.objects.get().secret, Delivery.objects.count()) == (webhook.secret, 1)
    assert not Permission.objects.filter(content_type__app_label="webhooks").exists()
