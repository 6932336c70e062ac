"""The site file: what applying one changes, what it leaves, what it refuses, and that an export brings nothing new."""

import copy
import io
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmphone.contacts.field_changes import Edit, FieldEdit, start_field_changes
from cmphone.contacts.models import (
    Contact,
    ContactField,
    ContactModel,
    CustomerGroup,
    CustomerGroupRight,
    Queue,
    QueueRight,
    Role,
    User,
)
from cmphone.contacts.services import ContactDraft, save_contact
from cmphone.contacts.site.export import read_site
from cmphone.contacts.site.file import apply_site
from cmphone.contacts.site.tables import MAX_BYTES, Section, SiteFileError, format_site, parse_site
from cmphone.properties.selectors import get_versions, load_properties
from cmphone.properties.services import set_property
from numbering.models import IndexEntry
from templates_store.rendering import Templates
from templates_store.selectors import load_templates
from tests.make import TESTS, make_customer_group, make_person

SITE = """
[properties]
"cmas-core-server.local.country.prefix" = "43"
"cmas-core-server.internal.line.access.prefix" = 9
"cmas-core-server.external.line.access.prefix" = "0"

[[contact_models]]
name = "b2b"
[[contact_models.fields]]
object = "person"            # or "company"
name = "last_name"
[[contact_models.fields]]
object = "person"
name = "phone"
label = { de = "Telefon", en = "Phone" }
dialable = true
indexed = "local"            # "", "local", "unit", "transitive"
[[contact_models.fields]]
object = "company"
name = "name"
[contact_models.templates.person]
default = "{{ last_name }}"
details = "{{ last_name }}{% if company %} ({{ company.name }}){% endif %}"

[[customer_groups]]
name = "customers"
label = { de = "Kunden", en = "Customers" }
contact_model = "b2b"
country_prefix = "49"
area_prefix = "211"
company_line = "339903"
extension_min = 1            # both may be left out
extension_max = 4

[[queues]]
name = "helpdesk"
customer_groups = ["customers"]

[[roles]]
name = "agent"
customer_groups = { customers = ["view", "create", "edit"] }
queues = { helpdesk = ["create"] }

[[users]]
username = "agent1"
roles = ["agent"]
language = "de"
password_env = "AGENT1_PASSWORD"
"""
ENVIRON = {"AGENT1_PASSWORD": "geheim-1"}

pytestmark = pytest.mark.django_db


def site_of(text: str) -> dict[str, Any]:
    return parse_site(text.encode())


def apply(text: str, environ: Mapping[str, str] = ENVIRON, *, dry_run: bool = False) -> list[str]:
    return [str(change) for change in apply_site(data=site_of(text), environ=environ, dry_run=dry_run)]


def refuse(text: str, environ: Mapping[str, str] = ENVIRON) -> list[str]:
    before = read_site(), get_versions()
    with pytest.raises(SiteFileError) as refusal:
        apply(text, environ)
    assert (read_site(), get_versions()) == before
    return refusal.value.problems


def test_a_site_file_makes_a_whole_site() -> None:
    changes = apply(SITE)
    assert changes == [
        "property cmas-core-server.local.country.prefix: 49 → 43",
        "property cmas-core-server.internal.line.access.prefix: 0 → 9",
        "contact model b2b: created",
        "contact model b2b, person field last_name: created",
        "contact model b2b, person field phone: created",
        "contact model b2b, company field name: created",
        "contact model b2b, person templates: default – → {{ last_name }}",
        "contact model b2b, person templates: details – → "
        "{{ last_name }}{% if company %} ({{ company.name }}){% endif %}",
        "customer group customers: created",
        "queue helpdesk: created",
        "queue helpdesk: customer_groups – → customers",
        "role agent: created",
        "role agent: customer_groups, customers: – → view, create, edit",
        "role agent: queues, helpdesk: – → create",
        "user agent1: created",
        "user agent1: roles – → agent",
    ]
    properties = load_properties()
    assert (properties["local.country.prefix"], properties["internal.line.access.prefix"]) == ("43", "9")
    model = ContactModel.objects.get(name="b2b")
    assert load_templates(model.pk) == {
        ("person", ""): Templates(
            "{{ last_name }}", "{{ last_name }}{% if company %} ({{ company.name }}){% endif %}", ""
        )
    }
    phone = model.fields.get(name="phone")
    assert (phone.label_de, phone.label_en, phone.dialable, phone.indexed) == ("Telefon", "Phone", True, "local")
    group = CustomerGroup.objects.get(name="customers")
    assert (group.contact_model, group.country_prefix, group.area_prefix) == (model, "49", "211")
    assert (group.company_line, group.extension_min, group.extension_max) == ("339903", 1, 4)
    right = CustomerGroupRight.objects.get()
    assert (right.role.name, right.customer_group) == ("agent", group)
    assert (right.can_view, right.can_create, right.can_edit) == (True, True, True)
    assert QueueRight.objects.get().can_create
    user = User.objects.get(username="agent1")
    assert user.check_password("geheim-1")
    assert (user.language, user.is_active, user.is_staff, user.is_superuser) == ("de", True, False, False)
    assert [role.name for role in user.groups.all()] == ["agent"]


