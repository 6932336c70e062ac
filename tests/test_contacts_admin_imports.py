"""The pages that import contacts: what they show, and that nobody meets what is not his."""

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.utils import ContextList

from cmphone.contacts.imports.models import ImportFileChunk, ImportRun
from cmphone.contacts.imports.work import work_off_runs
from cmphone.contacts.models import Contact, ContactField, CustomerGroup, CustomerGroupRight, User
from cmphone.environment import SettingsError, read_number
from tests.admin_pages import NOWHERE, log_in_as, read, read_messages, url_of
from tests.make import give_rights, make_customer_group, make_person, make_user

pytestmark = pytest.mark.django_db

CONTENT = "Nachname;Telefon;Firma;Hobby\nAnders;0211 33990312;Alfreds;Schach\nBerg;see note;;\n;;;\n"


@pytest.fixture
def group() -> CustomerGroup:
    group = make_customer_group("customers", country_prefix="49")
    ContactField.objects.filter(name="last_name").update(label_de="Nachname", label_en="Last name")
    ContactField.objects.filter(name="phone").update(label_de="Telefon", label_en="Phone")
    return group


@pytest.fixture
def importer(client: Client, group: CustomerGroup) -> User:
    """Somebody who has logged in, and may import into the group."""
    user = log_in_as(client, "importer")
    give_rights(user, group, create=True, edit=True)
    return user


def upload(
    client: Client, group: CustomerGroup, content: str | bytes = CONTENT, name: str = "contacts.csv"
) -> ImportRun:
    """Hand a file in, and return the draft."""
    data = content.encode() if isinstance(content, str) else content
    file = SimpleUploadedFile(name, data)
    response = client.post(page("add"), {"customer_group": group.pk, "file": file})
    assert response.status_code == 302, response.context["form"].errors
    run = ImportRun.objects.latest("id")
    assert response.headers["Location"] == page("change", run.pk)
    return run


def page(name: str, *arguments: object) -> str:
    return url_of(name, *arguments, model="importrun")


def settings_of(client: Client, run: ImportRun) -> dict[str, object]:
    """Return what the page of a draft would send if nothing were changed."""
    form = client.get(page("change", run.pk)).context["form"]
    values = {bound.html_name: bound.initial for bound in form}
    return {name: value for name, value in values.items() if value not in (None, False)}


def send(client: Client, run: ImportRun, button: str, **changes: object) -> ImportRun:
    """Press a button of a draft's page, and return the run as it is then."""
    values = {**settings_of(client, run), **{name.replace("__", "-"): value for name, value in changes.items()}}
    response = client.post(page("change", run.pk), {**values, button: "1"})
    assert response.status_code == 302, (response.context["form"].errors, values)
    run.refresh_from_db()
    return run


def preview_of(client: Client, run: ImportRun) -> list[tuple[object, ...]]:
    """Return what the preview shows: line, outcome, name, values, and how many findings."""
    records = client.get(page("change", run.pk)).context["records"]
    return [
        (r["number"], str(r["outcome"]), r["contact"] and r["contact"].name, dict(r["values"]), len(r["findings"]))
        for r in records
    ]


@pytest.mark.usefixtures("importer")
def test_a_file_is_looked_at_and_imported(client: Client, group: CustomerGroup) -> None:
    run = upload(client, group)
    assert (run.state, run.source, run.file_name) == ("draft", "csv", "contacts.csv")
    values = settings_of(client, run)
    assert values == {
        "encoding": "utf-8-sig",
        "delimiter": ";",
        "column-0": "last_name",
        "column-1": "phone",
        "column-2": "",
        "column-3": "",
    }
    # Looked at only.
    assert preview_of(client, run) == [
        (2, "created", "Anders,", {"Last name": "Anders", "Phone": "0211 33990312"}, 0),
        (3, "created", "Berg,", {"Last name": "Berg", "Phone": "see note"}, 1),
    ]
    assert Contact.objects.count() == 0

    send(client, run, "_preview", column__2="company")
    assert preview_of(client, run)[0][2] == "Anders,"
    assert "Alfreds" in read(client, page("change", run.pk))
    assert Contact.objects.count() == 0

    assert send(client, run, "_import").state == "waiting"
    html = read(client, page("change", run.pk))
    assert '<meta http-equiv="refresh"' in html
    work_off_runs()
    response = client.get(page("change", run.pk))
    assert [(str(label), count) for label, count in response.context["counts"]] == [
        ("records", "2"),
        ("created", "2"),
        ("changed", "0"),
        ("unchanged", "0"),
        ("refused", "0"),
        ("companies made for their persons", "1"),
        ("numbers that cannot be read", "1"),
    ]
    assert '<meta http-equiv="refresh"' not in response.content.decode()
    berg = Contact.objects.get(fields__last_name="Berg")
    assert url_of("change", berg.pk) in response.content.decode()


