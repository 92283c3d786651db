"""A program whose imports take seconds, run many times: a process imports, waits, and each run is a fork of it."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

WAIT = """
import json, os, socket, sys
line = socket.socket(fileno=int(sys.argv[1]))
line.sendall(b"imported\\n")
while True:
    request, streams, *_ = socket.recv_fds(line, 65536, 2)
    if not request:
        sys.exit()
    run = os.fork()
    if run == 0:
        break
    for stream in streams:
        os.close(stream)
    line.sendall(f"{run}\\n".encode())
    line.sendall(f"{os.waitstatus_to_exitcode(os.waitpid(run, 0)[1])}\\n".encode())
line.close()
for number, stream in enumerate(streams, 1):
    os.dup2(stream, number)
    os.close(stream)
sys.argv = ["-c", *json.loads(request)]
"""


def read_line(line: socket.socket) -> str:
    """The next answer of the process that forks; nothing where it has ended."""
    answer = b""
    while not answer.endswith(b"\n"):
        piece = line.recv(1)
        if not piece:
            break
        answer += piece
    return answer.decode()


class Forked:
    """A run, with what its tests need of `subprocess.Popen`."""

    def __init__(self, line: socket.socket, arguments: Sequence[str]) -> None:
        (out, out_of_run), (errors, errors_of_run) = os.pipe(), os.pipe()
        socket.send_fds(line, [json.dumps(arguments).encode()], [out_of_run, errors_of_run])
        os.close(out_of_run)
        os.close(errors_of_run)
        self.stdout, self._errors = os.fdopen(out), os.fdopen(errors)
        self._line = line
        self.pid = int(read_line(line))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._line], [], [], 0)[0]:
            self.returncode = int(read_line(self._line))
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def communicate(self) -> tuple[str, str]:
        """What is left of stdout, and stderr, which are less than a pipe holds; then the run has ended."""
        with self.stdout, self._errors:
            printed = self.stdout.read(), self._errors.read()
        if self.returncode is None:
            self.returncode = int(read_line(self._line))
        return printed

    def end(self) -> None:
        if self.returncode is None:
            self.send_signal(signal.SIGKILL)
            self.communicate()


class Program:
    """Starts runs of a program, one at a time."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._last: Forked | None = None

    def start(self, arguments: Sequence[str]) -> Forked:
        self.end()
        self._last = Forked(self._line, arguments)
        return self._last

    def run(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        started = self.start(arguments)
        out, errors = started.communicate()
        return subprocess.CompletedProcess(arguments, started.returncode or 0, out, errors)

    def end(self) -> None:
        if self._last is not None:
            self._last.end()


@contextmanager
def forking(imports: str, program: str) -> Iterator[Program]:
    """A program of two parts, *imports* and *program*; each run executes the second with its arguments in `sys.argv`.

    A run has the signals, limits and exit of a process that was started by itself.
    """
    here, there = socket.socketpair()
    waiting = subprocess.Popen(
        [sys.executable, "-c", f"{imports}\n{WAIT}\n{program}", str(there.fileno())],
        stdout=subprocess.PIPE,  # as a run has: Python's streams are made for the kind of file that they begin with
        stderr=subprocess.PIPE,
        pass_fds=[there.fileno()],
        preexec_fn=hear_interrupts,
    )
    there.close()
    runs = Program(here)
    try:
        if read_line(here) != "imported\n":
            raise AssertionError(waiting.communicate()[1].decode())
        yield runs
    finally:
        runs.end()
        here.close()
        waiting.communicate(timeout=60)


def hear_interrupts() -> None:
    """In a child process: signals interrupt it, even where the tests were started in the background or by ``nohup``.

    Then children ignore SIGINT or SIGHUP, Python installs no handler of its own, and neither do we.
    """
    for interrupt in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(interrupt, signal.SIG_DFL)
