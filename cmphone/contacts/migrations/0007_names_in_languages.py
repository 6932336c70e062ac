from django.db import migrations, models
from django.db.models.expressions import Value

import cmphone.contacts.models


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0006_named_users"),
    ]

    operations = [
        # A constant default: PostgreSQL writes no row for it.
        migrations.AddField(
            model_name="contact",
            name="names",
            field=models.JSONField(
                blank=True, db_default=Value({}, models.JSONField()), default=dict, editable=False, verbose_name="names"
            ),
        ),
        # Which languages there are is a setting.
        migrations.AlterField(
            model_name="user",
            name="language",
            field=models.CharField(
                choices=cmphone.contacts.models.list_languages, default="de", max_length=10, verbose_name="language"
            ),
        ),
    ]
