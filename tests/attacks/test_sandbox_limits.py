"""Jobs that take too much, hang, hide or flood: each ends at its bound, is told why, and leaves nothing running."""

from __future__ import annotations

import os
import secrets
import threading
import time
from pathlib import Path

import pytest

from muniment.adapters.sandbox import Bubblewrap, Landlock
from muniment.adapters.sandbox.canaries import Runner, unproven
from muniment.adapters.sandbox.seats import Seat
from muniment.execution.ports import ExitStatus
from sandboxing import Recorder, job, left, missing, run

pytestmark = pytest.mark.slow

HANG = "import os, time\nos.write(1, b'up\\n')\nwhile True: time.sleep(1)"
BOMB = """
import os, time
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.01)
"""
DAEMON = """
import os, signal, sys, time
for number in range(1, 32):
    try:
        signal.signal(number, signal.SIG_IGN)
    except OSError:
        pass
for _ in range(2):
    if os.fork():
        os._exit(0) if _ else time.sleep(0.2)
        sys.exit(0)
    os.setsid()
while True:
    time.sleep(1)
"""


def test_a_job_that_hangs_times_out_and_is_gone(walls: Runner) -> None:
    """At the wall-clock limit everything dies, and the exit says so."""
    mark = secrets.token_hex(16)
    end, recorder = run(walls, job(HANG, mark, wall_s=1))
    assert (end.status, recorder.text) == (ExitStatus.TIMEOUT, "up\n")
    assert 1 <= end.usage.wall_s < 3
    assert left(mark) == []


def test_a_cancelled_job_is_gone(walls: Runner) -> None:
    """Setting the event ends the job, whatever it was doing, and keeps what it said."""
    mark, cancel, sink = secrets.token_hex(16), threading.Event(), Recorder()

    def cancel_when_it_spoke() -> None:
        sink.spoke.wait(20)
        cancel.set()

    watcher = threading.Thread(target=cancel_when_it_spoke)
    watcher.start()
    end, _ = run(walls, job(HANG, mark), cancel=cancel, sink=sink)
    watcher.join()
    assert (end.status, sink.text) == (ExitStatus.CANCELLED, "up\n")
    assert left(mark) == []


def test_a_job_cancelled_before_it_starts_never_runs(walls: Runner) -> None:
    """A job whose event is set already is not released."""
    cancel = threading.Event()
    cancel.set()
    end, recorder = run(walls, job("print('ran')"), cancel=cancel)
    assert (end.status, recorder.text, recorder.ran.is_set()) == (ExitStatus.CANCELLED, "", False)


def test_a_fork_bomb_is_bounded_and_dies_at_the_deadline(walls: Runner) -> None:
    """The count stops the bomb from growing, the deadline ends it, and no process of it is left."""
    mark = secrets.token_hex(16)
    end, _ = run(walls, job(BOMB, mark, wall_s=3, processes=40, cpu_s=30))
    assert end.status is ExitStatus.TIMEOUT
    assert left(mark) == []


def test_a_daemon_dies_with_its_job(walls: Runner) -> None:
    """Leaving session and parent and ignoring every signal does not outlive the job."""
    mark = secrets.token_hex(16)
    end, _ = run(walls, job(DAEMON, mark))
    assert end.status is ExitStatus.OK
    assert left(mark) == []


def test_a_job_that_takes_too_much_memory_is_told_so(bubblewrap: Bubblewrap) -> None:
    """Memory of processes ends a job as ``oom``; without control groups the job fails on its own."""
    end, recorder = run(bubblewrap.run_as, job("held = bytearray(400 << 20)\nprint(len(held))", memory_mb=96))
    if end.usage.memory_peak_kb is None:
        assert (end.status, "MemoryError" in recorder.text) == (ExitStatus.FAILED, True)
    else:
        assert end.status is ExitStatus.OOM
        assert "96 MiB" in end.reason


@pytest.mark.parametrize("place", ["memfd", "/tmp", "/dev/shm", "/opt/ml/output"])
def test_memory_files_count_as_memory(bubblewrap: Bubblewrap, place: str) -> None:
    """What is written to any memory file system counts: no door around the bound."""
    opened = "os.memfd_create('x')" if place == "memfd" else f"os.open('{place}/x', os.O_CREAT | os.O_WRONLY)"
    code = f"import os\nfd = {opened}\nfor _ in range(300):\n    os.write(fd, bytes(1 << 20))"
    end, _ = run(bubblewrap.run_as, job(code, memory_mb=96, output_mb=400, tmp_mb=400, shm_mb=400))
    if end.usage.memory_peak_kb is None:
        missing("not applicable: no control groups, so memory files are not counted, and the engine says `limited`")
    assert end.status is ExitStatus.OOM


