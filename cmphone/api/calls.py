"""/api/v1/calls: calls as clients report them, missed calls, and calling back."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cmphone.access.models import Scope
from cmphone.api.authentication import current_user
from cmphone.api.documentation import problems
from cmphone.api.lookup import MAX_BATCH, LookupView, describe_call
from cmphone.api.notation import format_time
from cmphone.api.numbers import NumberField, NumberSerializer, TextField
from cmphone.api.paging import DEFAULT_PAGE_SIZE, LONGEST_CURSOR, make_page, read_cursor
from cmphone.calls.models import Call, CallState, Direction
from cmphone.calls.rows import SHOWN
from cmphone.calls.selectors import get_call, is_call_id, list_calls
from cmphone.calls.services import call_back, change_call, report_call
from cmphone.contacts.callers import Answer, look_up
from cmphone.contacts.callers import Call as Caller
from cmphone.contacts.models import User
from cmphone.events_address import find_public_url
from cmphone.monitoring.look_ups import count_batch
from license.models import Session
from templates_store.popup_context import choose_popup

MISSED_POPUP = "missed.html"
MAX_LINE_LENGTH = 200
CALL_ID = OpenApiParameter("call_id", str, OpenApiParameter.PATH, description="As it was reported, percent-encoded.")


class TimeField(serializers.DateTimeField):
    """A moment with its offset: without one nobody knows when it was."""

    def enforce_timezone(self, value: datetime) -> datetime:
        if value.tzinfo is None:
            message = _("Write the time with its offset, for example 2026-03-31T14:03:00Z.")
            raise serializers.ValidationError(message, code="no_offset")
        return super().enforce_timezone(value)


class CallSerializer(serializers.Serializer[None]):
    """A call."""

    class UserSerializer(serializers.Serializer[None]):
        id = serializers.CharField()
        display_name = serializers.CharField()

        class Meta:
            ref_name = "UserOfCall"

    call_id = serializers.CharField()
    direction = serializers.ChoiceField(Direction.values)
    state = serializers.ChoiceField(CallState.values)
    missed = serializers.BooleanField(help_text="It came in, and ended without anybody having answered.")
    done = serializers.BooleanField(help_text="Somebody has seen to it.")
    line = serializers.CharField()
    number = NumberSerializer()
    started_at = serializers.DateTimeField()
    answered_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    end_assumed = serializers.BooleanField(help_text="Nobody reported the end within the limit.")
    lookup = LookupView.OutputSerializer(help_text="Made anew, by what the caller may see now.")
    popup = serializers.CharField(help_text="The popup file that fits.")
    call_back = serializers.CharField(allow_null=True, help_text="A link that dials; null: it cannot be dialled.")
    reported_by = UserSerializer(allow_null=True, help_text="null where the user has been deleted.")
    done_at = serializers.DateTimeField(allow_null=True)
    done_by = UserSerializer(allow_null=True)
    called_back_at = serializers.DateTimeField(allow_null=True)
    called_back_by = UserSerializer(allow_null=True)
    sort_key = serializers.CharField(help_text="Lists are in the order of this text, the greatest first.")
    can_change = serializers.BooleanField(help_text="false: the caller sees it because of a role.")

    class Meta:
        ref_name = "Call"


class CallsView(APIView):
    """The calls that the caller may see."""

    scopes = (Scope.CALLS,)

    class InputSerializer(serializers.Serializer[None]):
        whose = serializers.ChoiceField(
            ["all", "own", "team"],
            default="all",
            help_text="own: those that the caller reported, and that came in on his lines; team: the others.",
        )
        missed = serializers.BooleanField(required=False)
        done = serializers.BooleanField(required=False)
        direction = serializers.ChoiceField(Direction.values, required=False)
        line = serializers.CharField(max_length=MAX_LINE_LENGTH, required=False)
        since = TimeField(required=False, help_text="Only those that began then or later.")
        page_size = serializers.IntegerField(min_value=1, max_value=MAX_BATCH, default=DEFAULT_PAGE_SIZE)
        cursor = serializers.CharField(
            max_length=LONGEST_CURSOR, required=False, help_text="What `next` of the page before has."
        )

    class ReportSerializer(serializers.Serializer[None]):
        call_id = TextField(
            max_length=200, help_text="New for every call of this client: printable ASCII characters without space."
        )
        direction = serializers.ChoiceField(Direction.values, default=Direction.INCOMING)
        number = NumberField(allow_blank=True, help_text="As the telephone system presents it; empty: withheld.")
        line = TextField(
            max_length=MAX_LINE_LENGTH, required=False, allow_blank=True, help_text="Without: that of the session."
        )
        started_at = TimeField(required=False, allow_null=True, default=None, help_text="Without: now.")

        class Meta:
            ref_name = "NewCall"

        def validate_call_id(self, value: str) -> str:
            if not is_call_id(value):
                raise serializers.ValidationError(_("Send 1 to 200 printable ASCII characters without space."))
            return value

    class OutputSerializer(serializers.Serializer[None]):
        results = CallSerializer(many=True)
        next = serializers.URLField(allow_null=True)

        class Meta:
            ref_name = "Calls"

    @extend_schema(
        operation_id="list_calls",
        summary="List calls, the newest first",
        parameters=[InputSerializer],
        responses={200: OutputSerializer},
    )
    def get(self, request: Request) -> Response:
        # Not as a form, in which an empty value would count as none.
        serializer = self.InputSerializer(data=request.query_params.dict())
        serializer.is_valid(raise_exception=True)
        asked = serializer.validated_data
        user = current_user(request)
        filters = {name: asked.get(name) for name in ("whose", "missed", "done", "direction", "line", "since")}
        calls = list_calls(user, **filters)
        # A page may have another size than the one before it.
        this_list = ["calls", user.pk, *filters.values()]
        if (place := read_cursor(asked.get("cursor"), of=this_list)) is not None:
            started_at, call_id = datetime.fromisoformat(place[0]), int(place[1])
            calls = calls.filter(started_at__lte=started_at).exclude(started_at=started_at, pk__gte=call_id)
        size = asked["page_size"]
        found = list(calls.select_related(*SHOWN)[: size + 1])
        page, next_url = make_page(
            request, found, size=size, of=this_list, find_place=lambda call: [call.started_at.isoformat(), call.pk]
        )
        return Response({"results": describe_calls(page, user, base_url=find_public_url(request)), "next": next_url})

    @extend_schema(
        operation_id="report_call",
        summary="Report a call, and learn who it is and which popup fits",
        description="Safe to repeat: what is known of the call stays.",
        request=ReportSerializer,
        responses={201: CallSerializer, 200: CallSerializer, **problems(409)},
    )
    def post(self, request: Request) -> Response:
        serializer = self.ReportSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        said = serializer.validated_data
        if "line" not in said and isinstance(request.auth, Session):
            said["line"] = request.auth.line
        user = current_user(request)
        call = report_call(user, **said)
        answer = look_up([call.number], who=user)
        if call.is_new:
            count_batch([answer.calls[0].found.match])
        described = describe_looked_up(call, answer, answer.calls[0], base_url=find_public_url(request))
        return Response(described, status=status.HTTP_201_CREATED if call.is_new else status.HTTP_200_OK)


class CallView(APIView):
    """One call."""

    scopes = (Scope.CALLS,)

    class InputSerializer(serializers.Serializer[None]):
        state = serializers.ChoiceField([CallState.ANSWERED.value, CallState.ENDED.value], required=False)
        at = TimeField(required=False, allow_null=True, help_text="When it came to this state. Without: now.")
        done = serializers.BooleanField(required=False)

        class Meta:
            ref_name = "CallChange"

        def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
            if not attrs.keys() & {"state", "done"}:
                raise serializers.ValidationError(_("Send state or done."), code="required")
            if attrs.get("at") is not None and "state" not in attrs:
                message = _("Send the state that the call had come to at this time.")
                raise serializers.ValidationError({"state": ErrorDetail(message, code="required")})
            return attrs

    @extend_schema(
        operation_id="get_call",
        summary="Show a call",
        parameters=[CALL_ID],
        responses={200: CallSerializer, **problems(404)},
    )
    def get(self, request: Request, call_id: str) -> Response:
        user = current_user(request)
        return _answer(get_call(user, call_id), request)

    @extend_schema(
        operation_id="change_call",
        summary="Report that a call was answered or has ended, or that somebody has seen to it",
        description="Late, doubled and out-of-order reports change nothing that is true already. A call that comes in "
        "and ends without having been answered is a missed one.",
        parameters=[CALL_ID],
        request=InputSerializer,
        responses={200: CallSerializer, **problems(404)},
    )
    def patch(self, request: Request, call_id: str) -> Response:
        serializer = self.InputSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return _answer(change_call(current_user(request), call_id, **serializer.validated_data), request)


class CallBackView(APIView):
    """Calling back."""

    scopes = (Scope.CALLS,)

    class OutputSerializer(serializers.Serializer[None]):
        dial_uri = serializers.CharField(help_text="A link that dials the number.")

        class Meta:
            ref_name = "CallBack"

    @extend_schema(
        operation_id="call_back",
        summary="Call the number of a call back, and keep who did",
        description="409 with `reason` where it cannot be dialled: `withheld`, `unreadable`, `no-country`, "
        "`no-international-prefix`.",
        parameters=[CALL_ID],
        request=None,
        responses={200: OutputSerializer, **problems(404, 409)},
    )
    def post(self, request: Request, call_id: str) -> Response:
        return Response({"dial_uri": call_back(current_user(request), call_id)})


def _answer(call: Call, request: Request) -> Response:
    (described,) = describe_calls([call], current_user(request), base_url=find_public_url(request))
    return Response(described)


def describe_calls(calls: Sequence[Call], user: User, *, base_url: str) -> list[dict[str, object]]:
    """Return calls as an answer has them, with look-ups made now for this user: one statement for all of them."""
    if not calls:
        return []
    answer = look_up([call.number for call in calls], who=user)
    return [
        describe_looked_up(call, answer, caller, base_url=base_url)
        for call, caller in zip(calls, answer.calls, strict=True)
    ]


def choose_popup_of(call: Call, lookup: Mapping[str, Any]) -> str:
    """Return the name of the popup file that fits the call as it is now."""
    return MISSED_POPUP if call.is_missed else choose_popup(lookup)


def describe_looked_up(call: Call, answer: Answer, caller: Caller, *, base_url: str) -> dict[str, object]:
    """Return a call as an answer has it to who asked for this look-up, in which `caller` is the call's number."""
    lookup: dict[str, Any] = describe_call(caller, answer, base_url=base_url)
    return {
        "call_id": call.call_id,
        "direction": call.direction,
        "state": call.state,
        "missed": call.is_missed,
        "done": call.done_at is not None,
        "line": call.line,
        "number": lookup["number"],
        "started_at": format_time(call.started_at),
        "answered_at": _format(call.answered_at),
        "ended_at": _format(call.ended_at),
        "end_assumed": call.is_end_assumed,
        "lookup": lookup,
        "popup": choose_popup_of(call, lookup),
        "call_back": lookup["actions"]["call_back"],
        "reported_by": _describe_user(call.reporter),
        "done_at": _format(call.done_at),
        "done_by": _describe_user(call.done_by),
        "called_back_at": _format(call.called_back_at),
        "called_back_by": _describe_user(call.called_back_by),
        # Finer than `started_at`: several calls begin in the same second.
        "sort_key": f"{call.started_at.astimezone(UTC):%Y%m%d%H%M%S%f}{call.pk:011}",
        "can_change": call.is_own,
    }


def _format(time: datetime | None) -> str | None:
    return format_time(time) if time is not None else None


def _describe_user(user: User | None) -> dict[str, str] | None:
    return {"id": str(user.pk), "display_name": user.display_name} if user is not None else None
