import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.text
from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0002_company_name_index"),
    ]

    operations = [
        TrigramExtension(),
        migrations.CreateModel(
            name="Rebuild",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "subject",
                    models.CharField(
                        choices=[("numbers", "numbers"), ("names", "display names")],
                        max_length=10,
                        verbose_name="subject",
                    ),
                ),
                ("fingerprint", models.CharField(max_length=64)),
                (
                    "total",
                    models.PositiveIntegerField(default=0, help_text="When it began.", verbose_name="contacts"),
                ),
                ("done", models.PositiveIntegerField(default=0, verbose_name="done")),
                ("changed", models.PositiveIntegerField(default=0, verbose_name="changed")),
                ("last_kind", models.CharField(blank=True, max_length=10)),
                ("last_id", models.BigIntegerField(default=0)),
                ("started_at", models.DateTimeField(verbose_name="start")),
                ("updated_at", models.DateTimeField(verbose_name="last batch")),
                ("finished_at", models.DateTimeField(blank=True, null=True, verbose_name="end")),
                (
                    "customer_group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rebuilds",
                        to="contacts.customergroup",
                        verbose_name="customer group",
                    ),
                ),
            ],
            options={
                "verbose_name": "rebuild",
                "verbose_name_plural": "rebuilds",
                "constraints": [
                    models.UniqueConstraint(fields=("customer_group", "subject"), name="one_rebuild_of_a_subject"),
                    models.CheckConstraint(
                        condition=models.Q(("subject__in", ["numbers", "names"])), name="rebuild_subject_is_known"
                    ),
                ],
            },
        ),
        migrations.RemoveField(model_name="customergroup", name="built_from"),
        migrations.AddIndex(
            model_name="contact",
            index=models.Index(fields=["name", "id"], name="contact_name_order"),
        ),
        migrations.AddIndex(
            model_name="contact",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.indexes.OpClass(
                    django.db.models.functions.text.Upper("name"), name="gin_trgm_ops"
                ),
                name="contact_name_part",
            ),
        ),
        migrations.AddIndex(
            model_name="contact",
            index=models.Index(fields=["customer_group", "kind", "id"], name="contact_rebuild_order"),
        ),
        # The new index serves it.
        migrations.AlterField(
            model_name="contact",
            name="customer_group",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                to="contacts.customergroup",
                verbose_name="customer group",
            ),
        ),
    ]