@pytest.mark.usefixtures("importer")
def test_the_report_is_a_file_that_no_spreadsheet_runs(client: Client, group: CustomerGroup) -> None:
    run = upload(client, group, "last_name;phone\nAnders;=SUM()\nBerg;\n")
    send(client, run, "_import")
    work_off_runs()
    response = client.get(page("report", run.pk))
    assert response.headers["Content-Disposition"] == f'attachment; filename="import-{run.pk}.csv"'
    text = b"".join(response).decode("utf-8-sig")
    anders, berg = Contact.objects.order_by("id")
    assert text.splitlines() == [
        "line of the file,outcome,contact,column,level,message,value",
        f"2,created,{anders.pk},phone,warning,This cannot be read as a number; it is kept as typed.,'=SUM()",
        f"3,created,{berg.pk},,,,",
    ]


# Its progress is written through another connection.
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("importer")
def test_a_dry_run_is_imported_or_changed_from_its_page(client: Client, group: CustomerGroup) -> None:
    run = upload(client, group)
    send(client, run, "_dry_run")
    work_off_runs()
    html = read(client, page("change", run.pk))
    assert "This was a dry run: nothing has changed." in html
    assert Contact.objects.count() == 0

    response = client.post(page("change", run.pk), {"_settings": "1"})
    draft = ImportRun.objects.latest("id")
    assert response.headers["Location"] == page("change", draft.pk)
    assert (draft.state, draft.options) == ("draft", run.options)
    # The file has moved on.
    assert "_import" not in read(client, page("change", run.pk))
    send(client, draft, "_dry_run")
    work_off_runs()
    client.post(page("change", draft.pk), {"_import": "1"})
    work_off_runs()
    assert Contact.objects.count() == 2
    assert ImportFileChunk.objects.count() == 0
    assert "Finished" in read(client, page("change", ImportRun.objects.latest("id").pk))


@pytest.mark.usefixtures("importer")
def test_another_encoding_or_delimiter_makes_other_columns(client: Client, group: CustomerGroup) -> None:
    run = upload(client, group, "last_name|phone,x\nAndré|12,1\n".encode("cp850"))
    # What cannot be told: it is no UTF-8, and Windows-1252 has every byte of it.
    assert (run.options["encoding"], run.options["delimiter"], run.options["header"]) == (
        "cp1252",
        "|",
        ["last_name", "phone,x"],
    )
    # Not imported before somebody has seen the columns.
    send(client, run, "_import", encoding="cp850")
    assert (run.state, run.options["encoding"], run.options["mapping"]) == ("draft", "cp850", ["last_name", ""])
    assert read_messages(client) == ["The file is read in another way now: look at its columns again."]
    assert preview_of(client, run)[0][3] == {"Last name": "André"}
    send(client, run, "_preview", delimiter=",")
    assert run.options["header"] == ["last_name|phone", "x"]
    response = client.get(page("change", run.pk))
    assert response.context["records"] == []
    assert "none of it is a field" in response.context["problem"]

    response = client.post(page("change", run.pk), {**settings_of(client, run), "encoding": "utf-16", "_preview": "1"})
    assert response.status_code == 200
    assert response.context["form"].non_field_errors()
    run.refresh_from_db()
    assert run.options["encoding"] == "cp850"


