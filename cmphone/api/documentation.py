"""What the API document says of errors: every operation may answer with a problem."""

from typing import Any

from drf_spectacular.generators import SchemaGenerator

from cmphone.events_address import EVENTS_PATH

PROBLEM = "application/problem+json"
# What any operation may answer, whatever it does.
ALWAYS = (400, 405, 406, 413, 415, 500, 503)


def problems(*statuses: int) -> dict[tuple[int, str], dict[str, Any]]:
    """Return the responses of an operation that may answer with problems of these statuses."""
    return {(status, PROBLEM): _schema for status in statuses}


_text = {"type": "string"}
_schema: dict[str, Any] = {"$ref": "#/components/schemas/Problem"}
_definition: dict[str, Any] = {
    "type": "object",
    "description": "An error (RFC 9457). `type` ends in a stable slug; `errors` says what is wrong with which value. "
    "Some problems have more members: `licensed`, `in_use`, `reason`.",
    "required": ["type", "title", "status", "detail", "request_id", "errors"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": _text,
        "status": {"type": "integer"},
        "detail": _text,
        "request_id": _text,
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {"pointer": _text, "code": _text, "detail": _text},
            },
        },
    },
}


_events: dict[str, Any] = {
    "operationId": "listen_to_calls",
    "summary": "The user's calls as they come, as Server-Sent Events",
    "description": "A process of its own serves it, at the address that `events_url` of the client's configuration "
    "names. Each event has the number by which `Last-Event-ID` goes on after it, its kind, and as data the call as "
    "`GET /api/v1/calls/{call_id}` answers it. `hello` tells where one stands, `reset` that one has to read the lists "
    "anew, `versions` that configuration or templates have changed, `session-ended` why it ends.",
    "tags": ["api"],
    "parameters": [
        {"in": "header", "name": "Last-Event-ID", "schema": _text, "description": "Of the last event that was read."},
        {"in": "query", "name": "last_event_id", "schema": _text, "description": "The same, for who sets no headers."},
    ],
    "security": [{"session": []}, {"apiKey": []}],
    "responses": {"200": {"content": {"text/event-stream": {"schema": _text}}, "description": ""}},
}


def add_events(result: dict[str, Any], generator: SchemaGenerator, **_: object) -> dict[str, Any]:
    """Add the stream of events, which no view of this process answers."""
    problem = {"content": {PROBLEM: {"schema": _schema}}, "description": ""}
    refused = {str(status): problem for status in (401, 403, 429)}
    result["paths"][EVENTS_PATH] = {"get": {**_events, "responses": _events["responses"] | refused}}
    return result


def add_problems(result: dict[str, Any], generator: SchemaGenerator, **_: object) -> dict[str, Any]:
    """Add to every operation the errors that any operation may answer with."""
    result["components"]["schemas"]["Problem"] = _definition
    for path in result["paths"].values():
        for operation in path.values():
            answers = operation["responses"]
            secured = any(operation.get("security", []))
            for status in (*ALWAYS, 401, 403) if secured else ALWAYS:
                answers.setdefault(str(status), {"content": {PROBLEM: {"schema": _schema}}, "description": ""})
            operation["responses"] = dict(sorted(answers.items()))
    return result
