"""Exporting and erasing one person everywhere.

The sweep looks into every table of the database; a table that nothing fills here has to say why it holds no person.
"""

from collections.abc import Iterator
from datetime import timedelta

import orjson
import pytest
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from cmphone.calls.data_protection import erase_person, export_person, measure_person
from cmphone.calls.events import add_event
from cmphone.calls.models import Call, Case
from cmphone.calls.models import EventKind as CallEventKind
from cmphone.contacts.directories.models import Directory, DirectoryEntry
from cmphone.contacts.erasure_models import Erasure, ErasureReason
from cmphone.contacts.imports.models import ImportReport, ImportRun
from cmphone.contacts.imports.runs import create_run, start_run
from cmphone.contacts.imports.work import work_off_runs
from cmphone.contacts.models import Contact, ContactChange, CustomerGroup, Queue, User
from cmphone.contacts.services import ContactDraft, save_contact
from cmphone.problems import Conflict, NotFound
from cmphone.webhooks.models import Delivery, EventKind, Webhook
from cmphone.webhooks.services import save_webhook
from tests.make import (
    TESTS,
    give_rights,
    make_case,
    make_company,
    make_customer_group,
    make_person,
    make_queue,
    make_user,
)

NAME, OLD_NAME, NUMBER, OLD_NUMBER = "Verschwindibus", "Vormalig", "0211 7654399", "0211 5556677"
EXTERNAL_ID, OLD_EXTERNAL_ID = "erase-me-77", "erase-me-66"
# The digits alone are how every form of a number ends.
TRACES = [NAME, OLD_NAME, "7654399", "5556677", EXTERNAL_ID, OLD_EXTERNAL_ID]

# Why there is nothing about a contact in tables that the sweep has not filled.
FREE_OF_CONTACTS = {
    "access_apikey": "who may use the API",
    "access_failedlogin": "names that people log in with",
    "auth_group_permissions": "what staff may do",
    "calls_callright": "what roles may see",
    "calls_line": "lines of the telephone system",
    "calls_line_users": "who answers them",
    "contacts_access": "rights, added up",
    "contacts_creationkey": "keys of forms that were sent; gone with their contact",
    "contacts_fieldchange": "names of fields",
    "contacts_rebuild": "how far the index is built, by numbers of rows",
    "contacts_user_user_permissions": "what staff may do",
    "license_hourlyusage": "counts",
    "license_licensefile": "licences",
    "license_pool": "licences",
    "license_replacedtoken": "tokens of users",
    "license_session": "sessions of users",
    "properties_systemproperty": "settings",
    "releases_clientrelease": "installers of the client",
    "releases_releasechunk": "installers of the client",
    "templates_store_popupfile": "files of popups",
    "templates_store_popupfolder": "files of popups",
    "templates_store_popupversion": "files of popups",
    "webhooks_webhook_customer_groups": "groups that webhooks are told of",
}


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group("customers", country_prefix="49", area_prefix="211")


@pytest.fixture
def root() -> User:
    return make_user("root", is_staff=True, is_superuser=True)


@pytest.fixture
def queue(root: User, group: CustomerGroup) -> Queue:
    return make_queue("helpdesk", [group], give_rights(root, group))


def make_call(root: User, canonical: str, call_id: str = "call-1") -> Call:
    """A missed call of a number."""
    now = timezone.now()
    return Call.objects.create(
        call_id=call_id,
        reporter=root,
        direction="incoming",
        number="0" + canonical.removeprefix("49"),
        canonical=canonical,
        kind="public",
        state="ended",
        is_missed=True,
        started_at=now,
        ended_at=now,
        reported_at=now,
    )


def change(contact: Contact, **values: object) -> Contact:
    """Change a contact's fields, or what is named beside them."""
    contact = Contact.objects.select_related("company").get(pk=contact.pk)
    own = {"external_id": contact.external_id, "is_active": contact.is_active, "company": contact.company}
    beside = {name: values.pop(name, value) for name, value in own.items()}
    fields = {**contact.fields, **values}
    draft = ContactDraft(contact.customer_group_id, contact.kind, fields, contact=contact, **beside)  # type: ignore[arg-type]
    return save_contact(draft, by=TESTS)


