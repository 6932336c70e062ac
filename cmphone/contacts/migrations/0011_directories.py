import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0010_field_changes"),
    ]

    operations = [
        migrations.CreateModel(
            name="Directory",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True, verbose_name="name")),
                (
                    "uri",
                    models.CharField(
                        help_text="For example ldaps://dc1.example.com or ldap://ldap.example.com:389.",
                        max_length=300,
                        verbose_name="address",
                    ),
                ),
                (
                    "start_tls",
                    models.BooleanField(
                        default=False,
                        help_text="Encrypts a connection to an address that begins with ldap://.",
                        verbose_name="StartTLS",
                    ),
                ),
                (
                    "is_plain_allowed",
                    models.BooleanField(
                        default=False,
                        help_text="Password and contacts can then be read by whoever listens on the network.",
                        verbose_name="unencrypted connection allowed",
                    ),
                ),
                (
                    "ca_certificates",
                    models.TextField(
                        blank=True,
                        help_text="In PEM form (-----BEGIN CERTIFICATE-----): of the authority that signed the directory's certificate. Empty: the authorities that this system trusts.",
                        verbose_name="trusted certificates",
                    ),
                ),
                (
                    "bind_dn",
                    models.CharField(
                        blank=True,
                        help_text="A distinguished name, for example cn=reader,dc=example,dc=com; for Active Directory also reader@example.com. Empty: nobody logs in.",
                        max_length=300,
                        verbose_name="user name",
                    ),
                ),
                ("sealed_password", models.TextField(blank=True, editable=False)),
                (
                    "base",
                    models.CharField(
                        help_text="For example ou=people,dc=example,dc=com.",
                        max_length=500,
                        verbose_name="base of the search",
                    ),
                ),
                (
                    "scope",
                    models.CharField(
                        choices=[("subtree", "everything below"), ("one", "only what is directly below")],
                        default="subtree",
                        max_length=10,
                        verbose_name="depth",
                    ),
                ),
                (
                    "filter",
                    models.CharField(
                        default="(objectClass=person)",
                        help_text="Which entries are contacts, for example (&(objectCategory=person)(objectClass=user)(telephoneNumber=*)).",
                        max_length=2000,
                        verbose_name="filter",
                    ),
                ),
                (
                    "attribute_map",
                    models.TextField(
                        default="givenName = first_name\nsn = last_name\ntelephoneNumber|ipPhone = phone\nmobile = mobile",
                        help_text="A line for each contact field: attribute = field. Of telephoneNumber|ipPhone = phone the first that has a value is taken.",
                        verbose_name="attributes",
                    ),
                ),
                (
                    "external_id_attribute",
                    models.CharField(
                        default="objectGUID",
                        help_text="It has to stay as it is for as long as the entry exists: objectGUID in Active Directory, else entryUUID.",
                        max_length=100,
                        verbose_name="attribute that identifies",
                    ),
                ),
                (
                    "company_attribute",
                    models.CharField(
                        blank=True,
                        help_text="For example company|o: name or external id of the person's company, which is made where there is none. Empty: persons get no company.",
                        max_length=200,
                        verbose_name="attribute of the company",
                    ),
                ),
                (
                    "overwrite_empty",
                    models.BooleanField(
                        default=False,
                        help_text="What is empty in the directory is emptied in the contact, too. Otherwise the contact keeps it.",
                        verbose_name="empty values overwrite",
                    ),
                ),
                (
                    "most_missing",
                    models.PositiveSmallIntegerField(
                        default=20,
                        help_text="Where more of the contacts than this, and more than ten, are missing in the directory, none of them is deactivated: then a filter or the directory is probably wrong.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(100),
                        ],
                        verbose_name="at most missing (%)",
                    ),
                ),
                (
                    "interval_minutes",
                    models.PositiveIntegerField(
                        default=60,
                        validators=[
                            django.core.validators.MinValueValidator(5),
                            django.core.validators.MaxValueValidator(10080),
                        ],
                        verbose_name="interval in minutes",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=False,
                        help_text="Otherwise only when somebody says so.",
                        verbose_name="pulled regularly",
                    ),
                ),
                ("last_started_at", models.DateTimeField(editable=False, null=True, verbose_name="last pull")),
                ("last_success_at", models.DateTimeField(editable=False, null=True, verbose_name="last complete pull")),
                ("last_error", models.TextField(blank=True, editable=False, verbose_name="last error")),
                (
                    "customer_group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        to="contacts.customergroup",
                        verbose_name="customer group",
                    ),
                ),
            ],
            options={
                "verbose_name": "directory",
                "verbose_name_plural": "directories",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="DirectoryEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("external_id", models.CharField(max_length=200)),
                ("missing_since", models.DateTimeField(null=True)),
                (
                    "contact",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="directory_entries",
                        to="contacts.contact",
                    ),
                ),
                (
                    "directory",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="entries",
                        to="contacts.directory",
                    ),
                ),
            ],
            options={
                "verbose_name": "entry of a directory",
                "verbose_name_plural": "entries of directories",
                "default_permissions": (),
            },
        ),
        migrations.AddConstraint(
            model_name="directory",
            constraint=models.CheckConstraint(
                condition=models.Q(("scope__in", ["subtree", "one"])), name="directory_scope_is_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="directoryentry",
            constraint=models.UniqueConstraint(fields=("directory", "external_id"), name="one_entry_of_an_external_id"),
        ),
    ]
