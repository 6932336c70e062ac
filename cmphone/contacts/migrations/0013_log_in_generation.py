from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0012_erasures"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="log_in_generation",
            field=models.PositiveIntegerField(db_default=0, default=0, editable=False),
        ),
    ]