def import_file(user: User, group: CustomerGroup, name: str, text: str, *, dry_run: bool = False) -> ImportRun:
    run = create_run(user=user, customer_group_id=group.pk, file_name=name, content=[text.encode()])
    start_run(run, user=user, dry_run=dry_run)
    work_off_runs()
    run.refresh_from_db()
    assert run.state == "finished", run.error
    return run


# --- the sweep ---


def list_tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("select tablename from pg_tables where schemaname = 'public' order by 1")
        return [name for (name,) in cursor.fetchall()]


def find_traces(texts: list[str]) -> set[str]:
    """Return the tables that have one of the texts in any column, as bytes or in a session as well."""
    patterns = [f"%{form}%" for text in texts for form in (text, *_hex_forms(text))]
    found = set()
    with connection.cursor() as cursor:
        for table in list_tables():
            cursor.execute(f'select exists (select from "{table}" t where t::text ilike any(%s))', [patterns])
            if cursor.fetchone()[0]:
                found.add(table)
    sessions = str([session.get_decoded() for session in Session.objects.all()])
    return found | ({"django_session"} if any(text in sessions for text in texts) else set())


def _hex_forms(text: str) -> Iterator[str]:
    for encoding in ("utf-8", "utf-16-le"):
        yield text.encode(encoding).hex()


@pytest.fixture
def person(root: User, group: CustomerGroup, queue: Queue) -> Contact:
    """A person in every place there is, by the ways by which one gets there."""
    save_webhook(Webhook(name="crm", url="https://crm.example.com/hook", events=EventKind.values), customer_groups=None)
    client = Client()
    client.force_login(root)
    url = reverse("admin:contacts_contact_add", query={"customer_group": group.pk, "kind": "person"})
    fields = {"fields/last_name": OLD_NAME, "fields/first_name": "Maria", "fields/phone": OLD_NUMBER}
    posted = {**fields, "is_active": "on", "external_id": OLD_EXTERNAL_ID}
    assert client.post(url, posted).status_code == 302
    person = Contact.objects.get()
    change(person, last_name=NAME, external_id=EXTERNAL_ID)
    line = f"external_id,last_name,first_name,phone,mobile\n{EXTERNAL_ID},{NAME},Maria,{NUMBER},{NAME}\n"
    import_file(root, group, f"maria_{NAME.lower()}.csv", line)
    import_file(root, group, "again.csv", line, dry_run=True)
    create_run(user=root, customer_group_id=group.pk, file_name="draft.csv", content=[line.encode("utf-16")])
    # Where somebody forgot that the first line names the columns.
    options = {"header": [EXTERNAL_ID, NAME], "mapping": ["", ""]}
    failed = ImportRun.objects.create(
        source="csv", customer_group=group, state="failed", options=options, left_out=[[NAME, "person", 3]]
    )
    ImportReport.objects.create(
        run=failed,
        outcomes=[[1, "refused", None]],
        findings=[[1, "external_id", "There is one already.", EXTERNAL_ID, True]],
    )
    directory = Directory.objects.create(name="ad", customer_group=group, uri="ldaps://x", base="dc=x")
    DirectoryEntry.objects.create(directory=directory, contact=person, external_id=EXTERNAL_ID)
    make_case(root, person, queue, f"{NAME} has called", f"From {NUMBER}")
    for n, canonical in enumerate(["492117654399", "492115556677"]):
        with transaction.atomic():
            add_event(make_call(root, canonical, f"{canonical}-{n}"), CallEventKind.MISSED)
    now = timezone.now()
    Delivery.objects.create(
        webhook=Webhook.objects.get(), kind="call.missed", subject_id="492117654399-0", occurred_at=now, next_try_at=now
    )
    client.post(reverse("admin:contacts_contact_data_protection", args=[person.pk]), {"_export": ""})
    return Contact.objects.get()


