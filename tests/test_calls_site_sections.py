"""What calls add to the site file: lines, and whose calls a role sees."""

import io
from pathlib import Path

import pytest
from django.core.management import call_command

from cmphone.calls.models import CallRight, Line
from cmphone.calls.site_sections import SECTIONS
from cmphone.contacts.models import Role
from cmphone.contacts.site.export import read_site
from cmphone.contacts.site.file import apply_site
from cmphone.contacts.site.tables import SiteFileError, format_site, parse_site
from tests.make import make_user

pytestmark = pytest.mark.django_db

SITE = """
[[call_rights]]
role = "lead"
sees = ["agent"]

[[lines]]
name = "12"
label = "Hotline"
users = ["agent1", "agent2"]

[[roles]]
name = "agent"

[[roles]]
name = "lead"
"""


def apply(text: str) -> list[str]:
    data = parse_site(text.encode())
    return [str(change) for change in apply_site(data=data, environ={}, sections=SECTIONS)]


@pytest.fixture(autouse=True)
def users() -> None:
    for name in ("agent1", "agent2"):
        make_user(name)


def list_seen() -> list[tuple[str, str]]:
    return sorted(CallRight.objects.values_list("role__name", "seen_role__name"))


def test_lines_and_rights_on_calls_are_made_once() -> None:
    assert apply(SITE) == [
        "role agent: created",
        "role lead: created",
        "line 12: created",
        "line 12: users – → agent1, agent2",
        "rights on calls of lead: sees – → agent",
    ]
    line = Line.objects.get()
    assert (line.label, sorted(line.users.values_list("username", flat=True))) == ("Hotline", ["agent1", "agent2"])
    assert list_seen() == [("lead", "agent")]
    assert apply(SITE) == []


def test_they_become_exactly_what_is_listed_and_what_is_not_mentioned_stays() -> None:
    apply(SITE)
    assert apply('[[lines]]\nname = "12"\nusers = ["agent2"]\n[[call_rights]]\nrole = "lead"\nsees = ["lead"]') == [
        "line 12: users agent1, agent2 → agent2",
        "rights on calls of lead: sees agent → lead",
    ]
    assert Line.objects.get().label == "Hotline"
    assert list_seen() == [("lead", "lead")]
    assert apply('[[lines]]\nname = "12"\nlabel = ""') == ["line 12: label Hotline → –"]
    assert apply('[[call_rights]]\nrole = "lead"\nsees = []') == ["rights on calls of lead: sees lead → –"]
    assert list_seen() == []


def test_an_export_has_them_and_makes_the_same_site_elsewhere() -> None:
    apply(SITE)
    text = format_site(read_site(SECTIONS))
    assert text.endswith(
        '[[lines]]\nname = "12"\nlabel = "Hotline"\nusers = ["agent1", "agent2"]\n\n'
        '[[call_rights]]\nrole = "lead"\nsees = ["agent"]\n'
    )
    assert apply(text) == []
    Line.objects.all().delete()
    Role.objects.all().delete()
    apply(text)
    assert format_site(read_site(SECTIONS)) == text


def test_the_commands_know_them(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(SITE)
    call_command("import_site", tmp_path / "site.toml", stdout=io.StringIO())
    assert list_seen() == [("lead", "agent")]
    output = io.StringIO()
    call_command("export_site", stdout=output)
    assert '[[lines]]\nname = "12"\n' in output.getvalue()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[lines]]\nlabel = 'a'", "line no. 1: name is missing."),
        ("[[lines]]\nname = '1'\nusers = ['nobody']", "line 1: users: there is no “nobody”."),
        (f"[[lines]]\nname = '{'1' * 201}'", "name: Ensure this value has at most 200 characters"),
        ("[[call_rights]]\nsees = []", "rights on calls of no. 1: role is missing."),
        ("[[call_rights]]\nrole = 'none'\nsees = []", "rights on calls of none: role: there is no “none”."),
        ("[[call_rights]]\nrole = 'a'\nsees = ['b']\n[[roles]]\nname = 'a'", "of a: sees: there is no “b”."),
        ("[[call_rights]]\nrole = 'a'\n[[roles]]\nname = 'a'", "rights on calls of a: sees is missing."),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_of_it_happens(text: str, problem: str) -> None:
    with pytest.raises(SiteFileError) as refusal:
        apply(text)
    assert problem in "\n".join(refusal.value.problems)
    assert (Line.objects.count(), CallRight.objects.count(), Role.objects.count()) == (0, 0, 0)
