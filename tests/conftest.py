"""What every test stands on: embedded services of this run's own, and a browser for those that ask for it."""

import contextlib
import fcntl
import itertools
import os
import shutil
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from cmphone.embedded import find_place, hold_services, var_folder
from cmphone.embedded_place import EmbeddedError, make_public
from tests.browser import find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# No test fails for a machine that is busy.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def _claim_var() -> Path:
    """Return a folder for the services of this run, locked against other runs until the process ends."""
    make_public(var_folder())
    for number in itertools.count(1):
        var = var_folder() / f"test-{number}"
        lock = os.open(var.with_suffix(".lock"), os.O_RDONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return var
    raise AssertionError


# Named here and not in pyproject.toml: pytest-django would read the settings before this file has said where
# the services are.  They are this run's own, as the worker of a served demo site would take its jobs, and a
# second run its database.
if "cmphone.settings" in sys.modules:
    raise pytest.UsageError("The settings were read before tests/conftest.py: leave DJANGO_SETTINGS_MODULE to it.")
VAR = _claim_var()
os.environ["CMPHONE_VAR"] = str(VAR)
os.environ["DJANGO_SETTINGS_MODULE"] = "cmphone.settings"


def pytest_configure() -> None:
    """Read the settings, now that it is known where the services are; pytest-django sets Django up with them."""
    import django

    django.setup()


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop() -> Generator[None, object, object]:
    """Keep the embedded services running while the tests run, and leave nothing of them behind."""
    _remove_var()
    try:
        with hold_services(durable=False):
            return (yield)
    except EmbeddedError as error:
        pytest.exit(str(error), returncode=1)
    finally:
        _remove_var()


def _remove_var() -> None:
    for folder in {VAR, find_place().data}:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    """A Chromium for the tests of one module, which carry the marker `browser`."""
    path = find_chromium()
    if path is None:
        how = "There is no Chromium: install Debian's package chromium, or name one in CMPHONE_CHROMIUM."
        if os.environ.get("CI") == "true" and os.geteuid() == 0:
            pytest.fail(how)
        pytest.skip(how)
    from playwright.sync_api import sync_playwright

    flags = [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-gpu",
        "--disable-quic",
        "--disable-sync",
        "--no-first-run",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ]
    with contextlib.ExitStack() as stack:
        playwright = stack.enter_context(sync_playwright())
        # Playwright runs an event loop in this very thread, in which Django would not touch its database.
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        stack.callback(browser.close)
        yield browser


@pytest.fixture(params=["de", "en"])
def language(request: pytest.FixtureRequest) -> str:
    """Each language of the site, one after the other, for tests of pages that both have."""
    return str(request.param)


@pytest.fixture(autouse=True)
def forget_configuration() -> Iterator[None]:
    """Let no test see what another one configured: a rolled-back or emptied database counts its versions anew."""
    yield
    from cmphone.contacts import configuration
    from templates_store import popup_sets

    configuration._loaded = None
    popup_sets._loaded = {}


@pytest.fixture(autouse=True)
def speak_english() -> None:
    """Let every test begin in the language of the site, whatever the one before asked for."""
    from django.utils import translation

    translation.activate("en")