def test_a_second_time_nothing_changes_and_the_version_stays() -> None:
    apply(SITE)
    before = get_versions()
    assert apply(SITE) == []
    assert get_versions() == before


def test_a_change_moves_the_version_and_that_of_the_popups_stays() -> None:
    apply(SITE)
    version, templates_version = get_versions()
    apply(SITE.replace('"211"', '"30"'))
    changed_version = get_versions()[0]
    assert changed_version != version
    # Clients have nothing to load again: names come with each look-up.
    apply(SITE.replace('"{{ last_name }}"', '"{{ last_name|upper }}"'))
    assert get_versions()[0] != changed_version
    assert get_versions()[1] == templates_version


def test_a_dry_run_tells_the_same_and_changes_nothing() -> None:
    before = read_site(), get_versions()
    changes = apply(SITE, dry_run=True)
    assert (read_site(), get_versions()) == before
    assert apply(SITE) == changes


def test_what_the_file_does_not_mention_stays_as_it_is() -> None:
    apply(SITE)
    before = read_site()
    assert apply("") == []
    assert apply('[[customer_groups]]\nname = "customers"\nlabel = { en = "Clients" }') == [
        "customer group customers: label_en Customers → Clients"
    ]
    assert apply('[[contact_models]]\nname = "b2b"\ntemplates.person.list = "{{ phone }}"') == [
        "contact model b2b, person templates: list – → {{ phone }}"
    ]
    assert apply('[[roles]]\nname = "agent"\nqueues = {}') == ["role agent: queues, helpdesk: create → –"]
    assert apply('[[users]]\nusername = "agent1"\nstaff = true\nemail = "a@EXAMPLE.com"', {}) == [
        "user agent1: is_staff false → true",
        "user agent1: email – → a@example.com",
    ]
    expected = copy.deepcopy(before)
    expected["customer_groups"][0]["label"]["en"] = "Clients"
    expected["contact_models"][0]["templates"]["person"]["list"] = "{{ phone }}"
    expected["roles"][0]["queues"] = {}
    expected["users"][0] |= {"staff": True, "email": "a@example.com"}
    assert read_site() == expected


def test_each_value_that_changes_is_told_with_both_values() -> None:
    apply(SITE)
    changed = (
        SITE.replace('"43"', '"1"')
        .replace('de = "Telefon"', 'de = ""')
        .replace('indexed = "local"', 'indexed = ""')
        .replace("extension_max = 4", 'extension_max = ""')
        .replace('company_line = "339903"', 'company_line = ""')
        .replace('["view", "create", "edit"]', '["view"]')
        .replace('language = "de"', 'language = "en"')
    )
    assert apply(changed) == [
        "property cmas-core-server.local.country.prefix: 43 → 1",
        "contact model b2b, person field phone: label_de Telefon → –",
        "contact model b2b, person field phone: indexed local → –",
        "customer group customers: company_line 339903 → –",
        "customer group customers: extension_max 4 → –",
        "role agent: customer_groups, customers: view, create, edit → view",
        "user agent1: language de → en",
    ]
    assert apply(changed) == []