@pytest.mark.usefixtures("importer")
def test_an_encoding_that_cannot_be_told_is_named_with_the_file(client: Client, group: CustomerGroup) -> None:
    def send_file(encoding: str) -> object:
        file = SimpleUploadedFile("old.csv", "last_name\nMüller\n".encode("cp850"))
        return client.post(page("add"), {"customer_group": group.pk, "file": file, "encoding": encoding}).context

    context = send_file("")
    assert isinstance(context, ContextList)
    assert list(context["form"].errors["file"]) == [
        "old.csv is neither UTF-8 nor Windows-1252: name its encoding, for example cp850."
    ]
    assert send_file("cp850") is None
    assert preview_of(client, ImportRun.objects.get()) == [(2, "created", "Müller,", {"Last name": "Müller"}, 0)]


@pytest.mark.usefixtures("importer")
def test_what_cannot_be_imported_is_said_beside_it_and_starts_nothing(client: Client, group: CustomerGroup) -> None:
    run = upload(client, group)
    values = settings_of(client, run)
    for changes, field, message in (
        ({"column-2": "phone"}, "column-2", "The column “Telefon” goes into this field already."),
        ({"column-0": "", "column-1": ""}, "__all__", "The first line must name the columns; none of it is a field."),
    ):
        response = client.post(page("change", run.pk), {**values, **changes, "_import": "1"})
        (error,) = response.context["form"].errors[field]
        assert error.startswith(message)
    run.refresh_from_db()
    assert run.state == "draft"


@pytest.mark.usefixtures("importer")
def test_a_file_that_is_none_or_too_large_is_refused_with_a_reason(
    client: Client, group: CustomerGroup, settings: LazySettings
) -> None:
    def errors(content: bytes) -> list[str]:
        file = SimpleUploadedFile("contacts.xlsx", content)
        form = client.post(page("add"), {"customer_group": group.pk, "file": file}).context["form"]
        return list(form.errors["file"])

    assert errors(b"PK\x03\x04") == ["contacts.xlsx is a spreadsheet or an archive: save it as CSV."]
    assert errors(b"") == ["contacts.xlsx is empty: its first line must name the columns."]
    settings.IMPORT_MAX_MB = 1
    assert errors(b"last_name\n" + b"x" * 1_000_000) == [
        "The file is larger than 1 MB. Import it in parts, or by the command import_contacts."
    ]
    assert ImportRun.objects.count() == 0


@pytest.mark.usefixtures("importer")
def test_a_running_import_is_cancelled_and_a_draft_discarded(client: Client, group: CustomerGroup) -> None:
    run = upload(client, group)
    send(client, run, "_import")
    client.post(page("change", run.pk), {"_cancel": "1"})
    run.refresh_from_db()
    assert run.state == "cancelled"
    client.post(page("change", run.pk), {"_cancel": "1"})
    assert read_messages(client) == ["This import has ended already."]
    draft = upload(client, group)
    client.post(page("change", draft.pk), {"_discard": "1"})
    assert not ImportRun.objects.filter(pk=draft.pk).exists()
    assert work_off_runs() == 0


@pytest.mark.usefixtures("importer")
def test_who_waits_is_told_how_many_come_first(client: Client, group: CustomerGroup) -> None:
    first, second = upload(client, group), upload(client, group)
    send(client, first, "_import")
    send(client, second, "_import")
    assert "1 other import is worked off before it." in read(client, page("change", second.pk))
    assert "worked off before it" not in read(client, page("change", first.pk))


def test_another_user_meets_no_import_and_a_superuser_all(client: Client, group: CustomerGroup, importer: User) -> None:
    run = upload(client, group)
    other = make_user("other", is_staff=True)
    give_rights(other, group, create=True, edit=True)
    client.force_login(other)
    assert list(client.get(page("changelist")).context["cl"].result_list) == []
    for id in (run.pk, NOWHERE, "x"):
        for url in (page("change", id), page("report", id)):
            assert client.get(url).status_code == 404
            assert client.post(url, {"_import": "1"}).status_code == 404
    log_in_as(client, "root", is_superuser=True)
    assert list(client.get(page("changelist")).context["cl"].result_list) == [run]
    send(client, run, "_import")
    # It goes by who started it.
    assert (run.user_name, importer.username) == ("root", "importer")


