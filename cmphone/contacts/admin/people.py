"""Admin pages of users and roles."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import UserCreationForm
from django.db.models import QuerySet
from django.forms import CheckboxSelectMultiple
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.models import CustomerGroupRight, QueueRight, Role, User


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """Only a superuser makes somebody an administrator, or changes one."""

    list_display = ["username", "display_name", "language", "role_names", "is_active", "is_staff"]
    list_filter = ["is_active", "is_staff", "language", "groups"]
    fieldsets = [
        (None, {"fields": ["username", "password", "is_active"]}),
        (_("Person"), {"fields": ["first_name", "last_name", "email", "language"]}),
        (_("Roles"), {"fields": ["groups"]}),
        (
            _("Administration"),
            {
                "fields": ["is_staff", "is_superuser", "user_permissions"],
                "classes": ["collapse"],
                "description": _(
                    "Whoever has staff status may log in here, and sees the contacts that the roles give. "
                    "A superuser may do everything. The permissions are for pages other than that of contacts."
                ),
            },
        ),
        (_("Important dates"), {"fields": ["last_login", "date_joined"], "classes": ["collapse"]}),
    ]
    add_fieldsets = [
        (None, {"classes": ["wide"], "fields": ["username", "password1", "password2", "is_active"]}),
        (_("Person"), {"classes": ["wide"], "fields": ["first_name", "last_name", "language"]}),
        (_("Roles"), {"classes": ["wide"], "fields": ["groups"]}),
    ]
    readonly_fields = ["last_login", "date_joined"]
    filter_horizontal = ["user_permissions"]
    add_form = UserCreationForm

    @admin.display(description=_("name"), ordering="last_name")
    def display_name(self, user: User) -> str:
        return user.get_full_name()

    @admin.display(description=_("roles"))
    def role_names(self, user: User) -> str:
        return ", ".join(role.name for role in user.groups.all())

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if request.user.is_superuser:
            return fieldsets
        hidden = {"groups", "is_staff", "is_superuser", "user_permissions"}
        return [each for each in fieldsets if not hidden & set(each[1]["fields"])]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return _may_touch(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return _may_touch(request, obj) and super().has_delete_permission(request, obj)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "groups":
            kwargs["widget"] = CheckboxSelectMultiple()
        field = super().formfield_for_manytomany(db_field, request, **kwargs)
        if field is not None and db_field.name == "groups":
            field.label = _("Roles")
            field.help_text = _("What the user may do with contacts and cases. Rights of several roles add up.")
        return field


def _may_touch(request: HttpRequest, user: User | None) -> bool:
    """Say whether the password of this user is one that the administrator may set."""
    return bool(request.user.is_superuser) or user is None or not user.is_superuser


class CustomerGroupRightInline(admin.TabularInline):
    model = CustomerGroupRight
    extra = 0
    verbose_name_plural = _("Contacts: what the role may do, by customer group")


class QueueRightInline(admin.TabularInline):
    model = QueueRight
    extra = 0
    verbose_name_plural = _("Cases: what the role may do, by queue")


@admin.register(Role)
class RoleAdmin(admin.ModelAdmin):
    list_display = ["name", "summary"]
    search_fields = ["name"]
    inlines = [CustomerGroupRightInline, QueueRightInline]
    filter_horizontal = ["permissions"]
    readonly_fields = ["members"]
    ordering = ["name"]

    def get_fieldsets(self, request: HttpRequest, obj: Role | None = None) -> Any:
        fieldsets: list[tuple[Any, dict[str, Any]]] = [(None, {"fields": ["name", *(["members"] if obj else [])]})]
        if request.user.is_superuser:
            description = _("For pages of this administration other than that of contacts; agents need none.")
            options = {"fields": ["permissions"], "classes": ["collapse"], "description": description}
            fieldsets.append((_("Administration"), options))
        return fieldsets

    def get_queryset(self, request: HttpRequest) -> QuerySet[Role]:
        return super().get_queryset(request).prefetch_related("customer_group_rights__customer_group")

    @admin.display(description=_("contacts"))
    def summary(self, role: Role) -> SafeString:
        rights = [(right.customer_group, _name_rights(right)) for right in role.customer_group_rights.all()]
        return format_html_join("", "<div>{}: {}</div>", rights)

    @admin.display(description=_("users"))
    def members(self, role: Role) -> str:
        return ", ".join(role.user_set.order_by("username").values_list("username", flat=True)) or "–"


def _name_rights(right: CustomerGroupRight) -> str:
    names = {"can_view": _("view"), "can_create": _("create"), "can_edit": _("edit")}
    return ", ".join(str(label) for name, label in names.items() if getattr(right, name)) or "–"