def test_rights_and_roles_become_exactly_those_listed() -> None:
    apply(SITE)
    apply(
        """
        [[customer_groups]]
        name = "partners"
        contact_model = "b2b"
        [[roles]]
        name = "agent"
        customer_groups = { partners = ["view"] }
        [[roles]]
        name = "second"
        [[users]]
        username = "agent1"
        roles = ["second"]
        [[queues]]
        name = "helpdesk"
        customer_groups = ["partners"]
        """
    )
    assert [right.customer_group.name for right in CustomerGroupRight.objects.all()] == ["partners"]
    assert [role.name for role in User.objects.get(username="agent1").groups.all()] == ["second"]
    assert [group.name for group in Queue.objects.get().customer_groups.all()] == ["partners"]
    assert [right.queue.name for right in QueueRight.objects.all()] == ["helpdesk"]


FIELDS = '[[contact_models]]\nname = "m"\n'


def field_lines(*names: str) -> str:
    return FIELDS + "".join(f'[[contact_models.fields]]\nobject = "person"\nname = "{name}"\n' for name in names)


def names_in_order() -> list[str]:
    return [field.name for field in ContactField.objects.filter(object="person")]


def test_fields_stand_in_the_order_of_the_file() -> None:
    apply(field_lines("a", "b", "c"))
    assert names_in_order() == ["a", "b", "c"]
    assert apply(field_lines("c", "a", "b")) == ["contact model m: order of the person fields a b c → c a b"]
    assert names_in_order() == ["c", "a", "b"]
    assert apply(field_lines("c", "a", "b")) == []


def test_a_field_the_file_does_not_mention_stays_behind_the_one_it_stands_behind() -> None:
    apply(field_lines("first", "a", "b", "c"))
    assert apply(field_lines("a", "new", "c")) == ["contact model m, person field new: created"]
    assert names_in_order() == ["first", "a", "b", "new", "c"]
    assert apply(field_lines("c", "a")) == [
        "contact model m: order of the person fields first a b new c → first c a b new"
    ]
    assert apply(field_lines("a")) == []


def test_an_order_that_is_right_is_left_as_an_administrator_numbered_it() -> None:
    apply(field_lines("a", "b"))
    ContactField.objects.filter(name="a").update(position=10)
    ContactField.objects.filter(name="b").update(position=20)
    assert apply(field_lines("a", "b")) == []
    assert list(ContactField.objects.values_list("position", flat=True)) == [10, 20]


def field_table(name: str, **values: str) -> str:
    lines = "".join(f"{key} = {value}\n" for key, value in values.items())
    model = '[[contact_models]]\nname = "model-customers"\n'
    return f'{model}[[contact_models.fields]]\nobject = "person"\nname = "{name}"\n{lines}'


def test_a_field_that_becomes_another_one_says_how_many_contacts_have_a_value_there() -> None:
    group = make_customer_group()
    make_person(group, private_phone="0211 1234567")
    make_person(group)
    text = field_table("private_phone", indexed='"local"')
    would = apply_site(data=tomllib.loads(text), environ={}, dry_run=True)
    assert [str(change) for change in would] == apply(text)
    assert apply(text) == []
    assert apply(field_table("private_phone", dialable="false")) == [
        "contact model model-customers, person field private_phone: dialable true → false",
        "contact model model-customers, person field private_phone: 1 contact has a value there",
    ]


def test_a_field_by_another_name_is_a_new_one_and_those_that_stay_with_values_are_told() -> None:
    make_person(make_customer_group(), phone="0211 1234567")
    where = "contact model model-customers"
    stays = (
        "is not in the file and stays, with the value of 1 contact; "
        "it is renamed or removed on the page of the contact model"
    )
    assert apply(field_table("tel")) == [
        f"{where}, person field tel: created",
        f"{where}: the person field first_name {stays}",
        f"{where}: the person field last_name {stays}",
        f"{where}: the person field phone {stays}",
    ]
    assert Contact.objects.get().fields["phone"] == "0211 1234567"


def test_a_new_field_whose_name_has_values_of_an_earlier_one_says_so() -> None:
    make_person(make_customer_group(), phone="0211 1234567")
    ContactField.objects.exclude(object="person", name="mobile").filter(object="person").delete()
    assert apply(field_table("phone"))[:2] == [
        "contact model model-customers, person field phone: created",
        "contact model model-customers, person field phone: 1 contact still has a value under this name, "
        "of an earlier field: it is shown again",
    ]


