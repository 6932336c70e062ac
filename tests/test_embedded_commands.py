"""manage.py and `make run` around the embedded services: real commands, servers and signals."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from cmphone.embedded import CHECKOUT
from cmphone.embedded_servers import list_command_lines
from cmphone.management.commands import serve_demo
from manage import needs_services


@pytest.fixture(scope="module")
def var() -> Iterator[Path]:
    """A folder for the services of this module's commands, in which they leave nothing running."""
    top = Path(tempfile.mkdtemp(prefix="cmphone-test-")).resolve()
    top.chmod(0o755)
    yield top / "var"
    for process in find_processes(top):
        os.kill(process, signal.SIGKILL)
    shutil.rmtree(top)


def find_processes(mark: Path | str) -> dict[int, str]:
    """Return the processes, by number, whose command line holds `mark`."""
    return {number: line for number, line in list_command_lines() if str(mark) in line}


def start(var: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start manage.py with `arguments`."""
    foreign = {"CMPHONE_DATABASE_URL", "CMPHONE_REDIS_URL", "DJANGO_SETTINGS_MODULE"}
    environ = {name: value for name, value in os.environ.items() if name not in foreign}
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=CHECKOUT,
        env=environ | {"CMPHONE_VAR": str(var), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A test run in the background of a shell ignores it, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def run(var: Path, *arguments: str) -> tuple[int, str]:
    """Run manage.py with `arguments`; return its exit code and what it said."""
    with start(var, *arguments) as process:
        said, _ = process.communicate()
    return process.returncode, said


def read_until(process: "subprocess.Popen[str]", mark: str) -> str:
    """Return what `process` says up to the line which holds `mark`."""
    said = ""
    assert process.stdout
    for line in process.stdout:
        said += line
        if mark in line:
            return said
    raise AssertionError(f"ended without saying {mark!r}: {said}")


@pytest.mark.parametrize(
    ("arguments", "needs"),
    [
        ([], False),
        (["help"], False),
        (["--help"], False),
        (["migrate", "--help"], False),
        (["phone", "ring", "0021133990312"], False),
        (["migrate"], True),
        (["check"], True),
        (["shell", "-c", "help"], True),
    ],
)
def test_services_start_for_commands_that_look_at_data(arguments: list[str], needs: bool) -> None:
    assert needs_services(arguments) == needs


def test_a_command_finds_its_services_and_leaves_none_running(var: Path) -> None:
    code = "from django.db import connection as c; print(c.cursor().execute('select 6 * 7').fetchone())"
    assert run(var, "shell", "--no-imports", "-c", code) == (0, "(42,)\n")
    assert find_processes(var) == {}


def test_the_exit_code_of_a_command_is_kept(var: Path) -> None:
    assert run(var, "shell", "--no-imports", "-c", "raise SystemExit(7)") == (7, "")
    assert find_processes(var) == {}


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_command_told_to_end_stops_the_services_first(var: Path, number: int, exit_code: int) -> None:
    code = "import time; print('waiting', flush=True); time.sleep(60)"
    with start(var, "shell", "--no-imports", "-c", code) as process:
        read_until(process, "waiting")
        assert len(find_processes(f"{var}/postgres ")) == 1
        process.send_signal(number)
        assert process.wait() == exit_code
    assert find_processes(var) == {}


def test_an_error_of_the_services_is_told_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "var").touch()
    exit_code, said = run(tmp_path / "var", "migrate")
    assert exit_code == 1
    assert said.startswith(f"{tmp_path}/var cannot be used: ")
    assert "Traceback" not in said


def test_without_django_the_way_to_get_it_is_told() -> None:
    command = [sys.executable, "-I", "-S", "manage.py", "migrate"]
    result = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == "Django is missing.  Run `make setup`, then `.venv/bin/python manage.py …`.\n"


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMPHONE_VAR", str(tmp_path))
    monkeypatch.setattr(serve_demo, "PORT_SECONDS", 0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        advice = f"Port {port} is taken by another program.  Choose another one:  make run PORT={port + 1}$"
        with pytest.raises(CommandError, match=advice):
            call_command("serve_demo", port=port)
    assert [path.name for path in tmp_path.iterdir()] == ["serving.lock"]


@pytest.mark.parametrize("port", ["0", "65535", "http"])
def test_what_is_no_port_is_refused(port: str) -> None:
    with pytest.raises(CommandError, match=f"argument --port: a port is a number from 1 to 65534, not {port}$"):
        call_command("serve_demo", "--port", port)


def test_a_host_that_is_not_this_one_is_refused() -> None:
    with pytest.raises(CommandError, match=r"Nothing can be served on no\.such\.host\.invalid, port 8000: "):
        serve_demo.ensure_port_is_free("no.such.host.invalid", 8000)


def test_a_child_that_ends_by_itself_is_reported_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CMPHONE_VAR", str(tmp_path))
    (tmp_path / "log").mkdir()
    report = rf"^The web process ended by itself \(3\)\.\nThe end of {tmp_path}/log/web\.log:\n    out of order$"
    commands = {"worker": ["sleep", "60"], "web": ["sh", "-c", "echo out of order; exit 3"]}
    with serve_demo.run_children(commands, {}) as children, pytest.raises(CommandError, match=report):
        serve_demo.wait_for_end(children)
    assert children["worker"].returncode == -signal.SIGTERM


def test_what_a_killed_child_leaves_behind_is_ended_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMPHONE_VAR", str(tmp_path))
    (tmp_path / "log").mkdir()
    # Of this run alone: another one may be under way.
    sleep = f"sleep 60.{os.getpid()}"
    with serve_demo.run_children({"web": ["sh", "-c", f"{sleep} & echo started; wait"]}, {}) as children:
        while "started" not in (tmp_path / "log/web.log").read_text():
            time.sleep(0.01)
        assert len(find_processes(sleep)) == 2
        children["web"].kill()
    # The kernel may still be at it.
    deadline = time.monotonic() + 5
    while find_processes(sleep) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert find_processes(sleep) == {}


@contextlib.contextmanager
def serving(var: Path, port: int) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    with start(var, "serve_demo", "--port", str(port)) as process:
        try:
            yield process, read_until(process, "Ctrl-C stops it.")
        finally:
            process.kill()


def is_served(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


def wait_for_silence(var: Path, port: int) -> None:
    """Return when neither web server nor worker is left, nor what tells events."""
    deadline = time.monotonic() + 15
    while (
        find_processes(f"cmphone.wsgi:application --interface wsgi --host 127.0.0.1 --port {port}")
        or find_processes(f"cmphone.asgi:application --interface asgi --host 127.0.0.1 --port {port + 1}")
        or find_processes(f"{var}/celerybeat-schedule")
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_demo_site_is_served_killed_found_again_and_stopped(
    var: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(var, free_port) as (process, said):
        assert f"Administration  http://127.0.0.1:{free_port}/admin/\n" in said
        assert f"API             http://127.0.0.1:{free_port}/api/docs/\n" in said
        assert "Loading the demo site" in said
        assert "That failed" not in said
        login = re.search(r"Log in as       (\S+) / (\S+) ", said)
        assert login
        assert is_served(free_port)
        assert is_served(free_port + 1)

        monkeypatch.setenv("CMPHONE_VAR", str(var))
        already = rf"^Already running on http://127\.0\.0\.1:{free_port}/ as process {process.pid}\.$"
        with pytest.raises(CommandError, match=already):
            call_command("serve_demo")

        code = "from cmphone.contacts.models import User; print(User.objects.count() > 0)"
        assert run(var, "shell", "--no-imports", "-c", code) == (0, "True\n")
        assert is_served(free_port)

    # Killed: the web server and the worker go with it, and the next start takes over what is left.
    wait_for_silence(var, free_port)
    assert len(find_processes(f"{var}/postgres ")) == 1
    with serving(var, free_port) as (process, said):
        assert "Loading the demo site" not in said
        assert f"Log in as       {login[1]} / {login[2]} " in said
        assert is_served(free_port)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
    wait_for_silence(var, free_port)
    assert find_processes(var) == {}


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
