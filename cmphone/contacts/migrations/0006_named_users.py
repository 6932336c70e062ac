"""No more users are active than the licence names, held by the database itself.

Users become active by many ways: the administration, the site file, `createsuperuser`, a shell.  A trigger knows
them all.  An import of a licence waits for those that are on their way (license/importing.py).
"""

from django.db import migrations

import cmphone.contacts.models

FUNCTION = """
create function contacts_hold_named_users() returns trigger language plpgsql as $$
declare
    named integer;
begin
    -- First what the trigger `access` locks when a user is inserted: two transactions that took both locks in
    -- different order would wait for each other.
    perform contacts_lock_access();
    -- Then the pool, and only then the count: whoever waited here sees whom the other has made active.
    select licensed into named from license_pool where name = 'NAMED_USERS' for no key update;
    if named < (select count(*) from contacts_user where is_active) then
        raise exception 'No more users may be active than the licence names (%). Deactivate one, or import a licence for more.',
            named
            using errcode = 'check_violation', table = 'contacts_user', constraint = 'named_users';
    end if;
    return null;
end $$;
"""

TRIGGERS = """
create trigger named_users_insert after insert on contacts_user
    for each row when (new.is_active) execute function contacts_hold_named_users();
create trigger named_users_update after update of is_active on contacts_user
    for each row when (new.is_active and not old.is_active) execute function contacts_hold_named_users();
"""

UNDO = """
drop trigger named_users_insert on contacts_user;
drop trigger named_users_update on contacts_user;
drop function contacts_hold_named_users;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0005_number_quality"),
        ("license", "0002_usage_and_end_reasons"),
    ]

    operations = [
        migrations.AlterModelManagers(
            name="user",
            managers=[
                ("objects", cmphone.contacts.models.UserManager()),
            ],
        ),
        migrations.RunSQL([FUNCTION, TRIGGERS], UNDO),
    ]
