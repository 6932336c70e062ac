"""/api/v1/customer-groups: what the caller may see, with rights and fields."""

from collections import defaultdict

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cmphone.access.models import Scope
from cmphone.api.authentication import current_user
from cmphone.calls.cases import list_queues
from cmphone.contacts.configuration import GroupRules, get_current_configuration
from cmphone.contacts.models import ContactKind, IndexScope, Queue, choose_label
from cmphone.contacts.selectors import Rights, get_rights


class CustomerGroupsView(APIView):
    """The customer groups in which the caller has any right."""

    scopes = (Scope.LOOKUP, Scope.CONTACTS, Scope.CALLS)

    class OutputSerializer(serializers.Serializer[None]):
        class CustomerGroupSerializer(serializers.Serializer[None]):
            class RightsSerializer(serializers.Serializer[None]):
                view = serializers.BooleanField()
                create = serializers.BooleanField()  # type: ignore[assignment]  # DRF has this name too
                edit = serializers.BooleanField()
                create_case = serializers.BooleanField()

                class Meta:
                    ref_name = "Rights"

            class FieldSerializer(serializers.Serializer[None]):
                object = serializers.ChoiceField(ContactKind.values)
                name = serializers.CharField()
                label = serializers.CharField()  # type: ignore[assignment]  # DRF has this name too
                dialable = serializers.BooleanField()
                indexed = serializers.ChoiceField(IndexScope.values)

                class Meta:
                    ref_name = "ContactField"

            class QueueSerializer(serializers.Serializer[None]):
                id = serializers.CharField()
                name = serializers.CharField(help_text="In the language of the user.")
                internal_name = serializers.CharField()

                class Meta:
                    ref_name = "Queue"

            id = serializers.CharField()
            internal_name = serializers.CharField()
            name = serializers.CharField(help_text="In the language of the user.")
            rights = RightsSerializer()
            fields = FieldSerializer(many=True)  # type: ignore[assignment]  # DRF has this name too
            queues = QueueSerializer(many=True, help_text="In which you may create cases of its contacts.")

            class Meta:
                ref_name = "CustomerGroup"

        results = CustomerGroupSerializer(many=True)
        next = serializers.URLField(allow_null=True)

        class Meta:
            ref_name = "CustomerGroups"

    @extend_schema(
        operation_id="list_customer_groups",
        summary="List the customer groups you have rights in",
        responses=OutputSerializer,
    )
    def get(self, request: Request) -> Response:
        groups = get_current_configuration().groups
        user = current_user(request)
        language = user.language
        queues: dict[int, list[dict[str, str]]] = defaultdict(list)
        for queue in list_queues(user).prefetch_related("customer_groups"):
            for group in queue.customer_groups.all():
                queues[group.pk].append(describe_queue(queue, language))
        results = [
            describe_group(groups[id], language)
            | describe_rights(rights, groups[id], language)
            | {"queues": queues[id] if rights.create_case else []}
            for id, rights in sorted(get_rights(user).items())
            if id in groups
        ]
        return Response({"results": results, "next": None})


def describe_group(group: GroupRules, language: str) -> dict[str, str]:
    """Return how an answer names a customer group."""
    return {"id": str(group.id), "name": group.label(language), "internal_name": group.name}


def describe_queue(queue: Queue, language: str) -> dict[str, str]:
    """Return how an answer names a queue."""
    name = choose_label(de=queue.label_de, en=queue.label_en, name=queue.name, language=language)
    return {"id": str(queue.pk), "name": name, "internal_name": queue.name}


def describe_rights(rights: Rights, group: GroupRules, language: str) -> dict[str, object]:
    """Return what the caller may do in a customer group, and the fields of its contacts."""
    return {
        "rights": {
            "view": rights.view,
            "create": rights.create,
            "edit": rights.edit,
            "create_case": rights.create_case,
        },
        "fields": [
            {
                "object": kind,
                "name": field.name,
                "label": choose_label(de=field.label_de, en=field.label_en, name=field.name, language=language),
                "dialable": field.dialable,
                "indexed": field.indexed,
            }
            for kind, fields in sorted(group.fields.items(), reverse=True)
            for field in fields
        ],
    }
