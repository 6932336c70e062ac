import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0011_directories"),
    ]

    operations = [
        migrations.CreateModel(
            name="Erasure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("contact_id", models.BigIntegerField(verbose_name="contact")),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("request", "the person asked for it"),
                            ("consent", "consent was withdrawn"),
                            ("purpose", "it is not needed any more"),
                            ("unlawful", "it should never have been stored"),
                            ("retention", "its time was over"),
                        ],
                        max_length=10,
                        verbose_name="reason",
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="when")),
                ("user_name", models.CharField(blank=True, max_length=150, verbose_name="user")),
                ("external_id_hash", models.CharField(blank=True, editable=False, max_length=64)),
                ("lifted_at", models.DateTimeField(editable=False, null=True, verbose_name="allowed again")),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "erasure",
                "verbose_name_plural": "erasures",
                "ordering": ["-id"],
                "default_permissions": (),
                "indexes": [
                    models.Index(
                        condition=models.Q(("external_id_hash", ""), _negated=True),
                        fields=["external_id_hash"],
                        name="erasure_suppression",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("reason__in", ["request", "consent", "purpose", "unlawful", "retention"])),
                        name="reason_is_known",
                    )
                ],
            },
        ),
    ]
