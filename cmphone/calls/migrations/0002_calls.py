"""Calls, the lines and rights by which one sees them, and the numbered events that streams tell.

What goes with a user or a call goes by the database itself: events are many, and nobody wants to read them one by one
on the page that asks whether to delete a user.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

REFERENCES = """
alter table calls_callfeed add constraint call_feed_of_a_user
    foreign key (user_id) references contacts_user (id) on delete cascade;
alter table calls_callevent add constraint call_event_of_a_user
    foreign key (user_id) references contacts_user (id) on delete cascade;
alter table calls_callevent add constraint call_event_of_a_call
    foreign key (call_id) references calls_call (id) on delete cascade;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("calls", "0001_cases"),
        ("contacts", "0008_history"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="CallFeed",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("number", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Call",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "call_id",
                    models.CharField(help_text="What its client calls it.", max_length=200, verbose_name="call id"),
                ),
                ("line", models.CharField(blank=True, max_length=200, verbose_name="line")),
                (
                    "direction",
                    models.CharField(
                        choices=[("incoming", "incoming"), ("outgoing", "outgoing")],
                        max_length=10,
                        verbose_name="direction",
                    ),
                ),
                ("number", models.CharField(blank=True, max_length=500, verbose_name="number")),
                ("canonical", models.CharField(blank=True, max_length=40, verbose_name="canonical number")),
                ("kind", models.CharField(max_length=10, verbose_name="kind of number")),
                ("started_at", models.DateTimeField(verbose_name="start")),
                ("answered_at", models.DateTimeField(blank=True, null=True, verbose_name="answered at")),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="end")),
                (
                    "is_end_assumed",
                    models.BooleanField(
                        default=False, help_text="Nobody reported its end within the limit.", verbose_name="end assumed"
                    ),
                ),
                ("reported_at", models.DateTimeField(verbose_name="reported at")),
                (
                    "state",
                    models.CharField(
                        choices=[("ringing", "ringing"), ("answered", "answered"), ("ended", "ended")],
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("is_missed", models.BooleanField(default=False, verbose_name="missed")),
                ("done_at", models.DateTimeField(blank=True, null=True, verbose_name="done at")),
                ("called_back_at", models.DateTimeField(blank=True, null=True, verbose_name="called back at")),
                (
                    "called_back_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="called back by",
                    ),
                ),
                (
                    "done_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="done by",
                    ),
                ),
                (
                    "reporter",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="reported_calls",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="reported by",
                    ),
                ),
            ],
            options={
                "verbose_name": "call",
                "verbose_name_plural": "calls",
                "ordering": ["-started_at", "-id"],
            },
        ),
        migrations.CreateModel(
            name="CallEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.BigIntegerField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("call.ringing", "call.ringing"),
                            ("call.answered", "call.answered"),
                            ("call.ended", "call.ended"),
                            ("call.missed", "call.missed"),
                            ("call.done", "call.done"),
                            ("call.called-back", "call.called-back"),
                        ],
                        max_length=20,
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "call",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="calls.call",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="CallRight",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="call_rights",
                        to="auth.group",
                        verbose_name="role",
                    ),
                ),
                (
                    "seen_role",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="auth.group",
                        verbose_name="sees the calls of users with the role",
                    ),
                ),
            ],
            options={
                "verbose_name": "right on calls",
                "verbose_name_plural": "rights on calls",
            },
        ),
        migrations.CreateModel(
            name="Line",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "name",
                    models.CharField(
                        help_text="As clients and the telephone system report it with a call, for example 12.",
                        max_length=200,
                        unique=True,
                        verbose_name="name",
                    ),
                ),
                (
                    "label",
                    models.CharField(
                        blank=True, help_text="For people, for example: hotline.", max_length=100, verbose_name="label"
                    ),
                ),
                (
                    "users",
                    models.ManyToManyField(
                        blank=True, related_name="lines", to=settings.AUTH_USER_MODEL, verbose_name="users"
                    ),
                ),
            ],
            options={
                "verbose_name": "line",
                "verbose_name_plural": "lines",
                "ordering": ["name"],
            },
        ),
        migrations.AddIndex(
            model_name="call",
            index=models.Index(fields=["-started_at", "-id"], name="call_order"),
        ),
        migrations.AddIndex(
            model_name="call",
            index=models.Index(fields=["reporter", "-started_at", "-id"], name="call_reporter_order"),
        ),
        migrations.AddIndex(
            model_name="call",
            index=models.Index(
                condition=models.Q(("direction", "incoming"), models.Q(("line", ""), _negated=True)),
                fields=["line", "-started_at", "-id"],
                name="call_line_order",
            ),
        ),
        migrations.AddIndex(
            model_name="call",
            index=models.Index(
                condition=models.Q(("state", "ended"), _negated=True), fields=["reported_at"], name="call_open"
            ),
        ),
        migrations.AddConstraint(
            model_name="call",
            constraint=models.UniqueConstraint(fields=("call_id", "reporter"), name="one_call_of_an_id_and_reporter"),
        ),
        migrations.AddConstraint(
            model_name="call",
            constraint=models.CheckConstraint(
                condition=models.Q(("call_id", ""), _negated=True), name="call_has_an_id"
            ),
        ),
        migrations.AddConstraint(
            model_name="call",
            constraint=models.CheckConstraint(
                condition=models.Q(("direction__in", ["incoming", "outgoing"])), name="call_direction_is_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="call",
            constraint=models.CheckConstraint(
                condition=models.Q(models.Q(("kind", "withheld"), _negated=True), ("number", ""), _connector="OR"),
                name="withheld_number_is_not_kept",
            ),
        ),
        migrations.AddConstraint(
            model_name="call",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("answered_at", None), ("answered_at__gte", models.F("started_at")), _connector="OR"),
                    models.Q(("ended_at", None), ("ended_at__gte", models.F("started_at")), _connector="OR"),
                    models.Q(
                        ("answered_at", None),
                        ("ended_at", None),
                        ("ended_at__gte", models.F("answered_at")),
                        _connector="OR",
                    ),
                ),
                name="call_times_are_in_order",
            ),
        ),
        migrations.AddConstraint(
            model_name="call",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("ended_at__isnull", False), ("state", "ended")),
                    models.Q(("answered_at__isnull", False), ("ended_at", None), ("state", "answered")),
                    models.Q(("answered_at", None), ("ended_at", None), ("state", "ringing")),
                    _connector="OR",
                ),
                name="call_state_follows_from_times",
            ),
        ),
        migrations.AddConstraint(
            model_name="call",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("answered_at", None), ("direction", "incoming"), ("is_missed", True), ("state", "ended")),
                    models.Q(
                        ("is_missed", False),
                        models.Q(("answered_at", None), ("direction", "incoming"), ("state", "ended"), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="missed_follows_from_times",
            ),
        ),
        migrations.AddConstraint(
            model_name="call",
            constraint=models.CheckConstraint(
                condition=models.Q(("is_end_assumed", False), ("ended_at__isnull", False), _connector="OR"),
                name="assumed_end_is_an_end",
            ),
        ),
        migrations.AddConstraint(
            model_name="callevent",
            constraint=models.UniqueConstraint(fields=("user", "number"), name="one_event_of_a_number"),
        ),
        migrations.AddConstraint(
            model_name="callevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kind__in",
                        ["call.ringing", "call.answered", "call.ended", "call.missed", "call.done", "call.called-back"],
                    )
                ),
                name="call_event_kind_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="callright",
            constraint=models.UniqueConstraint(fields=("role", "seen_role"), name="one_right_of_a_role_on_calls"),
        ),
        migrations.AddConstraint(
            model_name="line",
            constraint=models.CheckConstraint(condition=models.Q(("name", ""), _negated=True), name="line_has_a_name"),
        ),
        migrations.RunSQL(REFERENCES, migrations.RunSQL.noop),
    ]
