import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0007_names_in_languages"),
    ]

    operations = [
        migrations.AddField(
            model_name="contact",
            name="version",
            field=models.PositiveIntegerField(db_default=1, default=1, editable=False, verbose_name="version"),
        ),
        migrations.CreateModel(
            name="ContactChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(verbose_name="when")),
                ("user_name", models.CharField(blank=True, max_length=150, verbose_name="user")),
                (
                    "way",
                    models.CharField(
                        choices=[
                            ("admin", "administration"),
                            ("page", "page"),
                            ("rest", "REST"),
                            ("csv", "CSV file"),
                            ("vcard", "vCard file"),
                            ("directory", "directory"),
                            ("system", "system"),
                        ],
                        max_length=10,
                        verbose_name="way",
                    ),
                ),
                ("is_new", models.BooleanField(default=False, verbose_name="new")),
                ("changes", models.JSONField(default=dict, verbose_name="changes")),
                (
                    "contact",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="changes",
                        to="contacts.contact",
                        verbose_name="contact",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "change of a contact",
                "verbose_name_plural": "changes of contacts",
                "indexes": [models.Index(fields=["contact", "id"], name="contact_change_order")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("way__in", ["admin", "page", "rest", "csv", "vcard", "directory", "system"])
                        ),
                        name="change_way_is_known",
                    )
                ],
            },
        ),
    ]
