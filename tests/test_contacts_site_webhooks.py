"""Webhooks in the site file: made, changed and exported with their configuration, and never with their secret."""

import base64
from collections.abc import Mapping
from datetime import timedelta

import pytest
from django.utils import timezone

from cmphone.contacts.site.export import read_site
from cmphone.contacts.site.file import apply_site
from cmphone.contacts.site.tables import SiteFileError, format_site, parse_site
from cmphone.webhooks.models import PauseReason, Webhook
from tests.make import make_customer_group

pytestmark = pytest.mark.django_db

SECRET = "whsec_" + base64.b64encode(b"a" * 32).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"b" * 24).decode()
CRM = """
[[webhooks]]
name = "CRM"
url = "https://crm.example.com/hooks"
events = ["case.created", "contact.created"]
customer_groups = ["customers"]
secret_env = "CRM_SECRET"
"""


def apply(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    environ = {"CRM_SECRET": SECRET} if environ is None else environ
    return [str(change) for change in apply_site(data=parse_site(text.encode()), environ=environ)]


def refuse(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    before = read_site()
    with pytest.raises(SiteFileError) as refusal:
        apply(text, environ)
    assert read_site() == before
    return refusal.value.problems


def test_a_webhook_is_made_once_with_the_secret_of_the_variable() -> None:
    group = make_customer_group("customers")
    assert apply(CRM) == ["webhook CRM: created"]
    webhook = Webhook.objects.get()
    assert (webhook.url, webhook.events) == ("https://crm.example.com/hooks", ["contact.created", "case.created"])
    assert (webhook.is_for_all_groups, list(webhook.customer_groups.all())) == (False, [group])
    assert (webhook.is_active, webhook.secret, webhook.previous_secret) == (True, SECRET, "")
    assert apply(CRM) == []
    assert apply(CRM, {}) == []


def test_each_value_that_changes_is_told_and_the_others_stay() -> None:
    make_customer_group("customers")
    apply(CRM)
    change = '[[webhooks]]\nname = "CRM"\nevents = ["call.missed"]\ncustomer_groups = "all"\nactive = false'
    assert apply(change) == [
        "webhook CRM: events case.created, contact.created → call.missed",
        "webhook CRM: customer_groups customers → all",
        "webhook CRM: active true → false",
    ]
    webhook = Webhook.objects.get()
    assert (webhook.url, webhook.is_active, webhook.secret) == ("https://crm.example.com/hooks", False, SECRET)
    assert (webhook.is_for_all_groups, webhook.customer_groups.count()) == (True, 0)


def test_another_secret_in_the_variable_is_taken_and_the_one_before_signs_along() -> None:
    make_customer_group("customers")
    apply(CRM)
    text = "webhook CRM: secret changed; the one before signs along for a while"
    assert apply(CRM, {"CRM_SECRET": OTHER_SECRET}) == [text]
    assert Webhook.objects.get().list_secrets(timezone.now()) == [OTHER_SECRET, SECRET]
    assert apply(CRM, {"CRM_SECRET": OTHER_SECRET}) == []


def test_a_webhook_without_secret_env_has_a_secret_that_nobody_has_seen() -> None:
    make_customer_group("customers")
    assert apply(CRM.replace('secret_env = "CRM_SECRET"', "")) == [
        "webhook CRM: created",
        "webhook CRM: with a secret that nobody has seen: name one with secret_env, or make one on its page",
    ]
    assert Webhook.objects.get().secret.startswith("whsec_")


def test_a_paused_webhook_that_the_file_makes_active_begins_anew() -> None:
    make_customer_group("customers")
    apply(CRM)
    since = timezone.now() - timedelta(days=2)
    Webhook.objects.update(is_active=False, pause_reason=PauseReason.FAILING, failures=9, failing_since=since)
    assert apply(CRM) == []
    assert apply(f"{CRM}active = true") == ["webhook CRM: active false → true"]
    webhook = Webhook.objects.get()
    assert (webhook.pause_reason, webhook.failures, webhook.failing_since) == ("", 0, None)


def test_an_export_has_every_key_and_no_secret_and_changes_nothing() -> None:
    make_customer_group("customers")
    apply(CRM)
    apply('[[webhooks]]\nname = "all"\nurl = "http://a.example"\nevents = ["call.missed"]')
    text = format_site(read_site())
    assert text.endswith(
        '[[webhooks]]\nname = "CRM"\nurl = "https://crm.example.com/hooks"\n'
        'events = ["contact.created", "case.created"]\ncustomer_groups = ["customers"]\nactive = true\n\n'
        '[[webhooks]]\nname = "all"\nurl = "http://a.example"\nevents = ["call.missed"]\ncustomer_groups = "all"\n'
        "active = true\n"
    )
    assert SECRET not in text
    assert apply(text) == []


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('name = "x"', "webhook x: url is missing."),
        ('name = "x"\nurl = "https://x.example"', "webhook x: events is missing."),
        ('name = "CRM"\nevents = []', "webhook CRM: events: must name at least one event"),
        ('name = "CRM"\nevents = ["contact.read"]', "webhook CRM: events: “contact.read” is no event; there are "),
        ('name = "CRM"\ncustomer_groups = ["none"]', "webhook CRM: customer_groups: there is no “none”."),
        ('name = "CRM"\ncustomer_groups = "customers"', "webhook CRM: customer_groups: must be a list of texts"),
        ('name = "CRM"\nurl = "ftp://x.example"', "webhook CRM: url: Enter an address that begins with https://"),
        ('name = "CRM"\nurl = "https://u:p@x.example"', "webhook CRM: url: Enter an address that begins with"),
        (f'name = "{"x" * 101}"\nurl = "http://x"\nevents = ["call.missed"]', "name: Ensure this value has at most"),
        ('name = "CRM"\nsecret = "whsec_x"', "webhook CRM: There is no key “secret” here; there are name, url, events"),
        ('name = "CRM"\nsecret_env = "BAD"', "webhook CRM: secret_env: the variable must hold whsec_ and behind it"),
        (
            'name = "x"\nurl = "http://x"\nevents = ["call.missed"]\nsecret_env = "NONE"',
            "webhook x: secret_env: the variable NONE is not set.",
        ),
    ],
)
def test_a_bad_webhook_is_refused_and_nothing_of_it_happens(lines: str, problem: str) -> None:
    make_customer_group("customers")
    apply(CRM)
    problems = refuse(f"[[webhooks]]\n{lines}", {"BAD": "whsec_" + base64.b64encode(b"short").decode()})
    assert problem in "\n".join(problems)
