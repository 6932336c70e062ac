"""The one row of the configuration's version, and a row for each property that there is, at its default."""

from django.db import migrations

DEFAULTS = {
    "local.country.prefix": "49",
    "internal.line.access.prefix": "0",
    "external.line.access.prefix": "0",
    "international.access.prefix": "",
    "dial.uri.scheme": "phone",
    "server.session.timeout": "1800",
    "server.session.timeout.REST": "300",
}


def make_rows(apps, schema_editor):
    apps.get_model("properties", "ConfigurationVersion").objects.get_or_create(id=1)
    for name, value in DEFAULTS.items():
        apps.get_model("properties", "SystemProperty").objects.get_or_create(name=name, defaults={"value": value})


class Migration(migrations.Migration):
    dependencies = [("properties", "0001_initial")]
    operations = [migrations.RunPython(make_rows, migrations.RunPython.noop)]
