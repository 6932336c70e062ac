"""What the site file has of calls: lines, and whose calls a role sees.  Its own room does not know what calls are."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cmphone.calls.models import CallRight, Line
from cmphone.contacts.models import Role, User
from cmphone.contacts.site.records import Site, SiteSection, show_names
from cmphone.contacts.site.tables import Section, Table, read_names, read_text


def apply_line(site: Site, table: Table) -> None:
    """Make a line, and who answers it, as its table says."""
    values = table.take(name=read_text, label=read_text, users=read_names)
    line = Line.objects.filter(name=values["name"]).first() or Line(name=values["name"])
    if not site.save(table, line, {"label": values["label"]} if "label" in values else {}) or "users" not in values:
        return
    users = {user.username: user for user in User.objects.filter(username__in=values["users"])}
    for name in values["users"]:
        site.find(users, name, table, "users")
    before = set(line.users.values_list("username", flat=True))
    if before != set(users):
        line.users.set(users.values())
        site.note_value(table, "users", show_names(before), show_names(users))


def read_lines() -> list[Section]:
    """Return the lines as tables of a site file."""
    return [
        Section(name=line.name, label=line.label, users=sorted(user.username for user in line.users.all()))
        for line in sorted(Line.objects.prefetch_related("users"), key=lambda line: line.name)
    ]


def apply_call_rights(site: Site, table: Table) -> None:
    """Let a role see the calls of exactly the roles that its table names."""
    values = table.take(role=read_text, sees=read_names)
    role = site.find(site.roles, values["role"], table, "role")
    if "sees" not in table.values:
        table.refuse(_("%s is missing.") % "sees")
    if role is None or "sees" not in values:
        return
    found = [site.find(site.roles, name, table, "sees") for name in values["sees"]]
    seen = {each.name: each for each in found if each}
    present = {right.seen_role.name: right for right in role.call_rights.select_related("seen_role")}
    if set(present) == set(seen):
        return
    for name, right in present.items():
        if name not in seen:
            right.delete()
    CallRight.objects.bulk_create(
        CallRight(role=role, seen_role=each) for name, each in seen.items() if name not in present
    )
    site.note_value(table, "sees", show_names(present), show_names(seen))


def read_call_rights() -> list[Section]:
    """Return whose calls roles see, as tables of a site file."""
    roles = Role.objects.filter(call_rights__isnull=False).distinct().prefetch_related("call_rights__seen_role")
    return [
        Section(role=role.name, sees=sorted(right.seen_role.name for right in role.call_rights.all()))
        for role in sorted(roles, key=lambda role: role.name)
    ]


SECTIONS = (
    SiteSection("lines", gettext_lazy("line %s"), "name", apply_line, read_lines),
    SiteSection("call_rights", gettext_lazy("rights on calls of %s"), "role", apply_call_rights, read_call_rights),
)
