"""Versions of the popup files.  The database itself refuses to change one: clients that hold its manifest rely on it."""

import django.db.models.deletion
from django.db import migrations, models

FUNCTION = """
create function templates_store_refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'A published version of the popups is never changed: publish another one.'
        using errcode = 'check_violation', table = tg_table_name, constraint = 'popup_version_is_immutable';
end $$;
"""
TRIGGERS = """
create trigger popup_version_is_immutable before update on templates_store_popupversion
    for each row execute function templates_store_refuse_change();
create trigger popup_file_is_immutable before update on templates_store_popupfile
    for each row execute function templates_store_refuse_change();
"""
UNDO = """
drop trigger popup_file_is_immutable on templates_store_popupfile;
drop trigger popup_version_is_immutable on templates_store_popupversion;
drop function templates_store_refuse_change;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("templates_store", "0002_languages"),
    ]

    operations = [
        migrations.CreateModel(
            name="PopupFolder",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("checked_at", models.DateTimeField(verbose_name="last look")),
                ("path", models.TextField(blank=True, verbose_name="folder")),
                ("digest", models.CharField(blank=True, max_length=64)),
                ("troubles", models.JSONField(blank=True, default=list)),
            ],
            options={
                "verbose_name": "popup folder",
                "verbose_name_plural": "popup folders",
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_popup_folder")],
            },
        ),
        migrations.CreateModel(
            name="PopupVersion",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False, verbose_name="version")),
                ("created_at", models.DateTimeField(verbose_name="published")),
                ("created_by_name", models.CharField(blank=True, max_length=150, verbose_name="published by")),
                ("note", models.CharField(blank=True, max_length=500, verbose_name="note")),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("shipped", "product"),
                            ("folder", "folder on disk"),
                            ("administrator", "administrator"),
                            ("zip", "zip file"),
                            ("rollback", "older version"),
                        ],
                        max_length=20,
                        verbose_name="source",
                    ),
                ),
            ],
            options={
                "verbose_name": "version of the popups",
                "verbose_name_plural": "popup templates",
                "ordering": ["-number"],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("number__gt", 0)), name="popup_version_is_numbered"),
                    models.CheckConstraint(
                        condition=models.Q(("source__in", ["shipped", "folder", "administrator", "zip", "rollback"])),
                        name="popup_version_source_is_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PopupFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "layer",
                    models.CharField(
                        choices=[("shipped", "product"), ("folder", "folder on disk"), ("override", "administrator")],
                        max_length=10,
                        verbose_name="made by",
                    ),
                ),
                ("language", models.CharField(max_length=20, verbose_name="language")),
                ("name", models.CharField(max_length=50, verbose_name="file")),
                ("content", models.TextField(blank=True, verbose_name="content")),
                ("sha256", models.CharField(max_length=64, verbose_name="SHA-256")),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="files",
                        to="templates_store.popupversion",
                    ),
                ),
            ],
            options={
                "verbose_name": "popup file",
                "verbose_name_plural": "popup files",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("version", "language", "name", "layer"), name="one_popup_file_of_a_version_and_layer"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("layer__in", ["shipped", "folder", "override"])),
                        name="popup_file_layer_is_known",
                    ),
                ],
            },
        ),
        migrations.RunSQL([FUNCTION, TRIGGERS], UNDO),
    ]