@pytest.mark.django_db(transaction=True)
def test_after_an_erasure_no_table_of_the_database_tells_of_the_person(root: User, person: Contact) -> None:
    assert find_traces(TRACES) == {
        "calls_call",
        "calls_case",
        "contacts_contact",
        "contacts_contactchange",
        "contacts_directoryentry",
        "contacts_importfilechunk",
        "contacts_importreport",
        "contacts_importrun",
        "numbering_indexentry",
        "webhooks_delivery",
    }

    erase_person(root, person.pk, reason=ErasureReason.REQUEST)

    assert find_traces(TRACES) == set()
    assert list(Delivery.objects.values_list("kind", "subject_id", "data")) == [
        ("contact.deleted", str(person.pk), {"external_id": "", "version": 3})
    ]
    # What happened can still be seen.
    (erasure,) = Erasure.objects.all()
    assert (erasure.contact_id, erasure.reason, erasure.user_name) == (person.pk, "request", "root")
    assert [run.counts.get("changed") for run in ImportRun.objects.order_by("pk")] == [1, 0, None]


@pytest.mark.django_db(transaction=True)
def test_every_table_is_swept_or_free_of_contacts(root: User, person: Contact) -> None:
    """A new table that may hold something of contacts is filled above, and erased; another one is listed."""
    with connection.cursor() as cursor:
        empty = set()
        for table in list_tables():
            cursor.execute(f'select exists (select from "{table}")')
            if not cursor.fetchone()[0]:
                empty.add(table)

    erase_person(root, person.pk, reason=ErasureReason.REQUEST)

    # Those that the erasure itself fills.
    assert empty - FREE_OF_CONTACTS.keys() - {"contacts_erasure"} == set()
    assert FREE_OF_CONTACTS.keys() - set(list_tables()) == set()


# --- what is whose ---


@pytest.mark.django_db
def test_the_export_has_all_of_the_person(root: User, group: CustomerGroup, queue: Queue) -> None:
    company = make_company(group)
    person = make_person(group, NAME, company=company, phone=NUMBER)
    person = change(person, last_name="Anders")
    make_case(root, person, queue, "Printer", "It burns.")
    make_call(root, "492117654399")

    data = orjson.loads(orjson.dumps(export_person(root, person.pk)))

    contact = data["contact"]
    assert contact["fields"] == {"first_name": "Maria", "last_name": "Anders", "phone": NUMBER}
    assert contact["names"]["standard"]["details"] == "Maria Anders (Alfreds Futterkiste)"
    assert contact["company"] == {"id": str(company.pk), "name": "Alfreds Futterkiste"}
    assert [(each["by"], each["new"], each["changes"]) for each in data["history"]] == [
        ("system", True, {}),
        ("system", False, {"fields/last_name": [NAME, "Anders"]}),
    ]
    assert [(case["subject"], case["description"]) for case in data["cases"]] == [("Printer", "It burns.")]
    assert [(call["number"], call["is_missed"]) for call in data["calls"]] == [("02117654399", True)]
    assert [number["canonical"] for number in data["numbers"]] == ["492117654399"]


@pytest.mark.django_db
@pytest.mark.parametrize("other", ["same number", "same name", "person of the company", "other group"])
def test_the_export_and_the_erasure_leave_others_alone(
    root: User, group: CustomerGroup, queue: Queue, other: str
) -> None:
    company = make_company(group, f"{NAME} AG", phone=NUMBER)
    elsewhere = make_customer_group("elsewhere", country_prefix="49")
    neighbour = make_person(
        elsewhere if other == "other group" else group,
        f"{NAME} AG" if other == "same name" else "Nachbar",
        company=company if other == "person of the company" else None,
        first_name="Geheim",
        private_phone="0211 999 888 77",
        phone="" if other == "same name" else NUMBER,
    )
    if other != "other group":
        make_case(root, neighbour, queue, "Geheim", "Geheim")
    call = make_call(root, "492117654399")
    entries = neighbour.index_entries.count()

    exported = orjson.dumps(export_person(root, company.pk)).decode()
    erase_person(root, company.pk, reason=ErasureReason.REQUEST, leaves_persons=True)

    assert ("Geheim" in exported, "99988877" in exported.replace(" ", ""), "Nachbar" in exported) == (False,) * 3
    left = Contact.objects.get()
    assert (left.pk, left.company, left.fields["first_name"]) == (neighbour.pk, None, "Geheim")
    assert left.index_entries.count() == entries
    assert Case.objects.filter(contact=left).count() == (other != "other group")
    is_shared = other != "same name"
    assert Call.objects.filter(pk=call.pk).exists() == is_shared
    assert ("02117654399" in exported) == (not is_shared)


