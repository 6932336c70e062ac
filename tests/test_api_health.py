"""What load balancers and monitoring ask."""

import pytest
from django.db import OperationalError
from django.test import Client, override_settings


def test_a_process_that_answers_is_live(client: Client) -> None:
    answer = client.get("/health/live")

    assert (answer.status_code, answer.json()) == (200, {"status": "live"})


@pytest.mark.django_db
def test_with_database_and_redis_it_is_ready(client: Client) -> None:
    answer = client.get("/health/ready")

    assert answer.json() == {"status": "ready", "checks": {"database": "ok", "redis": "ok"}}


@pytest.mark.django_db
@override_settings(REDIS_URL="redis://127.0.0.1:1/0")
def test_without_redis_it_still_serves_and_says_so(client: Client) -> None:
    answer = client.get("/health/ready")

    assert (answer.status_code, answer.json()["checks"]["redis"]) == (200, "unavailable")


def test_without_a_database_it_is_not_ready_but_live(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OperationalError("could not connect to db-host-7")

    monkeypatch.setattr("cmphone.api.health.connection.cursor", fail)
    monkeypatch.setattr("cmphone.api.health.connection.close", lambda: None)

    answer = client.get("/health/ready")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["checks"]["database"] == "unavailable"
    assert "db-host-7" not in answer.content.decode()
    assert client.get("/health/live").status_code == 200
