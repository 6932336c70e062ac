from django.db import migrations, models
from django.db.models.expressions import Value


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
    ]