@pytest.mark.django_db
def test_a_number_that_the_person_once_had_alone_takes_its_calls_along(root: User, group: CustomerGroup) -> None:
    person = make_person(group, phone=OLD_NUMBER)
    change(person, phone=NUMBER, is_active=False)
    make_call(root, "492115556677")

    assert measure_person(root, person.pk).calls == 1
    erase_person(root, person.pk, reason=ErasureReason.CONSENT)

    assert Call.objects.count() == 0


@pytest.mark.django_db
def test_a_company_with_persons_is_erased_only_by_who_says_what_becomes_of_them(
    root: User, group: CustomerGroup
) -> None:
    company = make_company(group, "Alfreds")
    person = make_person(group, company=company)
    assert "Alfreds" in person.name_details

    with pytest.raises(Conflict, match="Persons belong to this company"):
        erase_person(root, company.pk, reason=ErasureReason.REQUEST)
    assert (Contact.objects.count(), Erasure.objects.count()) == (2, 0)

    erase_person(root, company.pk, reason=ErasureReason.REQUEST, leaves_persons=True)

    left = Contact.objects.get()
    assert (left.pk, left.company, left.name_details) == (person.pk, None, "Maria Anders")
    assert ContactChange.objects.latest("id").changes == {"company": [str(company.pk), None]}


@pytest.mark.django_db
def test_nothing_is_erased_while_a_file_is_imported_that_may_have_the_person(root: User, group: CustomerGroup) -> None:
    person = make_person(group)
    run = create_run(user=root, customer_group_id=group.pk, file_name="x.csv", content=[b"last_name\nAnders\n"])
    start_run(run, user=root, dry_run=False)

    with pytest.raises(Conflict, match="A file is being imported"):
        erase_person(root, person.pk, reason=ErasureReason.REQUEST)

    assert (Contact.objects.count(), Erasure.objects.count()) == (1, 0)


@pytest.mark.django_db
def test_lines_of_others_stay_in_the_reports(root: User, group: CustomerGroup) -> None:
    person, other = make_person(group, phone=NUMBER), make_person(group, "Nachbar", phone=NUMBER)
    report = ImportReport.objects.create(
        run=ImportRun.objects.create(source="csv", customer_group=group, state="finished", file_name="x.csv"),
        outcomes=[[1, "created", person.pk], [2, "created", other.pk], [3, "refused", None]],
        findings=[
            [1, "phone", "doubtful", NUMBER, False],
            [2, "phone", "doubtful", NUMBER, False],
            [3, "phone", "wrong", NUMBER, True],
            [3, "name", "wrong", "somebody", True],
        ],
    )

    erase_person(root, person.pk, reason=ErasureReason.REQUEST)

    report.refresh_from_db()
    assert report.outcomes == [[1, "created", None], [2, "created", other.pk], [3, "refused", None]]
    assert report.findings == [
        [2, "phone", "doubtful", NUMBER, False],
        [3, "phone", "wrong", "", True],
        [3, "name", "wrong", "somebody", True],
    ]
    assert ImportRun.objects.get().file_name == "x.csv"


@pytest.mark.django_db
@pytest.mark.parametrize("who", ["agent", "inactive root"])
def test_only_superusers_export_and_erase(group: CustomerGroup, who: str) -> None:
    user = make_user("someone", is_staff=True, is_superuser=who != "agent", is_active=who == "agent")
    give_rights(user, group, create=True, edit=True)
    person = make_person(group)

    for call in (
        lambda: export_person(user, person.pk),
        lambda: measure_person(user, person.pk),
        lambda: erase_person(user, person.pk, reason=ErasureReason.REQUEST),
    ):
        with pytest.raises(NotFound):
            call()
    assert Contact.objects.count() == 1


# --- the page ---