def test_a_name_whose_values_are_still_being_moved_or_deleted_is_refused() -> None:
    group = make_customer_group()
    make_person(group)
    edits = [FieldEdit(Edit.RENAME, "person", "phone", "phone", "tel"), FieldEdit(Edit.REMOVE, "person", "fax")]
    start_field_changes(contact_model=group.contact_model, edits=edits, by=None)
    assert refuse(field_table("tel")) == [
        "contact model model-customers, person field tel: "
        "The person field phone is still being renamed to tel. Wait until that is done."
    ]
    assert refuse(field_table("fax")) == [
        "contact model model-customers, person field fax: "
        "The values of the removed person field fax are still being deleted. Wait until that is done."
    ]


def test_a_password_is_taken_from_the_environment_and_only_changed_when_it_differs(tmp_path: Path) -> None:
    apply(SITE)
    kept = User.objects.get().password
    assert apply(SITE) == []
    assert apply(SITE, {}) == []
    assert User.objects.get().password == kept
    assert apply(SITE, {"AGENT1_PASSWORD": "geheim-2"}) == ["user agent1: password changed"]
    assert User.objects.get().check_password("geheim-2")
    (tmp_path / "password").write_text("geheim-3\n")
    apply(SITE, {"AGENT1_PASSWORD_FILE": str(tmp_path / "password")})
    assert User.objects.get().check_password("geheim-3")


def test_a_new_user_whose_password_is_not_there_is_refused() -> None:
    problem = "user agent1: password_env: the variable AGENT1_PASSWORD is not set."
    assert refuse(SITE, {}) == [problem]
    assert refuse(SITE, {"AGENT1_PASSWORD": ""}) == [problem]
    (unreadable,) = refuse(SITE, {"AGENT1_PASSWORD_FILE": "/nowhere/at/all"})
    assert unreadable.startswith("user agent1: password_env: AGENT1_PASSWORD_FILE: /nowhere/at/all cannot be read")


def test_a_new_user_without_password_env_cannot_log_in_yet() -> None:
    assert apply('[[users]]\nusername = "anna"', {}) == [
        "user anna: created",
        "user anna: without a password, so nobody can log in with it yet",
    ]
    assert not User.objects.get().has_usable_password()
    assert apply('[[users]]\nusername = "anna"\npassword_env = "P"', {"P": "geheim-9"}) == [
        "user anna: password changed"
    ]


