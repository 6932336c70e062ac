"""Applies the roles and the users of a site file."""

from collections.abc import Mapping, Sequence

from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import Group
from django.db.models import Model
from django.utils.translation import gettext as _

from cmphone.contacts.models import CustomerGroupRight, QueueRight, Role, User
from cmphone.contacts.site.records import Site, show_names
from cmphone.contacts.site.tables import Table, read_flag, read_names, read_rights, read_text

RIGHTS = ("view", "create", "edit")
QUEUE_RIGHTS = ("create",)
# The keys of a user in the file, and his columns.
USER_COLUMNS = {
    "first_name": "first_name",
    "last_name": "last_name",
    "email": "email",
    "language": "language",
    "staff": "is_staff",
    "superuser": "is_superuser",
    "active": "is_active",
}


def apply_role(site: Site, table: Table) -> None:
    """Make a role, and the rights that it gives, as its table says."""
    values = table.take(
        name=read_text,
        customer_groups=read_rights(*RIGHTS),
        queues=read_rights(*QUEUE_RIGHTS),
    )
    name = values["name"]
    role = site.roles.get(name) or Role(name=name)
    if not site.save(table, role, {}):
        site.roles[name] = None
        return
    site.roles[name] = role
    if "customer_groups" in values:
        _apply_rights(site, table, role, CustomerGroupRight, site.groups, RIGHTS, values["customer_groups"])
    if "queues" in values:
        _apply_rights(site, table, role, QueueRight, site.queues, QUEUE_RIGHTS, values["queues"])


def _apply_rights(
    site: Site,
    table: Table,
    role: Group,
    kind: type[CustomerGroupRight] | type[QueueRight],
    targets: Mapping[str, Model | None],
    rights: Sequence[str],
    wanted: Mapping[str, Sequence[str]],
) -> None:
    """Give the role exactly the rights that are wanted on targets of this kind, and none on all others."""
    reference, key = ("customer_group", "customer_groups") if kind is CustomerGroupRight else ("queue", "queues")
    present = {getattr(row, reference).name: row for row in kind.objects.filter(role=role).select_related(reference)}
    for name in {**present, **wanted}:
        target = site.find(targets, name, table, key)
        if target is None:
            continue
        row = present.get(name) or kind(
            role=role, **{reference: target}, **dict.fromkeys([f"can_{right}" for right in rights], False)
        )
        before = [right for right in rights if getattr(row, f"can_{right}")]
        after = [right for right in rights if right in wanted.get(name, ())]
        if before == after:
            continue
        for right in rights:
            setattr(row, f"can_{right}", right in after)
        if after:
            row.save()
        else:
            row.delete()
        site.note_value(table, f"{key}, {name}:", ", ".join(before), ", ".join(after))


def apply_user(site: Site, table: Table) -> None:
    """Make a user, his password and his roles as his table says."""
    values = table.take(
        username=read_text,
        first_name=read_text,
        last_name=read_text,
        email=read_text,
        language=read_text,
        roles=read_names,
        staff=read_flag,
        superuser=read_flag,
        active=read_flag,
        password_env=read_text,
    )
    username = User.normalize_username(values["username"])
    user = User.objects.filter(username=username).first() or User(username=username)
    is_new = user.pk is None
    password = site.read_secret(table, "password_env", values, is_required=is_new)
    has_new_password = bool(password) and (is_new or not check_password(password, user.password))
    if is_new or has_new_password:
        # No password to set: one that nobody can log in with.
        user.set_password(password or None)
    columns = {USER_COLUMNS[key]: value for key, value in values.items() if key in USER_COLUMNS}
    if not site.save(table, user, columns):
        return
    if is_new and not password:
        site.note(table, _("without a password, so nobody can log in with it yet"))
    elif has_new_password and not is_new:
        user.save(update_fields=["password"])
        site.note(table, _("password changed"))
    if "roles" in values:
        found = [site.find(site.roles, each, table, "roles") for each in values["roles"]]
        before = set(user.groups.values_list("name", flat=True))
        after = {role.name for role in found if role}
        if before != after:
            user.groups.set([role for role in found if role])
            site.note_value(table, "roles", show_names(before), show_names(after))
