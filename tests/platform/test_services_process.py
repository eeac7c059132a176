"""Child processes that end when they should, and say why when they should not."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import psutil
import pytest

from lenticular.butler.errors import PortInUseError, ServiceError
from lenticular.platform.services import ChildProcess, free_port, require_port
from lenticular.platform.services.process import log_tail, report

if TYPE_CHECKING:
    from pathlib import Path

REPORT = "import os; os.write(int(os.environ['LENTICULAR_REPORT_FD']), b'ready\\n');"
WAIT = "import signal; signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"


def child(tmp_path: Path, code: str, grace: float = 10.0, **environment: str) -> ChildProcess:
    return ChildProcess(
        [sys.executable, "-c", code],
        name="the program",
        log=tmp_path / "log",
        environment=environment,
        grace=grace,
    )


def gone(pid: int) -> bool:
    try:
        psutil.Process(pid).wait(30)
    except psutil.NoSuchProcess:
        return True
    return not psutil.pid_exists(pid)


def test_a_child_is_ready_when_it_says_so_and_stops_when_asked(tmp_path: Path) -> None:
    with child(tmp_path, REPORT + WAIT) as process:
        assert process.read_report(30) == "ready"
        assert process.running
        assert psutil.Process(process.pid).cmdline()[1] == "-c"
    assert process.returncode == 128 + signal.SIGTERM
    assert gone(process.pid)


def test_a_child_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    with child(tmp_path, STUBBORN + REPORT + WAIT, grace=0.1) as process:
        process.read_report(30)
    assert process.returncode == 128 + signal.SIGKILL


def test_kill_does_not_ask(tmp_path: Path) -> None:
    with child(tmp_path, STUBBORN + REPORT + WAIT) as process:
        process.read_report(30)
        process.kill()
        assert process.returncode == 128 + signal.SIGKILL


def test_its_workers_end_with_it(tmp_path: Path) -> None:
    fork = "import os; p = os.fork();" + REPORT.replace("b'ready\\n'", "b'%d\\n' % os.getpid()") + WAIT
    with child(tmp_path, fork) as process:
        workers = {int(process.read_report(30)), int(process.read_report(30))}
    assert len(workers) == 2
    assert all(gone(worker) for worker in workers)


@pytest.mark.parametrize("end", ["SIGKILL", "exit"])
def test_a_child_does_not_outlive_us(tmp_path: Path, end: str) -> None:
    parent = (
        "import os, sys; from pathlib import Path;"
        "from lenticular.platform.services import ChildProcess;"
        f"p = ChildProcess([sys.executable, '-c', {WAIT!r}], name='p', log=Path({str(tmp_path / 'log')!r}));"
        "p.start(); print(p.pid, flush=True); sys.stdin.read(); os._exit(0)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as us:
        assert us.stdout is not None
        assert us.stdin is not None
        pid = int(us.stdout.readline())
        assert psutil.pid_exists(pid)
        if end == "SIGKILL":
            us.kill()
        else:
            us.stdin.close()
        assert gone(pid)


def test_a_child_dies_with_its_guard(tmp_path: Path) -> None:
    with child(tmp_path, STUBBORN + REPORT + WAIT) as process:
        process.read_report(30)
        psutil.Process(process.pid).parent().kill()  # type: ignore[union-attr]  # it has one
        assert gone(process.pid)


def test_a_child_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    process = child(tmp_path, REPORT + WAIT)
    thread = threading.Thread(target=process.start)
    thread.start()
    thread.join()
    with process_stopped_afterwards(process):
        assert process.read_report(30) == "ready"
        assert process.running


class process_stopped_afterwards:  # noqa: N801  # reads as a phrase
    """Stop a process that was started elsewhere."""

    def __init__(self, process: ChildProcess) -> None:
        self.process = process

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.process.stop()


def test_a_failure_shows_the_end_of_the_log_without_secrets(tmp_path: Path) -> None:
    code = "print('first'); print('postgresql://ana:pa55@db'); raise SystemExit(3)"
    with (
        child(tmp_path, code) as process,
        pytest.raises(ServiceError, match=r"ended before it was ready \(exit code 3\)") as caught,
    ):
        process.read_report(30)
    assert "first" in caught.value.what
    assert "pa55" not in str(caught.value)


def test_a_child_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    with child(tmp_path, WAIT) as process, pytest.raises(ServiceError, match=r"not ready within 0\.01 s"):
        process.read_report(0.01)


def test_a_condition_is_waited_for(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    with child(tmp_path, f"open({str(flag)!r}, 'w').close();" + WAIT) as process:
        process.wait_until(flag.exists, 30)
        with pytest.raises(ServiceError, match="not ready within 0 s"):
            process.wait_until(lambda: False, 0)


def test_waiting_for_a_condition_ends_with_the_child(tmp_path: Path) -> None:
    with child(tmp_path, "raise SystemExit(4)") as process, pytest.raises(ServiceError, match="exit code 4"):
        process.wait_until(lambda: False, 30)


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    process = ChildProcess([tmp_path / "nothing"], name="nothing", log=tmp_path / "log")
    with process, pytest.raises(ServiceError, match=r"cannot run .*nothing.*No such file"):
        process.read_report(30)


def test_a_working_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    process = ChildProcess(
        [sys.executable], name="the program", log=tmp_path / "log", cwd=tmp_path / "nowhere"
    )
    with pytest.raises(ServiceError, match=r"cannot be started: No such file.*nowhere"):
        process.start()


def test_a_child_is_started_once_at_a_time_and_again_later(tmp_path: Path) -> None:
    process = child(tmp_path, REPORT + WAIT)
    with process:
        first = process.pid
        with pytest.raises(ServiceError, match="runs already"):
            process.start()
    with process:
        assert process.read_report(30) == "ready"
        assert process.pid != first


def test_a_child_gets_its_variables_and_its_own_session(tmp_path: Path) -> None:
    code = REPORT.replace("b'ready\\n'", "f'{os.environ[\"VISIT\"]} {os.getsid(0)}\\n'.encode()")
    with child(tmp_path, code + WAIT, VISIT="42") as process:
        assert process.read_report(30) == f"42 {process.pid}"
    assert os.getsid(0) != process.pid


def test_a_report_without_a_parent_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LENTICULAR_REPORT_FD", raising=False)
    report("ready")


def test_a_report_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setenv("LENTICULAR_REPORT_FD", str(writing))
    report("two\nlines")
    with os.fdopen(reading) as pipe:
        assert pipe.read() == "two lines\n"


def test_the_tail_of_a_log_is_short(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"{number:0>40}\n" for number in range(5000)))
    assert log_tail(log, 2).split() == [f"{4998:0>40}", f"{4999:0>40}"]
    assert log_tail(tmp_path / "missing") == ""


def test_ports() -> None:
    port = free_port()
    require_port(port)
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(PortInUseError, match=f"port {port} is in use") as caught,
    ):
        require_port(port)
    assert caught.value.where == f"127.0.0.1:{port}"


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    with pytest.raises(ServiceError, match="cannot listen"):
        require_port(0, "192.0.2.1")