@pytest.mark.parametrize("missing", ["can_view", "can_create", "can_edit"])
def test_without_every_right_on_a_group_there_are_no_pages(client: Client, group: CustomerGroup, missing: str) -> None:
    user = log_in_as(client, "agent")
    give_rights(user, group, create=True, edit=True)
    CustomerGroupRight.objects.update(**{missing: False})
    for name in ("changelist", "add"):
        assert client.get(page(name)).status_code == 404
    file = SimpleUploadedFile("contacts.csv", CONTENT.encode())
    assert client.post(page("add"), {"customer_group": group.pk, "file": file}).status_code == 404
    assert "importrun" not in client.get("/admin/").content.decode()


@pytest.mark.usefixtures("importer")
def test_a_group_that_is_not_his_is_not_there_to_choose(client: Client, group: CustomerGroup) -> None:
    hidden = make_customer_group("hidden")
    form = client.get(page("add")).context["form"]
    assert form.fields["customer_group"].choices == [(group.pk, "customers en")]
    file = SimpleUploadedFile("contacts.csv", CONTENT.encode())
    form = client.post(page("add"), {"customer_group": hidden.pk, "file": file}).context["form"]
    assert list(form.errors) == ["customer_group"]
    # As one that does not exist.
    file = SimpleUploadedFile("contacts.csv", CONTENT.encode())
    nowhere = client.post(page("add"), {"customer_group": NOWHERE, "file": file}).context["form"]
    assert str(nowhere.errors).replace(str(NOWHERE), "") == str(form.errors).replace(str(hidden.pk), "")


def test_who_lost_the_right_sees_his_import_but_nothing_of_contacts(
    client: Client, group: CustomerGroup, importer: User
) -> None:
    make_person(group, "Anders", phone="0211 33990312")
    run, draft = upload(client, group), upload(client, group)
    send(client, run, "_import")
    CustomerGroupRight.objects.update(can_view=False)
    work_off_runs()
    html = read(client, page("change", run.pk))
    assert "may not view, create and edit contacts of this customer group any more" in html
    CustomerGroupRight.objects.update(can_view=True)
    run = upload(client, group)
    send(client, run, "_import")
    work_off_runs()
    assert "see note" in read(client, page("change", run.pk))
    CustomerGroupRight.objects.update(can_view=False)
    html = read(client, page("change", run.pk))
    assert "see note" not in html
    assert "report/" not in html
    assert client.get(page("report", run.pk)).status_code == 404
    assert client.get(page("change", draft.pk)).status_code == 404
    assert client.post(page("change", draft.pk), {"_import": "1"}).status_code == 404


@pytest.mark.usefixtures("importer")
def test_a_preview_reads_the_beginning_only(client: Client, group: CustomerGroup) -> None:
    run = upload(client, group, "last_name\n" + "".join(f"Person {n}\n" for n in range(150_000)))
    assert run.chunks.count() == 2
    assert run.total == 150_000
    run.chunks.filter(number=1).update(data=b"\xff\xfe")
    assert [line[:3] for line in preview_of(client, run)] == [(n + 2, "created", f"Person {n},") for n in range(10)]


CARDS = (
    "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Anders;Maria;;;\r\nFN:Maria Anders\r\nTEL;TYPE=CELL:0171 1234567\r\n"
    "ORG:Alfreds Futterkiste\r\nEND:VCARD\r\n"
    "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Christina Berg\r\nN:Berg;Christina;;;\r\nTEL;VALUE=uri:tel:+49-211-33990312\r\n"
    "END:VCARD\r\n"
)


@pytest.mark.usefixtures("importer")
def test_vcards_are_known_by_their_content_and_imported_twice_make_nobody_twice(
    client: Client, group: CustomerGroup
) -> None:
    for created in (3, 0):
        run = upload(client, group, CARDS, name="addresses.txt")
        assert (run.source, run.total) == ("vcard", 2)
        assert [line[:3] for line in preview_of(client, run)] == [
            (1, "created" if created else "unchanged", "Anders, Maria"),
            (2, "created" if created else "unchanged", "Berg, Christina"),
        ]
        assert "Which field each column is" not in read(client, page("change", run.pk))
        assert "How the file is read" not in read(client, page("change", run.pk))
        before = Contact.objects.count()
        send(client, run, "_import")
        work_off_runs()
        run.refresh_from_db()
        assert (run.state, Contact.objects.count() - before) == ("finished", created)


