from django.conf import settings
from django.db import migrations, models

COPY_NAMES = """
    update license_licensefile f set imported_by_name = u.username from contacts_user u where u.id = f.imported_by_id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("license", "0002_usage_and_end_reasons"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="licensefile",
            name="imported_by_name",
            field=models.CharField(
                blank=True, help_text="Empty: imported by command.", max_length=150, verbose_name="imported by"
            ),
        ),
        migrations.RunSQL(COPY_NAMES, migrations.RunSQL.noop),
        migrations.RemoveField(model_name="licensefile", name="imported_by"),
    ]