@pytest.mark.django_db
def test_the_page_erases_by_reason_and_typed_id(client: Client, root: User, group: CustomerGroup) -> None:
    client.force_login(root)
    person = make_person(group, NAME, phone=NUMBER)
    url = reverse("admin:contacts_contact_data_protection", args=[person.pk])
    assert url in client.get(reverse("admin:contacts_contact_change", args=[person.pk])).content.decode()

    for wrong in ({}, {"reason": "request", "typed_id": str(person.pk + 1)}, {"reason": "", "typed_id": person.pk}):
        response = client.post(url, wrong)
        assert response.status_code == 200
        assert response.context["form"].errors
    # The clock's reason is not for people.
    assert client.post(url, {"reason": "retention", "typed_id": person.pk}).context["form"].errors
    assert Contact.objects.count() == 1

    response = client.post(url, {"reason": "request", "typed_id": str(person.pk)}, follow=True)

    assert [str(message) for message in response.context["messages"]] == [f"Contact {person.pk} was erased."]
    assert NAME not in response.content.decode()
    assert (Contact.objects.count(), Erasure.objects.get().user) == (0, root)
    assert client.get(url).status_code == 404


@pytest.mark.django_db
def test_the_page_says_why_a_company_stays(client: Client, root: User, group: CustomerGroup) -> None:
    client.force_login(root)
    company = make_company(group)
    make_person(group, company=company)
    url = reverse("admin:contacts_contact_data_protection", args=[company.pk])

    response = client.post(url, {"reason": "purpose", "typed_id": str(company.pk)})

    assert response.context["form"].non_field_errors() == [
        "Persons belong to this company. Erase them first, or say that they stay without a company."
    ]
    form = {"reason": "purpose", "typed_id": str(company.pk), "leaves_persons": "on"}
    assert client.post(url, form).status_code == 302
    assert Contact.objects.get().company is None


@pytest.mark.django_db
def test_the_export_is_a_file_that_is_written_down(client: Client, root: User, group: CustomerGroup) -> None:
    client.force_login(root)
    person = make_person(group, NAME)
    url = reverse("admin:contacts_contact_data_protection", args=[person.pk])

    response = client.post(url, {"_export": ""})

    assert response.headers["Content-Disposition"] == f'attachment; filename="contact-{person.pk}.json"'
    assert orjson.loads(response.content)["contact"]["fields"]["last_name"] == NAME
    assert "no-store" in response.headers["Cache-Control"]
    log = root.logentry_set.get()
    assert (log.object_repr, log.change_message) == (f"contact {person.pk}", "exported for data protection")


@pytest.mark.django_db
def test_to_everybody_else_there_is_no_such_page(client: Client, group: CustomerGroup) -> None:
    agent = make_user("agent", is_staff=True)
    give_rights(agent, group, create=True, edit=True)
    client.force_login(agent)
    person = make_person(group)
    url = reverse("admin:contacts_contact_data_protection", args=[person.pk])

    page = client.get(reverse("admin:contacts_contact_change", args=[person.pk])).content.decode()
    assert "data-protection" not in page
    for body in ({}, {"_export": ""}, {"reason": "request", "typed_id": str(person.pk)}):
        assert client.post(url, body).status_code == 404
    assert client.get(url).status_code == 404
    assert Contact.objects.count() == 1
    assert client.get(reverse("admin:contacts_erasure_changelist")).status_code == 403


@pytest.mark.django_db
def test_the_list_of_erasures_allows_sources_to_bring_back(client: Client, root: User, group: CustomerGroup) -> None:
    client.force_login(root)
    person = change(make_person(group), external_id=EXTERNAL_ID)
    erasure = erase_person(root, person.pk, reason=ErasureReason.REQUEST)
    url = reverse("admin:contacts_erasure_changelist")
    assert EXTERNAL_ID not in client.get(url).content.decode()

    response = client.post(url, {"action": "allow_again", "_selected_action": [erasure.pk]}, follow=True)

    assert [str(message) for message in response.context["messages"]] == ["1 contact may come again."]
    erasure.refresh_from_db()
    assert erasure.external_id_hash == ""
    assert erasure.lifted_at is not None
    assert timezone.now() - erasure.lifted_at < timedelta(minutes=1)
