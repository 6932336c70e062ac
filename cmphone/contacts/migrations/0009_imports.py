import django.contrib.postgres.indexes
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0008_history"),
    ]

    operations = [
        migrations.CreateModel(
            name="ImportFileChunk",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("data", models.BinaryField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ImportReport",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("outcomes", models.JSONField()),
                ("findings", models.JSONField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ImportRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "source",
                    models.CharField(
                        choices=[("csv", "CSV file"), ("vcard", "vCard file"), ("directory", "directory")],
                        max_length=10,
                        verbose_name="source",
                    ),
                ),
                ("user_name", models.CharField(blank=True, max_length=150, verbose_name="user")),
                ("file_name", models.CharField(blank=True, max_length=255, verbose_name="file")),
                ("options", models.JSONField(default=dict, verbose_name="options")),
                (
                    "overwrite_empty",
                    models.BooleanField(
                        default=False,
                        help_text="What is empty in the file is emptied in the contact, too. Otherwise the contact keeps it.",
                        verbose_name="empty values overwrite",
                    ),
                ),
                ("dry_run", models.BooleanField(default=False, verbose_name="dry run")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "not started"),
                            ("waiting", "waiting"),
                            ("running", "under way"),
                            ("finished", "finished"),
                            ("failed", "failed"),
                            ("cancelled", "cancelled"),
                        ],
                        default="draft",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("total", models.PositiveIntegerField(default=0, verbose_name="records")),
                ("place", models.PositiveIntegerField(default=0, verbose_name="done")),
                ("counts", models.JSONField(default=dict)),
                ("left_out", models.JSONField(default=list)),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created at")),
                ("requested_at", models.DateTimeField(null=True)),
                ("started_at", models.DateTimeField(null=True, verbose_name="start")),
                ("updated_at", models.DateTimeField(null=True, verbose_name="last batch")),
                ("finished_at", models.DateTimeField(null=True, verbose_name="end")),
                ("error", models.TextField(blank=True, verbose_name="error")),
            ],
            options={
                "verbose_name": "import of contacts",
                "verbose_name_plural": "imports of contacts",
                "ordering": ["-id"],
                "default_permissions": (),
            },
        ),
        migrations.AddIndex(
            model_name="contact",
            index=django.contrib.postgres.indexes.HashIndex(
                condition=models.Q(("external_id", "")), fields=["fields"], name="contact_content"
            ),
        ),
        migrations.AddField(
            model_name="importrun",
            name="customer_group",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, to="contacts.customergroup", verbose_name="customer group"
            ),
        ),
        migrations.AddField(
            model_name="importrun",
            name="user",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                to=settings.AUTH_USER_MODEL,
                verbose_name="user",
            ),
        ),
        migrations.AddField(
            model_name="importreport",
            name="run",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="reports",
                to="contacts.importrun",
            ),
        ),
        migrations.AddField(
            model_name="importfilechunk",
            name="run",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="chunks",
                to="contacts.importrun",
            ),
        ),
        migrations.AddIndex(
            model_name="importrun",
            index=models.Index(
                condition=models.Q(("state__in", ["waiting", "running"])), fields=["requested_at"], name="import_queue"
            ),
        ),
        migrations.AddConstraint(
            model_name="importrun",
            constraint=models.CheckConstraint(
                condition=models.Q(("source__in", ["csv", "vcard", "directory"])), name="import_source_is_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="importrun",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["draft", "waiting", "running", "finished", "failed", "cancelled"])),
                name="import_state_is_known",
            ),
        ),
        migrations.AddIndex(
            model_name="importreport",
            index=models.Index(fields=["run", "id"], name="import_report_order"),
        ),
        migrations.AddIndex(
            model_name="importreport",
            index=models.Index(
                condition=models.Q(("findings", []), _negated=True), fields=["run", "id"], name="import_report_findings"
            ),
        ),
        migrations.AddConstraint(
            model_name="importfilechunk",
            constraint=models.UniqueConstraint(fields=("run", "number"), name="one_chunk_of_a_number"),
        ),
    ]
