import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ClientRelease",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "version",
                    models.CharField(
                        max_length=27,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[0-9]{1,6}(\\.[0-9]{1,6}){0,3}\\Z",
                                "Enter one to four numbers between dots, for example 2.10.1.",
                            )
                        ],
                        verbose_name="version",
                    ),
                ),
                (
                    "order",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveIntegerField(), editable=False, size=4, unique=True
                    ),
                ),
                ("file_name", models.CharField(editable=False, max_length=150, verbose_name="file name")),
                ("size", models.PositiveBigIntegerField(editable=False, help_text="In bytes.", verbose_name="size")),
                ("sha256", models.CharField(editable=False, max_length=64, verbose_name="SHA-256")),
                ("notes_de", models.TextField(blank=True, verbose_name="release notes (German)")),
                ("notes_en", models.TextField(blank=True, verbose_name="release notes (English)")),
                (
                    "is_offered",
                    models.BooleanField(
                        default=True,
                        help_text="Untick it to withdraw the version: nobody gets it, and it is kept.",
                        verbose_name="offered",
                    ),
                ),
                ("uploaded_at", models.DateTimeField(auto_now_add=True, verbose_name="uploaded at")),
                (
                    "uploaded_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="uploaded by",
                    ),
                ),
            ],
            options={
                "verbose_name": "client release",
                "verbose_name_plural": "client releases",
                "ordering": ["-order"],
            },
        ),
        migrations.CreateModel(
            name="ReleaseChunk",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("data", models.BinaryField()),
                (
                    "release",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="chunks",
                        to="releases.clientrelease",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("release", "number"), name="one_chunk_of_a_release")],
            },
        ),
    ]
