"""Looking at many pictures at once, each in a process that it may crash.

A process is a Python of its own that reads a path a line and answers a line. It is not forked, since TensorFlow's
threads do not survive that, and not started by `multiprocessing`, which would run the caller's script once more.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from typing import TextIO, cast

from attnzoo.data.looking import Facts, look
from attnzoo.data.rows import from_row, to_row
from attnzoo.errors import AttnzooError

SECONDS = 120  # for one picture; the largest that is allowed takes four
MOST_MEMORY = 8 << 30
READY = "ready\n"
CRASHED = "crashed the decoder"
SLOW = f"not decoded after {SECONDS} seconds"

_START = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from attnzoo.data.workers import serve; serve()"


def default_workers() -> int:
    """Returns how many processes there are when nobody says: one a core, 8 at most."""
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def look_at(paths: Sequence[str], workers: int) -> Generator[tuple[int, Facts], None, None]:
    """Yields the number of each path with what its picture is, in the order in which they are done.

    Args:
        paths: files.
        workers: how many processes; 0 for none but this one, which a picture may then crash.
    """
    if workers == 0:
        yield from ((number, look(path)) for number, path in enumerate(paths))
        return
    asked: queue.SimpleQueue[int] = queue.SimpleQueue()
    answers: queue.SimpleQueue[tuple[int, Facts] | BaseException] = queue.SimpleQueue()
    for number in range(len(paths)):
        asked.put(number)
    pool = [_Worker() for _ in range(min(workers, len(paths)))]
    threads = [threading.Thread(target=_drive, args=(w, paths, asked, answers), daemon=True) for w in pool]
    try:
        for thread in threads:
            thread.start()
        for _ in paths:
            answer = answers.get()
            if isinstance(answer, BaseException):
                raise answer
            yield answer
    finally:  # an exception, an interrupt, or nobody wants the rest
        with contextlib.suppress(queue.Empty):
            while True:
                asked.get_nowait()
        for worker in pool:
            worker.stop()


def _drive(worker: _Worker, paths: Sequence[str], asked: queue.SimpleQueue, answers: queue.SimpleQueue) -> None:
    try:
        with contextlib.suppress(queue.Empty):
            while True:
                number = asked.get_nowait()
                answers.put((number, worker.look(paths[number])))
    except BaseException as error:  # raised where the answers are read
        answers.put(error)


class _Worker:
    """One process, started when it is needed, and again after a crash."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def look(self, path: str) -> Facts:
        process = self._running()
        if process is None:
            return Facts(problem=CRASHED)
        slow = threading.Timer(SECONDS, process.kill)
        slow.daemon = True
        slow.start()
        try:
            asked, answered = cast(TextIO, process.stdin), cast(TextIO, process.stdout)  # both are pipes
            asked.write(json.dumps(path) + "\n")
            asked.flush()
            facts = from_row(json.loads(answered.readline()))
        except (OSError, ValueError):  # the pipe is closed, or an answer cut off
            facts = None
        late = not slow.is_alive()
        slow.cancel()
        if facts is None:
            _end(process)
            return Facts(problem=SLOW if late else CRASHED)
        return facts

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._process is not None:
                _end(self._process)

    def _running(self) -> subprocess.Popen[str] | None:
        with self._lock:
            if self._stopped:
                return None
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _START, json.dumps(sys.path)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    encoding="ascii",
                    env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                )
                if self._process.stdout is None or self._process.stdout.readline() != READY:
                    _end(self._process)
                    raise AttnzooError("no process that decodes pictures can be started; do without (--workers 0).")
            return self._process


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with contextlib.suppress(OSError, ValueError):  # what was not sent yet has nobody to read it
                pipe.close()


# In the process --------------------------------------------------------------------------------------------------


def serve() -> None:
    """Answers each path of stdin with a line of stdout, until nobody asks."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    # Libraries in C print to 1 and 2 as they like.
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    answers.write(READY)
    answers.flush()
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        for line in sys.stdin:
            answers.write(json.dumps(to_row(look(json.loads(line)))) + "\n")
            answers.flush()