@pytest.mark.usefixtures("importer")
def test_people_say_which_field_a_property_of_vcards_is(client: Client, group: CustomerGroup) -> None:
    run = upload(client, group, CARDS, name="addresses.vcf")
    properties = ["ORG;PART=name", "N;PART=family", "N;PART=given", "FN", "TEL;TYPE=cell", "TEL"]
    form = client.get(page("change", run.pk)).context["form"]
    assert [bound.label for bound in form.columns] == properties
    assert [dict(bound.field.choices)[bound.initial] for bound in form.columns] == [
        "as recognized: The person's company",
        "as recognized: Last name (person)",
        "as recognized: first_name (person)",
        "as recognized: no field",
        "as recognized: mobile (person)",
        "as recognized: Phone (person, company)",
    ]
    assert preview_of(client, run)[0][3] == {"first_name": "Maria", "Last name": "Anders", "mobile": "0171 1234567"}

    # The number of the first card is left out, and goes not where those without a type go.
    send(client, run, "_preview", column__0="", column__2="external_id", column__4="", column__5="first_name")
    assert preview_of(client, run) == [
        (1, "created", "Anders,", {"Last name": "Anders"}, 0),
        (2, "created", "Berg, +49-211-33990312", {"Last name": "Berg", "first_name": "+49-211-33990312"}, 0),
    ]
    assert run.options["mapping"] == ["", "*", "external_id", "*", "", "first_name"]
    send(client, run, "_import")
    work_off_runs()
    assert list(Contact.objects.order_by("id").values_list("external_id", "fields")) == [
        ("Maria", {"last_name": "Anders"}),
        ("Christina", {"last_name": "Berg", "first_name": "+49-211-33990312"}),
    ]
    report = b"".join(client.get(page("report", run.pk))).decode("utf-8-sig")
    assert report.startswith("card of the file,outcome,")


# The dry run writes its progress through another connection.
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("importer")
def test_a_dry_run_of_vcards_and_its_import_keep_what_people_said(client: Client, group: CustomerGroup) -> None:
    run = upload(client, group, CARDS, name="addresses.vcf")
    send(client, run, "_dry_run", column__4="last_name", column__0="")
    work_off_runs()
    client.post(page("change", run.pk), {"_import": "1"})
    work_off_runs()
    assert list(Contact.objects.order_by("id").values_list("fields__last_name", flat=True)) == [
        "Anders; 0171 1234567",
        "Berg",
    ]


@pytest.mark.usefixtures("importer")
def test_a_property_goes_into_no_field_that_there_is_not(client: Client, group: CustomerGroup) -> None:
    run = upload(client, group, CARDS, name="addresses.vcf")
    for wrong in ("kind", "fone", "TEL"):
        response = client.post(page("change", run.pk), {**settings_of(client, run), "column-0": wrong, "_import": "1"})
        assert list(response.context["form"].errors) == ["column-0"]
    run.refresh_from_db()
    assert (run.state, run.options["mapping"]) == ("draft", ["*"] * 6)


@pytest.mark.usefixtures("importer")
def test_a_draft_of_vcards_from_before_there_was_a_map_is_imported_as_recognized(
    client: Client, group: CustomerGroup
) -> None:
    run = upload(client, group, CARDS, name="addresses.vcf")
    ImportRun.objects.update(options={})
    assert "Which field each property" not in read(client, page("change", run.pk))
    send(client, run, "_import")
    work_off_runs()
    assert Contact.objects.filter(kind="person").count() == 2


@pytest.mark.parametrize("text", ["0", "10001", "200 MB", "-1", "1.5", "٣", ""])
def test_a_limit_that_is_no_number_is_refused_at_the_start(text: str) -> None:
    name = "CMPHONE_IMPORT_MAX_MB"
    with pytest.raises(SettingsError, match=f"{name} must be a whole number from 1 to 10000"):
        read_number(name, 200, least=1, most=10_000, environ={name: text})
    assert read_number(name, 200, least=1, most=10_000, environ={}) == 200
    assert read_number(name, 200, least=1, most=10_000, environ={name: "50"}) == 50
