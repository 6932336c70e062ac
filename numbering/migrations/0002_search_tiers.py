import django.contrib.postgres.indexes
import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0003_rebuilds_and_search"),
        ("numbering", "0001_initial"),
    ]

    operations = [
        # Every group counts as stale afterwards, and is read anew; until then, the entries that there are serve.
        migrations.AddField(
            model_name="indexentry",
            name="is_possible",
            field=models.BooleanField(default=True, verbose_name="possible"),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="indexentry",
            name="rule",
            field=models.CharField(default="", max_length=30, verbose_name="rule"),
            preserve_default=False,
        ),
        migrations.RunSQL("update numbering_indexentry set tail = right(tail, 7)", migrations.RunSQL.noop),
        # The update leaves checks behind that the next step could not be done with.
        migrations.RunSQL("set constraints all immediate", migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="indexentry",
            name="tail",
            field=models.CharField(blank=True, max_length=7),
        ),
        migrations.RemoveIndex(model_name="indexentry", name="index_entry_canonical"),
        migrations.AddIndex(
            model_name="indexentry",
            index=models.Index(
                fields=["canonical"], include=["customer_group", "contact"], name="index_entry_canonical"
            ),
        ),
        migrations.AddIndex(
            model_name="indexentry",
            index=models.Index(
                condition=models.Q(("tail", ""), _negated=True), fields=["tail"], name="index_entry_tail"
            ),
        ),
        migrations.AddIndex(
            model_name="indexentry",
            index=models.Index(
                condition=models.Q(("block", ""), _negated=True), fields=["block"], name="index_entry_block"
            ),
        ),
        migrations.AddIndex(
            model_name="indexentry",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.indexes.OpClass(
                    django.db.models.functions.text.Upper("canonical"), name="gin_trgm_ops"
                ),
                name="index_entry_digits",
            ),
        ),
        migrations.AddIndex(
            model_name="indexentry",
            index=models.Index(
                condition=models.Q(
                    ("kind", "unreadable"), models.Q(("is_possible", False), ("kind", "public")), _connector="OR"
                ),
                fields=["customer_group", "id"],
                name="index_entry_doubtful",
            ),
        ),
    ]