def test_a_worker_killed_for_memory_fails_the_job(bubblewrap: Bubblewrap) -> None:
    """A job whose child was killed for memory is ``oom`` even if it would go on: its result is not the whole one."""
    code = "import os\nif not os.fork():\n    bytearray(400 << 20)\nelse:\n    os.wait()\n"
    end, _ = run(bubblewrap.run_as, job(code, memory_mb=96))
    if end.usage.memory_peak_kb is None:
        missing("not applicable: no control groups")
    assert end.status is ExitStatus.OOM


def test_inodes_are_bounded_by_memory(bubblewrap: Bubblewrap) -> None:
    """Empty files take no bytes of a folder but take memory: two hundred thousand of them end the job."""
    code = "for n in range(200_000):\n    open(f'/tmp/{n}', 'x').close()"
    end, _ = run(bubblewrap.run_as, job(code, memory_mb=64))
    if end.usage.memory_peak_kb is None:
        missing("not applicable: no control groups")
    assert end.status in {ExitStatus.OOM, ExitStatus.FAILED}


def test_processor_time_is_bounded(walls: Runner) -> None:
    """A busy loop ends at the processor limit, before the wall clock does."""
    end, _ = run(walls, job("while True: pass", cpu_s=1, wall_s=20))
    assert (end.status, end.usage.wall_s < 15) == (ExitStatus.LIMIT, True)
    assert "processor time" in end.reason


def test_a_log_flood_is_cut_and_does_not_block(walls: Runner) -> None:
    """A gigabyte of log leaves the first kilobytes, says that it was cut, and the job runs to its end."""
    code = "import os\nfor _ in range(1024):\n    os.write(1, b'x' * (1 << 20))\nos.write(3, b'{\"done\": 1}\\n')"
    end, recorder = run(walls, job(code, log_kb=64, cpu_s=30))
    assert (end.status, end.log_truncated, len(recorder.said)) == (ExitStatus.OK, True, 64 << 10)
    assert recorder.metrics == [b'{"done": 1}']


def test_a_metrics_flood_is_cut(walls: Runner) -> None:
    """Lines beyond the bound, and lines without end, are dropped and counted; what came whole before is kept."""
    flood = "for _ in range(80):\n    os.write(3, b'y' * (1 << 20))"
    code = f"import os\nos.write(3, b'first\\n')\n{flood}\nos.write(3, b'\\n')"
    end, recorder = run(walls, job(code))
    assert (end.status, recorder.metrics) == (ExitStatus.OK, [b"first"])
    assert [one.path for one in end.refused] == ["metrics"]


def test_a_sparse_terabyte_is_refused(walls: Runner) -> None:
    """A file cannot claim to be larger than all results together."""
    code = (
        "import errno, os\nf = open(os.environ.get('MUNIMENT_ML_ROOT', '/opt/ml') + '/output/x', 'wb')\n"
        "try:\n    f.truncate(1 << 40)\nexcept OSError as e:\n    print(errno.errorcode[e.errno])"
    )
    end, recorder = run(walls, job(code))
    assert (end.status, recorder.text.strip()) == (ExitStatus.OK, "EFBIG")


def test_a_full_results_folder_is_an_error_of_the_job(bubblewrap: Bubblewrap) -> None:
    """Writing past the bound meets ENOSPC; no disk of the machine fills."""
    code = "for n in range(9):\n    open(f'/opt/ml/output/{n}', 'wb').write(bytes(1 << 20))"
    end, recorder = run(bubblewrap.run_as, job(code, output_mb=4))
    assert end.status is ExitStatus.FAILED
    assert "No space left on device" in recorder.text


