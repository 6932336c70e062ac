from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("templates_store", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="displaynames",
            name="language",
            field=models.CharField(
                blank=True, default="", help_text="Empty: for all languages.", max_length=10, verbose_name="language"
            ),
        ),
        migrations.RemoveConstraint(model_name="displaynames", name="one_set_of_display_names"),
        migrations.AddConstraint(
            model_name="displaynames",
            constraint=models.UniqueConstraint(
                fields=("contact_model", "object", "language"), name="one_set_of_display_names"
            ),
        ),
    ]