def test_a_group_with_contacts_keeps_its_contact_model() -> None:
    group = make_customer_group("customers")
    text = '[[contact_models]]\nname = "b2b"\n[[customer_groups]]\nname = "customers"\ncontact_model = "b2b"'
    make_person(group)
    assert refuse(text) == ["customer group customers: The contact model cannot change any more: there are contacts."]
    group.contact_set.all().delete()
    assert apply(text)[-1] == "customer group customers: contact_model model-customers → b2b"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[contacts]", "There is no key “contacts” here; there are properties, contact_models, customer_groups,"),
        ("properties = 1", "properties: must be a table"),
        ("[contact_models]\nname = 'b2b'", "contact_models: must be written with double brackets: [[…]]"),
        ("roles = ['agent']", "roles: must be a table"),
        ('[properties]\n"local.country.prefix" = "49"', "property local.country.prefix: There is no such property;"),
        ('[properties]\n"cmas-core-server.local.country.prefix" = "abc"', "Enter a country code"),
        ('[properties]\n"cmas-core-server.local.country.prefix" = 4.9', "must be a text in quotes, a whole number"),
        ("[[contact_models]]", "contact model no. 1: name is missing."),
        ("[[contact_models]]\nname = 7", "contact model no. 1: name: must be a text in quotes"),
        ("[[contact_models]]\nname = 'B2B'", "contact model B2B: name: Enter lower-case letters"),
        ("[[contact_models]]\nname = 'a'\n[[contact_models]]\nname = 'a'", "contact model a: This stands in the file"),
        (FIELDS + "[[contact_models.fields]]\nname = 'a'", "contact model m, field no. 1: object is missing."),
        (FIELDS + "[[contact_models.fields]]\nobject = 'person'", "contact model m, field no. 1: name is missing."),
        (
            FIELDS + "[[contact_models.fields]]\nobject = 'case'\nname = 'a'",
            "contact model m, field no. 1: object: must be “person” or “company”",
        ),
        (field_lines("a", "a"), "contact model m, person field a: This stands in the file twice."),
        (field_lines("a") + "indexed = 'all'", "person field a: indexed: Value 'all' is not a valid choice."),
        (field_lines("a") + "dialable = 'yes'", "field no. 1: dialable: must be true or false"),
        (field_lines("a") + "label = 'A'", "field no. 1: label: must be a table"),
        (field_lines("a") + "label = { fr = 'A' }", 'label: must look like { de = "…", en = "…" }'),
        (field_lines("a") + "label = { de = 1 }", "label: must be a text in quotes"),
        (field_lines("a") + "label = { de = \"a\\u0000\" }", "label: must not contain the character U+0000"),
        (field_lines("a") + "position = 1", "There is no key “position” here; there are object, name, label,"),
        (FIELDS + "templates.case.default = ''", "contact model m, templates: There is no key “case” here"),
        (FIELDS + "templates.person.short = ''", "contact model m, person templates: There is no key “short” here"),
        (
            FIELDS + "templates.person.list = \"\\n{{ last_name\"",
            "contact model m, person templates: list: Line 2, column 4: unexpected end of template",
        ),
        (
            FIELDS + "templates.company.details = '{% for i in range(10**9) %}{% endfor %}'",
            "contact model m, company templates: details: Line 1, column 4: “for” is not allowed here.",
        ),
        ("[[customer_groups]]\nname = 'c'", "customer group c: contact_model is missing."),
        (
            "[[customer_groups]]\nname = 'c'\ncontact_model = 'none'",
            "customer group c: contact_model: there is no “none”.",
        ),
        (
            FIELDS + "[[customer_groups]]\nname = 'c'\ncontact_model = 'm'\ncountry_prefix = '04'",
            "customer group c: country_prefix: Enter a country code without + or zeros",
        ),
        (
            FIELDS + "[[customer_groups]]\nname = 'c'\ncontact_model = 'm'\narea_prefix = '0211x'",
            "customer group c: area_prefix: Enter digits only.",
        ),
        (
            FIELDS + "[[customer_groups]]\nname = 'c'\ncontact_model = 'm'\nextension_min = 5\nextension_max = 4",
            "customer group c: The shortest extension is longer than the longest.",
        ),
        (
            FIELDS + "[[customer_groups]]\nname = 'c'\ncontact_model = 'm'\nextension_min = 99999999999",
            "customer group c: extension_min: ",
        ),
        (
            FIELDS + "[[customer_groups]]\nname = 'c'\ncontact_model = 'm'\nextension_min = '1'",
            'customer group c: extension_min: must be a whole number, or "" for none',
        ),
        ("[[queues]]\nname = 'q'\ncustomer_groups = ['none']", "queue q: customer_groups: there is no “none”."),
        ("[[queues]]\nname = 'q'\ncustomer_groups = 'none'", "queue q: customer_groups: must be a list of texts"),
        ("[[queues]]\nname = 'q'\ncustomer_groups = ['a', 'a']", "customer_groups: “a” stands there twice"),
        ("[[roles]]\nname = 'r'\ncustomer_groups = { x = ['view'] }", "role r: customer_groups: there is no “x”."),
        ("[[roles]]\nname = 'r'\nqueues = { none = ['create'] }", "role r: queues: there is no “none”."),
        ("[[roles]]\nname = 'r'\ncustomer_groups = { a = ['erase'] }", "“erase” is no right; there are view, create"),
        ("[[roles]]\nname = 'r'\nqueues = { a = ['view'] }", "“view” is no right; there are create"),
        (f"[[roles]]\nname = '{'r' * 151}'", "name: Ensure this value has at most 150 characters"),
        ("[[users]]\nname = 'u'", "user no. 1: username is missing."),
        ("[[users]]\nusername = 'a b'", "user a b: username: Enter a valid username."),
        ("[[users]]\nusername = 'u'\nlanguage = 'fr'", "user u: language: Value 'fr' is not a valid choice."),
        ("[[users]]\nusername = 'u'\nemail = 'x'", "user u: email: Enter a valid email address."),
        ("[[users]]\nusername = 'u'\nroles = ['none']", "user u: roles: there is no “none”."),
        ("[[users]]\nusername = 'u'\npassword = 'x'", "user u: There is no key “password” here"),
        ("[[users]]\nusername = 'u'\nactive = 1", "user u: active: must be true or false"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_and_nothing_of_it_happens(text: str, problem: str) -> None:
    (only,) = refuse(text)
    assert problem in only


def test_everything_that_is_wrong_is_told_at_once() -> None:
    text = (
        SITE.replace('"43"', '"x"')
        .replace("{{ last_name }}{%", "{{ last_name {%")
        .replace('area_prefix = "211"', 'area_prefix = "0211/"\nprefix = "x"')
        .replace('["customers"]', '["customer"]')
        .replace('"edit"]', '"erase"]')
        .replace('roles = ["agent"]', 'roles = ["agents"]')
    )
    assert [problem.split(":")[0] for problem in refuse(text)] == [
        "property cmas-core-server.local.country.prefix",
        "contact model b2b, person templates",
        "customer group customers",
        "customer group customers",
        "queue helpdesk",
        "role agent",
        "user agent1",
    ]


def test_what_follows_from_another_problem_is_not_told_again() -> None:
    assert refuse(SITE.replace("b2b", "B2B")) == [
        "contact model B2B: name: Enter lower-case letters, digits, - and _, beginning with a letter."
    ]
    assert refuse(SITE.replace("customers", "1st")) == [
        "customer group 1st: name: Enter lower-case letters, digits, - and _, beginning with a letter."
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[properties]\n\nx = = 1", "This is not TOML: Invalid value (at line 3, column 5)"),
        ('[[users]]\nfirst_name = "Jörg"'.encode("latin-1"), "Line 2 is not UTF-8. Save the file as UTF-8."),
        (b"\xff\xfe[\x00", "Line 1 is not UTF-8. Save the file as UTF-8."),
        (b"#" * (MAX_BYTES + 1), "A site file has at most 1000000 bytes."),
        (b"a = " + b"[" * 100_000, "This is not TOML: it is nested too deeply."),
        (b"a = " + b"9" * 10_000, "This is not TOML: Exceeds the limit"),
        (b"a = 1\na = 2", "This is not TOML: Cannot overwrite a value (at end of document)"),
    ],
)
def test_a_file_that_is_not_toml_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(SiteFileError) as refusal:
        parse_site(content)
    (only,) = refusal.value.problems
    assert only.startswith(problem)


