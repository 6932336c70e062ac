"""The demo site: that it loads, once, and that it shows what it is there to show."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from cmphone import demo
from cmphone.contacts.models import Contact, User
from cmphone.contacts.selectors import list_contacts
from cmphone.contacts.site.export import read_site
from license.models import LicenseFile, Pool
from numbering.models import IndexEntry
from tests.make import log_in, make_license

pytestmark = pytest.mark.django_db


def load() -> list[str]:
    out = io.StringIO()
    call_command("load_demo", stdout=out)
    return out.getvalue().splitlines()


def look_up(number: str, username: str) -> dict[str, Any]:
    headers = log_in(User.objects.get(username=username))
    return dict(Client().get("/api/v1/lookup", {"number": number}, headers=headers).json())


def test_loading_it_twice_is_loading_it_once() -> None:
    first = load()
    assert first[-4:] == [
        "colleagues: 14 contacts new, 0 changed, 0 as before",
        "customers: 35 contacts new, 0 changed, 0 as before",
        "partners: 17 contacts new, 0 changed, 0 as before",
        "The demo licence is in force.",
    ]
    before = read_site(), list(Contact.objects.order_by("id").values_list()), list(IndexEntry.objects.values_list())
    assert load() == [
        "0 changes of the configuration",
        "colleagues: 0 contacts new, 0 changed, 14 as before",
        "customers: 0 contacts new, 0 changed, 35 as before",
        "partners: 0 contacts new, 0 changed, 17 as before",
    ]
    assert (
        read_site(),
        list(Contact.objects.order_by("id").values_list()),
        list(IndexEntry.objects.values_list()),
    ) == before
    assert LicenseFile.objects.count() == 1
    assert Pool.objects.get().licensed == 10


def test_everybody_of_the_demo_can_log_in_and_sees_his_groups() -> None:
    load()
    seen = {}
    for username, password, _ in demo.DEMO_LOGINS:
        assert Client().login(username=username, password=password)
        contacts = list_contacts(User.objects.get(username=username))
        seen[username] = sorted(set(contacts.values_list("customer_group__name", flat=True)))
    assert seen == {
        "agent1": ["colleagues", "customers"],
        "agent2": ["partners"],
        "admin": ["colleagues", "customers", "partners"],
    }


def test_its_numbers_are_as_dirty_as_real_ones_and_find_their_people() -> None:
    load()
    assert IndexEntry.objects.filter(kind="unreadable").values_list("contact__name", flat=True).get() == "Kaputt, Kevin"
    calls = [
        # an extension, a colleague calling from inside, and the same one from outside
        ("agent1", "0021133990312", "exact", ["Anders, Maria (Einkauf)"]),
        ("agent1", "12", "exact", ["Anders, Maria (Einkauf)"]),
        ("agent1", "+49 (211) 33990317", "exact", ["Wójcik, Łukasz (Lager)"]),
        ("agent1", "0021133990321", "exact", ["Weiß-Öztürk, Birgit (Personal)"]),
        ("agent1", "02113399030", "exact", ["Empfang (Zentrale)"]),
        ("agent1", "0017604069001", "exact", ["Thiele, Ansgar (Außendienst)"]),
        ("agent1", "13", "exact", ["Groß, Jürgen", "Müller, Hans-Peter"]),
        # a local number that three share; somebody in a group the agent may not view has it as well
        (
            "agent1",
            "00211 8712345",
            "exact",
            [
                "Schöne, Jörg (Düssel-Café Schöne Aussicht) – Küche",
                "Schöne, Änne (Düssel-Café Schöne Aussicht) – Inhaberin",
                "Düssel-Café Schöne Aussicht",
            ],
        ),
        ("agent2", "+492118712345", "exact", ["Günter Maier"]),
        # other countries, other habits
        ("agent1", "0390655501 24", "exact", ["Niccolò Bonaventura (Trattoria Città Vecchia S.r.l.)"]),
        ("agent1", "00431234567815", "exact", ["Vreni Obermoser (Alpenblick Optik e. U.)"]),
        ("agent1", "004533123457", "exact", ["Bjørn Ågård (Smørrebrød Ærø ApS)"]),
        ("agent1", "+33199001235", "exact", ["Éloïse Garçon (Librairie Étoile du Nord)"]),
        ("agent1", "00048221234568", "exact", ["Grażyna Świątek (Księgarnia Żółw Sp. z o.o.)"]),
        ("agent1", "04066969213", "exact", ["Ole Jensen (Hafenlogistik Petersen AG)"]),
        ("agent1", "+442079460125", "exact", ["Nigel Ashworth (Thames Valley Teas Ltd)"]),
        (
            "agent2",
            "+1 (212) 555-0100",
            "exact",
            [
                "Freeman, Shanice (Acme Widgets Inc.) – Support",
                "Ortega, Miguel (Acme Widgets Inc.) – Support",
                "Acme Widgets Inc.",
                "Carter, Wendell (Acme Widgets Inc.) – Account manager",
            ],
        ),
        ("agent2", "+61255500101", "exact", ["Kylie Nguyen (Harbour Bridge Imports Pty Ltd)"]),
        # one person in two groups: each agent sees his own, the administrator both
        ("agent1", "+12125550147", "exact", ["Jane Miller"]),
        ("agent2", "+12125550147", "exact", ["Jane Miller"]),
        ("admin", "+12125550147", "exact", ["Miller, Jane – Consultant", "Miller, Jane – Consultant"]),
        # not indexed, but at a company's line; then: not active, not his to see, nobody
        ("agent1", "03023125900", "company", ["Musterbau Bröking GmbH & Co. KG, Berlin"]),
        ("agent1", "0221 4710124", "none", []),
        ("agent2", "0021133990312", "none", []),
        ("agent1", "030 98765432", "none", []),
    ]
    answers = [(username, number, look_up(number, username)) for username, number, _, _ in calls]
    found = [
        (username, number, answer["match"], [contact["name"] for contact in answer["contacts"]])
        for username, number, answer in answers
    ]
    assert found == calls


def test_a_licence_of_the_site_stays_in_force() -> None:
    make_license(5)
    load()
    assert LicenseFile.objects.count() == 1
    assert Pool.objects.get().licensed == 5


def test_it_is_quiet_when_asked_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("load_demo", verbosity=0)
    assert capsys.readouterr() == ("", "")


def test_production_does_not_load_it(settings: Settings) -> None:
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="not for production"):
        load()
    assert not User.objects.exists()
