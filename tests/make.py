"""Data for tests: one small function a thing, with the least it needs."""

from collections.abc import Mapping, Sequence

from django.conf import settings
from django.contrib.auth.models import Group
from django.utils import timezone

from cmphone.calls.cases import create_case
from cmphone.calls.models import Case
from cmphone.contacts.models import (
    Contact,
    ContactField,
    ContactModel,
    CustomerGroup,
    CustomerGroupRight,
    Queue,
    QueueRight,
    User,
    Way,
)
from cmphone.contacts.services import ContactDraft, save_configuration, save_contact
from cmphone.contacts.writing import Author
from license.models import LicenseFile, Pool
from license.services import claim_seat
from templates_store.models import DisplayNames

# Who makes the contacts of the tests.
TESTS = Author(None, Way.SYSTEM)
PASSWORD = "correct horse battery staple"


def make_contact_model(
    name: str = "b2b", *, company_scope: str = "unit", person_names: Mapping[str, str] | None = None
) -> ContactModel:
    """Two levels: persons with names, two telephones and a note; companies with a name and a telephone."""
    model = ContactModel(name=name)
    save_configuration([model])
    fields = [
        ("person", "first_name", False, ""),
        ("person", "last_name", False, ""),
        ("person", "phone", True, "local"),
        ("person", "mobile", True, "local"),
        ("person", "private_phone", True, ""),
        ("company", "name", False, ""),
        ("company", "phone", True, company_scope),
    ]
    save_configuration(
        ContactField(
            contact_model=model, object=object, name=field, position=position, dialable=dialable, indexed=indexed
        )
        for position, (object, field, dialable, indexed) in enumerate(fields)
    )
    names = person_names or {
        "default": "{{ last_name }}, {{ first_name }}",
        "details": "{{ first_name }} {{ last_name }}{% if company %} ({{ company.name }}){% endif %}",
        "list": "{{ last_name }}",
    }
    save_configuration(
        [
            DisplayNames(contact_model=model, object="person", **names),
            DisplayNames(contact_model=model, object="company", default="{{ name }}"),
        ]
    )
    return model


def make_customer_group(name: str = "customers", model: ContactModel | None = None, **plan: object) -> CustomerGroup:
    """A group of the model (None: of a new one); `plan` as in country_prefix="49"."""
    group = CustomerGroup(
        name=name,
        label_de=f"{name} de",
        label_en=f"{name} en",
        contact_model=model or make_contact_model(f"model-{name}"),
        **plan,
    )
    save_configuration([group])
    return group


def make_person(
    group: CustomerGroup, last_name: str = "Anders", *, company: Contact | None = None, **fields: str
) -> Contact:
    """A person; `fields` as in phone="0211 1234567"."""
    values = {"first_name": "Maria", "last_name": last_name, **fields}
    return save_contact(ContactDraft(group.id, "person", values, company=company), by=TESTS)


def save_again(contact: Contact) -> None:
    """Write a contact as if all of it were new: what changes nothing is not written."""
    for is_active in (False, True):
        contact = Contact.objects.select_related("company").get(pk=contact.pk)
        draft = ContactDraft(
            contact.customer_group_id,
            contact.kind,
            contact.fields,
            contact.company,
            contact.external_id,
            is_active=is_active,
            contact=contact,
        )
        save_contact(draft, by=TESTS)


def make_company(group: CustomerGroup, name: str = "Alfreds Futterkiste", **fields: str) -> Contact:
    """A company."""
    return save_contact(ContactDraft(group.id, "company", {"name": name, **fields}), by=TESTS)


def make_user(username: str = "agent1", *, language: str = "en", password: str | None = None, **values: bool) -> User:
    """Somebody without any right.  None: without a password, which costs a hash to make."""
    user = User(username=username, language=language, **values)
    user.set_password(password)
    user.save()
    return user


def give_rights(
    user: User, group: CustomerGroup, *, view: bool = True, create: bool = False, edit: bool = False
) -> Group:
    """Give the user a new role with these rights, and return the role."""
    role = Group.objects.create(name=f"{user.username}-{group.name}-{Group.objects.count()}")
    CustomerGroupRight.objects.create(role=role, customer_group=group, can_view=view, can_create=create, can_edit=edit)
    user.groups.add(role)
    return role


def make_queue(name: str, groups: Sequence[CustomerGroup], role: Group) -> Queue:
    """A queue for cases of these groups, in which the role may create some."""
    queue = Queue.objects.create(name=name)
    queue.customer_groups.set(groups)
    QueueRight.objects.create(role=role, queue=queue, can_create=True)
    return queue


def make_license(licensed: int = 10) -> Pool:
    """A licence in force, signed by nobody: its own tests sign."""
    file = LicenseFile.objects.create(text="", public_key=settings.LICENSE_PUBLIC_KEY, imported_at=timezone.now())
    return Pool.objects.create(
        name="REST_USERS",
        license_file=file,
        contract_party="Test",
        products="CM/Phone",
        version="1",
        expires_on="2099-12-31",
        licensed=licensed,
    )


def log_in(user: User, client_id: str = "client-1") -> dict[str, str]:
    """Take a seat for the user, and return the header that shows it."""
    if not Pool.objects.exists():
        make_license()
    return {"Authorization": f"Bearer {claim_seat(user=user, client_id=client_id).token}"}


def make_case(user: User, contact: Contact, queue: Queue, subject: str = "Printer", description: str = "") -> Case:
    """A case that the user makes, who has the rights for it."""
    return create_case(user, contact=str(contact.pk), queue=queue.name, subject=subject, description=description).case
