"""`python -m tests.storm.site`: the tables, a licence of ten seats, users who may log in, and a contact."""

USERNAMES = [f"agent{number}" for number in range(5)]
PASSWORD = "many at once"
SEATS = 10
# Of the contact.
CALLER = "+4921133990312"


def main() -> None:
    """Make them, in an empty database."""
    # Not above: the clients, of whom there are many processes, read this module, too.
    import django

    django.setup()
    from django.core.management import call_command

    from license.importing import import_license
    from tests.licenses import make_license, make_section
    from tests.make import give_rights, make_customer_group, make_person, make_user

    call_command("migrate", verbosity=0)
    import_license(text=make_license(make_section(licenses=SEATS)), imported_by=None)
    group = make_customer_group()
    make_person(group, phone=CALLER)
    for username in USERNAMES:
        give_rights(make_user(username, password=PASSWORD), group)


if __name__ == "__main__":
    main()