def test_no_secret_of_the_supervisor_is_inside(walls: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment inside is the declared one and nothing else; no descriptor but 0 to 3 is open."""
    secret = secrets.token_hex(16)
    monkeypatch.setenv("MUNIMENT_TEST_SECRET", secret)
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    code = """
import os
print(dict(os.environ))
for fd in range(4, 300):
    try:
        os.fstat(fd)
        print('open', fd)
    except OSError:
        pass
"""
    try:
        end, recorder = run(walls, job(code, env={"DECLARED": "1"}))
    finally:
        os.close(reader)
        os.close(writer)
    assert end.status is ExitStatus.OK
    assert secret not in recorder.text
    assert "MUNIMENT_TEST_SECRET" not in recorder.text
    assert "'DECLARED'" in recorder.text
    assert "open" not in recorder.text


def test_two_jobs_at_once_do_not_see_each_other(bubblewrap: Bubblewrap) -> None:
    """Two jobs run at the same time: neither sees the other's processes, files, sockets or shared memory."""
    mark = secrets.token_hex(8)
    first_up, done = Recorder(), threading.Event()
    host = f"""
import os, socket, time
open('/tmp/{mark}', 'w').write('x'); open('/dev/shm/{mark}', 'w').write('x')
s = socket.socket(socket.AF_UNIX); s.bind('\\0{mark}'); s.listen()
t = socket.socket(); t.bind(('127.0.0.1', 5999)); t.listen()
print('up', flush=True)
while True: time.sleep(0.1)
"""
    guest = f"""
import os, socket
seen = [p for p in ('/tmp/{mark}', '/dev/shm/{mark}') if os.path.exists(p)]
for family, where in ((socket.AF_UNIX, '\\0{mark}'), (socket.AF_INET, ('127.0.0.1', 5999))):
    try:
        socket.socket(family).connect(where); seen.append(str(where))
    except OSError: pass
seen += [p for p in os.listdir('/proc') if p.isdigit() and int(p) > 2]
print(seen, os.getuid())
"""
    results: list[ExitStatus] = []

    def run_host() -> None:
        end, _ = run(bubblewrap.run_as, job(host, mark), cancel=done, sink=first_up)
        results.append(end.status)

    running = threading.Thread(target=run_host)
    running.start()
    assert first_up.spoke.wait(20)
    end, recorder = run(bubblewrap.run_as, job(guest))
    done.set()
    running.join()
    assert (end.status, recorder.text) == (ExitStatus.OK, "[] 1000\n")
    assert results == [ExitStatus.CANCELLED]


def test_jobs_of_a_root_supervisor_have_host_users_of_their_own(bubblewrap: Bubblewrap) -> None:
    """Under root two jobs at once run under two host users, neither of them root."""
    if os.geteuid() != 0:
        missing("not root: jobs share the user of the supervisor, and the engine says so")
    done, sinks = threading.Event(), [Recorder(), Recorder()]
    marks = [secrets.token_hex(16) for _ in sinks]
    threads = [
        threading.Thread(target=run, args=(bubblewrap.run_as, job(HANG, mark)), kwargs={"cancel": done, "sink": sink})
        for mark, sink in zip(marks, sinks, strict=True)
    ]
    for thread in threads:
        thread.start()
    assert all(sink.spoke.wait(20) for sink in sinks)
    owners = [{Path(f"/proc/{line.split()[0]}").stat().st_uid for line in left(mark)} for mark in marks]
    done.set()
    for thread in threads:
        thread.join()
    assert all(len(one) == 1 for one in owners)
    assert owners[0] != owners[1]
    assert {0} not in owners


def test_a_job_is_never_started_as_root(walls: Runner) -> None:
    """Without a user of its own under a root supervisor, the guard refuses."""
    if os.geteuid() != 0:
        missing("not root: there is no user 0 to refuse")
    recorder = Recorder()
    end = walls(unproven(), job("print('ran')"), recorder, threading.Event(), Seat(None, None))
    assert (end.status, recorder.text) == (ExitStatus.REFUSED, "")
    assert "refusing to start a job as uid 0" in end.reason


def test_many_jobs_from_many_threads(bubblewrap: Bubblewrap) -> None:
    """A server runs jobs from any of its threads at once; each gets its own answer and none is lost."""
    answers: dict[int, str] = {}

    def one(number: int) -> None:
        end, recorder = run(bubblewrap.run_as, job(f"print({number} ** 2)"))
        answers[number] = f"{end.status} {recorder.text}"

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: f"ok {number**2}\n" for number in range(8)}


def test_signals_and_codes_are_told_apart(walls: Runner) -> None:
    """An exit code is a code, a signal a signal, and both are failures."""
    coded, _ = run(walls, job("raise SystemExit(7)"))
    killed, _ = run(walls, job("import os; os.kill(os.getpid(), 11)"))
    assert (coded.status, coded.exit_code, coded.signal) == (ExitStatus.FAILED, 7, None)
    assert (killed.status, killed.exit_code, killed.signal) == (ExitStatus.FAILED, None, 11)


def test_a_failing_sink_kills_the_job(walls: Runner) -> None:
    """What a sink raises comes out of ``run``, and the job is gone by then."""
    mark = secrets.token_hex(16)

    class Broken(Recorder):
        def log(self, chunk: bytes) -> None:
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        run(walls, job(HANG, mark), sink=Broken())
    deadline = time.monotonic() + 5
    while left(mark) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert left(mark) == []


def test_landlock_asyncio_works(landlock: Landlock) -> None:
    """The filter behind Landlock denies sockets without hanging asyncio, which needs a connected pair."""
    code = "import asyncio\nprint(asyncio.run(asyncio.to_thread(lambda: 6 * 7)))"
    end, recorder = run(landlock.run_as, job(code, wall_s=10))
    assert (end.status, recorder.text) == (ExitStatus.OK, "42\n")
