"""The administration in a real browser, for somebody who has just logged in."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_django.live_server_helper import LiveServer

from tests.make import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@contextmanager
def open_administration(
    chromium: "Browser",
    live_server: LiveServer,
    username: str = "admin",
    *,
    language: str,
    width: int = 1400,
    height: int = 900,
    has_scripts: bool = True,
) -> Iterator["Page"]:
    """Open a page for who has this name and the tests' password.  Fails at its end when a script did."""
    context = chromium.new_context(
        base_url=live_server.url,
        locale=language,
        viewport={"width": width, "height": height},
        java_script_enabled=has_scripts,
    )
    page = context.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto("/admin/")
    page.fill("#id_username", username)
    page.fill("#id_password", PASSWORD)
    page.press("#id_password", "Enter")
    page.wait_for_selector("#user-tools")
    yield page
    context.close()
    assert failures == []
