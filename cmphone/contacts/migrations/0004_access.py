"""What a user's roles give him, added up beside the user, kept so by the database itself.

A look-up reads one row instead of adding up rights while a telephone rings.  Rights change by many ways, the
administration, the site file, a deleted group; triggers know them all, and count in the transaction that changes
the right.
"""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

FUNCTIONS = """
-- Of two transactions that change what belongs together, a role of a user and a right of the role, each would add up
-- without the other's part, or not know the user.  So one waits here for the other, and then sees what that did.
create function contacts_lock_access() returns void language sql as $$
    select pg_advisory_xact_lock(hashtext('contacts_access'))
$$;

create function contacts_refresh_access(users bigint[]) returns void language plpgsql as $$
begin
    insert into contacts_access (user_id, visible_groups, case_groups, can_create)
    select u.id,
           case when u.is_superuser then array(select id from contacts_customergroup order by id)
                else array(select distinct r.customer_group_id
                           from contacts_user_groups role
                           join contacts_customergroupright r on r.role_id = role.group_id
                           where role.user_id = u.id and r.can_view
                           order by 1) end,
           array(select distinct q.customergroup_id
                 from contacts_queue_customer_groups q
                 where u.is_superuser or q.queue_id in (select r.queue_id
                                                        from contacts_user_groups role
                                                        join contacts_queueright r on r.role_id = role.group_id
                                                        where role.user_id = u.id and r.can_create)
                 order by 1),
           u.is_superuser and exists (select from contacts_customergroup)
           or exists (select
                      from contacts_user_groups role
                      join contacts_customergroupright r on r.role_id = role.group_id
                      where role.user_id = u.id and r.can_create)
    from contacts_user u
    where u.id = any (users)
    on conflict (user_id) do update
    set visible_groups = excluded.visible_groups, case_groups = excluded.case_groups,
        can_create = excluded.can_create;
end $$;

create function contacts_user_changed() returns trigger language plpgsql as $$
begin
    perform contacts_lock_access();
    perform contacts_refresh_access(array[new.id]);
    return null;
end $$;

create function contacts_role_of_user_changed() returns trigger language plpgsql as $$
begin
    perform contacts_lock_access();
    perform contacts_refresh_access(array[new.user_id, old.user_id]);
    return null;
end $$;

create function contacts_right_of_role_changed() returns trigger language plpgsql as $$
begin
    perform contacts_lock_access();
    perform contacts_refresh_access(array(
        select user_id from contacts_user_groups where group_id in (new.role_id, old.role_id)
    ));
    return null;
end $$;

create function contacts_groups_of_queue_changed() returns trigger language plpgsql as $$
begin
    perform contacts_lock_access();
    perform contacts_refresh_access(array(
        select id from contacts_user where is_superuser
        union
        select role.user_id
        from contacts_user_groups role
        join contacts_queueright r on r.role_id = role.group_id
        where r.queue_id in (new.queue_id, old.queue_id)
    ));
    return null;
end $$;

create function contacts_customer_groups_changed() returns trigger language plpgsql as $$
begin
    perform contacts_lock_access();
    perform contacts_refresh_access(array(select id from contacts_user where is_superuser));
    return null;
end $$;
"""

TRIGGERS = """
create trigger access after insert or update of is_superuser on contacts_user
    for each row execute function contacts_user_changed();
create trigger access after insert or update or delete on contacts_user_groups
    for each row execute function contacts_role_of_user_changed();
create trigger access after insert or update or delete on contacts_customergroupright
    for each row execute function contacts_right_of_role_changed();
create trigger access after insert or update or delete on contacts_queueright
    for each row execute function contacts_right_of_role_changed();
create trigger access after insert or update or delete on contacts_queue_customer_groups
    for each row execute function contacts_groups_of_queue_changed();
create trigger access after insert or delete on contacts_customergroup
    for each statement execute function contacts_customer_groups_changed();
"""

FILL = "select contacts_refresh_access(array(select id from contacts_user))"

UNDO = """
drop trigger access on contacts_user;
drop trigger access on contacts_user_groups;
drop trigger access on contacts_customergroupright;
drop trigger access on contacts_queueright;
drop trigger access on contacts_queue_customer_groups;
drop trigger access on contacts_customergroup;
drop function contacts_user_changed;
drop function contacts_role_of_user_changed;
drop function contacts_right_of_role_changed;
drop function contacts_groups_of_queue_changed;
drop function contacts_customer_groups_changed;
drop function contacts_refresh_access;
drop function contacts_lock_access;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0003_rebuilds_and_search"),
    ]

    operations = [
        migrations.CreateModel(
            name="Access",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="access",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "visible_groups",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                (
                    "case_groups",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                ("can_create", models.BooleanField()),
            ],
        ),
        migrations.RunSQL([FUNCTIONS, TRIGGERS, FILL], UNDO),
    ]