def test_a_byte_order_mark_is_read_over() -> None:
    assert parse_site(b"\xef\xbb\xbf[properties]") == {"properties": {}}


# --- export ---

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = TEXTS | st.booleans() | st.integers(-(2**63), 2**63 - 1)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=5
)
SECTIONS = st.recursive(
    st.dictionaries(TEXTS, VALUES, max_size=3).map(Section),
    lambda inner: st.dictionaries(TEXTS, VALUES | inner | st.lists(inner, min_size=1, max_size=3), max_size=3).map(
        Section
    ),
    max_leaves=5,
)


@given(SECTIONS)
def test_what_is_written_reads_the_same(site: Section) -> None:
    assert tomllib.loads(format_site(site)) == site


def test_an_export_has_every_key_and_no_password() -> None:
    apply(SITE)
    text = format_site(read_site())
    assert (
        '[[contact_models.fields]]\nobject = "person"\nname = "phone"\nlabel = { de = "Telefon", en = "Phone" }\n'
        'dialable = true\nindexed = "local"\n' in text
    )
    assert '[[roles]]\nname = "agent"\ncustomer_groups = { customers = ["view", "create", "edit"] }\n' in text
    assert "password" not in text.replace("Passwords are never exported", "")
    assert "argon2" not in text
    assert tomllib.loads(text)["users"] == [
        {
            "username": "agent1",
            "first_name": "",
            "last_name": "",
            "email": "",
            "language": "de",
            "staff": False,
            "superuser": False,
            "active": True,
            "roles": ["agent"],
        }
    ]


def test_an_export_makes_the_same_site_elsewhere() -> None:
    apply(SITE.replace("extension_max = 4", ""))
    exported = format_site(read_site())
    with transaction.atomic():
        User.objects.all().delete()
        Role.objects.all().delete()
        Queue.objects.all().delete()
        CustomerGroup.objects.all().delete()
        ContactModel.objects.all().delete()
        set_property(name="local.country.prefix", value="49")
    apply(exported.replace('username = "agent1"', 'username = "agent1"\npassword_env = "AGENT1_PASSWORD"'))
    assert format_site(read_site()) == exported


NAMES = st.sampled_from(["a", "b", "c-1", "d_2"])
LABELS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10)
LABEL_PAIRS = st.fixed_dictionaries({}, optional={"de": LABELS, "en": LABELS})
DIGITS = st.text("0123456789", max_size=8)
PEOPLE = st.sampled_from(["anna", "bob", "Žofie", "d@example.org"])


