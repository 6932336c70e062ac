from django.db import migrations, models


class Migration(migrations.Migration):
    """Serves the calls of a contact's numbers, and those of a line, which went out as well."""

    dependencies = [
        ("calls", "0002_calls"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="call", name="call_line_order"),
        migrations.AddIndex(
            model_name="call",
            index=models.Index(
                fields=["line", "-started_at", "-id"], condition=~models.Q(line=""), name="call_line_order"
            ),
        ),
        migrations.AddIndex(
            model_name="call",
            index=models.Index(fields=["canonical", "-started_at", "-id"], name="call_number_order"),
        ),
    ]
