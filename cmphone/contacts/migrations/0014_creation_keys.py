import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

REFERENCES = """
alter table contacts_creationkey add constraint creation_key_of_a_user
    foreign key (user_id) references contacts_user (id) on delete cascade;
alter table contacts_creationkey add constraint creation_key_of_a_contact
    foreign key (contact_id) references contacts_contact (id) on delete cascade;
"""


class Migration(migrations.Migration):
    dependencies = [("contacts", "0013_log_in_generation")]

    operations = [
        migrations.CreateModel(
            name="CreationKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=100)),
                (
                    "contact",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="contacts.contact",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("user", "key"), name="one_contact_of_a_creation_key")],
            },
        ),
        migrations.RunSQL(REFERENCES, migrations.RunSQL.noop),
    ]