@st.composite
def sites(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the tables of a site file that can be applied to any site."""
    models = draw(st.lists(NAMES, unique=True, min_size=1))
    groups = draw(st.lists(NAMES, unique=True))
    queues = draw(st.lists(NAMES, unique=True))
    roles = draw(st.lists(LABELS.map(str.strip).filter(bool), unique=True, max_size=3))
    field_names = st.sampled_from(["a", "b", "c1", "d_2"])

    def some(names: list[str]) -> list[str]:
        return draw(st.lists(st.sampled_from(names), unique=True)) if names else []

    def rights(names: list[str], *known: str) -> dict[str, list[str]]:
        return {name: draw(st.lists(st.sampled_from(known), unique=True)) for name in some(names)}

    def entry(optional: dict[str, st.SearchStrategy[Any]], **required: Any) -> dict[str, Any]:
        return required | draw(st.fixed_dictionaries({}, optional=optional))

    return {
        "properties": draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "cmas-core-server.local.country.prefix": st.sampled_from(["49", "1", 39]),
                    "cmas-core-server.international.access.prefix": st.sampled_from(["", "00", "011"]),
                },
            )
        ),
        "contact_models": [
            entry(
                {
                    "templates": st.fixed_dictionaries(
                        {},
                        optional={
                            kind: st.fixed_dictionaries(
                                {},
                                optional={
                                    key: st.sampled_from(["", "{{ a }}", "{{ a }}\n{{ b }}\r\n\t", 'x "\\" y'])
                                    for key in ("default", "details", "list")
                                },
                            )
                            for kind in ("person", "company")
                        },
                    )
                },
                name=name,
                fields=[
                    entry(
                        {
                            "label": LABEL_PAIRS,
                            "dialable": st.booleans(),
                            "indexed": st.sampled_from(["", "local", "unit", "transitive"]),
                        },
                        object=kind,
                        name=field,
                    )
                    for kind in ("person", "company")
                    for field in draw(st.lists(field_names, unique=True))
                ],
            )
            for name in models
        ],
        "customer_groups": [
            entry(
                {
                    "label": LABEL_PAIRS,
                    "country_prefix": st.sampled_from(["", "49", "1", "420"]),
                    "area_prefix": DIGITS,
                    "company_line": DIGITS,
                },
                name=name,
                contact_model=draw(st.sampled_from(models)),
                extension_min=draw(st.sampled_from([1, 2, ""])),
                extension_max=draw(st.sampled_from([2, 5, ""])),
            )
            for name in groups
        ],
        "queues": [entry({"label": LABEL_PAIRS}, name=name, customer_groups=some(groups)) for name in queues],
        "roles": [
            {
                "name": name,
                "customer_groups": rights(groups, "view", "create", "edit"),
                "queues": rights(queues, "create"),
            }
            for name in roles
        ],
        "users": [
            entry(
                {
                    "first_name": LABELS,
                    "last_name": LABELS,
                    "email": st.sampled_from(["", "a@example.com", "B@EXAMPLE.ORG"]),
                    "language": st.sampled_from(["de", "en"]),
                    "staff": st.booleans(),
                    "superuser": st.booleans(),
                    "active": st.booleans(),
                },
                username=name,
                roles=some(roles),
            )
            for name in draw(st.lists(PEOPLE, unique=True))
        ],
    }


@given(st.lists(sites(), min_size=1, max_size=2))
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
def test_any_site_is_applied_once_and_its_export_changes_nothing(site_files: list[dict[str, Any]]) -> None:
    with transaction.atomic():
        for site in site_files:
            apply_site(data=site, environ={})
            assert apply_site(data=site, environ={}) == []
            exported = format_site(read_site())
            assert apply(exported, {}) == []
            assert format_site(read_site()) == exported
        transaction.set_rollback(True)


# --- commands ---


def run(command: str, *args: object, **options: object) -> list[str]:
    out = io.StringIO()
    call_command(command, *args, stdout=out, **options)
    return out.getvalue().splitlines()


def test_the_command_tells_what_changed_and_reads_the_numbers_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT1_PASSWORD", "geheim-1")
    file = tmp_path / "site.toml"
    file.write_text(SITE)
    run("import_site", file)
    group = CustomerGroup.objects.get()
    save_contact(ContactDraft(group.id, "person", {"last_name": "Anders", "phone": "12"}), by=TESTS)
    assert IndexEntry.objects.get().canonical == "4921133990312"
    file.write_text(SITE.replace('area_prefix = "211"', 'area_prefix = "30"'))

    assert run("import_site", file, dry_run=True) == [
        "customer group customers: area_prefix 211 → 30",
        "Nothing was changed: this was a dry run.",
    ]
    assert IndexEntry.objects.get().canonical == "4921133990312"
    assert run("import_site", file) == [
        "customer group customers: area_prefix 211 → 30",
        "customers: numbers, 1 of 1 contacts built anew.",
    ]
    assert IndexEntry.objects.get().canonical == "493033990312"
    assert run("import_site", file) == ["Nothing changed."]


def test_the_command_lists_all_problems(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text("[[queues]]\n[[roles]]\n")
    with pytest.raises(CommandError) as refusal:
        run("import_site", file)
    assert str(refusal.value).splitlines() == [
        f"{file}: nothing was changed, because of this:",
        "  queue no. 1: name is missing.",
        "  role no. 1: name is missing.",
    ]


def test_a_file_that_cannot_be_read_is_told_plainly(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"none\.toml: No such file or directory\.$"):
        run("import_site", tmp_path / "none.toml")
    with pytest.raises(CommandError, match=r": Is a directory\.$"):
        run("import_site", tmp_path)
    with pytest.raises(CommandError, match="at most 1000000 bytes"):
        run("import_site", "/dev/zero")
    with pytest.raises(CommandError, match=r": Is a directory\.$"):
        run("export_site", output=tmp_path)


def test_a_site_file_may_come_through_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'[[roles]]\nname = "agent"\n')))
    assert run("import_site", "-")[0] == "role agent: created"


def test_export_prints_or_writes_what_import_takes(tmp_path: Path) -> None:
    apply(SITE)
    file = tmp_path / "site.toml"
    assert run("export_site", output=file) == []
    assert file.read_text().splitlines() == run("export_site")
    assert run("import_site", file)[0] == "Nothing changed."


LANGUAGES = """
[contact_models.templates.person.en]
details = "{{ last_name }} of {{ company.name }}"
[contact_models.templates.company.de]
default = "Firma {{ name }}"
"""


def test_templates_of_languages_come_from_a_site_file_and_go_into_one() -> None:
    apply(SITE)
    text = SITE.replace("\n[[customer_groups]]", f"{LANGUAGES}\n[[customer_groups]]")
    assert apply(text) == [
        "contact model b2b, person templates, en: details – → {{ last_name }} of {{ company.name }}",
        "contact model b2b, company templates, de: default – → Firma {{ name }}",
    ]
    assert apply(text) == []
    # A file that does not mention them leaves them.
    assert apply(SITE) == []
    exported = format_site(read_site())
    for header in ("[contact_models.templates.person]", *LANGUAGES.split("\n")[1::2]):
        assert header in exported
    assert apply(exported) == []
    CustomerGroup.objects.all().delete()
    ContactModel.objects.all().delete()
    apply(exported)
    assert format_site(read_site()) == exported
    model = ContactModel.objects.get(name="b2b")
    assert load_templates(model.pk)["company", "de"] == Templates("Firma {{ name }}")


def test_templates_that_a_language_has_no_more_are_gone() -> None:
    text = SITE.replace("\n[[customer_groups]]", f"{LANGUAGES}\n[[customer_groups]]")
    apply(text)
    apply(text.replace("{{ last_name }} of {{ company.name }}", ""))
    assert sorted(load_templates(ContactModel.objects.get().pk)) == [("company", "de"), ("person", "")]


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("person.xx = {}", "person templates: There is no key “xx” here; there are default, details, list, de, en."),
        ("person.en.default = '{{ x'", "person templates, en: default: Line 1, column 4: unexpected end of template"),
        ("person.en.lists = ''", "person templates, en: There is no key “lists” here"),
        ("person.en = 'x'", "person templates: en: must be a table"),
    ],
)
def test_bad_templates_of_a_language_are_refused(table: str, problem: str) -> None:
    (only,) = refuse(f'[[contact_models]]\nname = "m"\ntemplates.{table}')
    assert problem in only
