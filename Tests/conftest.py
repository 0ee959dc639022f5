"""What every test that runs the commands as processes shares.

KEYHOLE_BIN names the folder with the built commands; without it the debug build is used.
"""
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from pkarr_network import dead_port, network, new_key, relay, stand_ins  # noqa: F401, fixtures for all
from quic_commands import dial, echo, endpoint_file, key_file, listen, listen_for, tunnel  # noqa: F401, fixtures for all

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(os.environ.get("KEYHOLE_BIN") or ROOT / ".build" / "debug").resolve()
COMMANDS = sorted(path.name for path in (ROOT / "Sources").iterdir() if path.name.islower())
# Long enough for a loaded machine: a test that waits this long has failed, it does not decide anything by the clock.
PATIENCE = int(os.environ.get("PATIENCE", 60))


# Under nohup SIGHUP is ignored, in the background of a script SIGINT is, and so they would be in whatever is started here. What is
# handled is not handed down.
for number in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, lambda *_: None)


class Finished:
    """How a command ended and what it printed."""

    def __init__(self, process):
        self.status = process.returncode
        self.bytes = process.stdout
        self.err = process.stderr.decode()

    @property
    def out(self):
        return self.bytes.decode()

    @property
    def objects(self):
        return [json.loads(line) for line in self.out.splitlines()]


def command(name, *arguments):
    return [str(BIN / name), *map(str, arguments)]


def lines(*objects):
    """Objects as the commands read them: one a line; strings and bytes are passed as they are."""
    text = b""
    for value in objects:
        if isinstance(value, bytes):
            text += value
        else:
            text += (value if isinstance(value, str) else json.dumps(value)).encode() + b"\n"
    return text


@pytest.fixture(scope="session")
def run():
    """run("iroh-txt", "encode", input=lines({...})) -> Finished"""

    def run(name, *arguments, input=b"", env=None, cwd=None):
        return Finished(subprocess.run(
            command(name, *arguments), input=input, capture_output=True, timeout=PATIENCE, cwd=cwd,
            env={**os.environ, **(env or {})}))

    return run


class Shown:
    """How a command ended and what it showed in a terminal."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err


@pytest.fixture(scope="session")
def terminal():
    """terminal(columns, "pkarr-resolve", …) -> Shown, with a terminal of that width as standard output."""

    def terminal(columns, name, *arguments, input=b"", env=None):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(
            command(name, *arguments), stdin=subprocess.PIPE, stdout=theirs, stderr=subprocess.PIPE, env={**os.environ, **(env or {})})
        os.close(theirs)
        process.stdin.write(input)
        process.stdin.close()
        shown = b""
        try:
            while more := os.read(ours, 65536):
                shown += more
        except OSError:
            pass  # That is how a terminal tells that nobody has it open any more.
        os.close(ours)
        error = process.stderr.read().decode()
        process.stderr.close()
        return Shown(process.wait(PATIENCE), shown.decode().replace("\r\n", "\n"), error)

    return terminal


class Service:
    """A long-running command whose objects on stdout are read one at a time."""

    def __init__(self, arguments, **options):
        self.process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, **{"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, **options})

    def next(self):
        """The next object it prints; the test fails if it ends instead."""
        line = self.process.stdout.readline()
        if not line:
            self.process.wait(PATIENCE)
            error = self.process.stderr.read().decode() if self.process.stderr else ""
            raise AssertionError(f"{self.process.args[0]} ended with {self.process.returncode}: {error}")
        return json.loads(line)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(PATIENCE)

    def remove(self):
        """Ends it however it is, and closes its pipes."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()


@pytest.fixture
def service():
    """service("pkarr-serve", "--http", "127.0.0.1:0") -> Service, stopped when the test ends."""
    started = []

    def service(name, *arguments, **options):
        started.append(Service(command(name, *arguments), **options))
        return started[-1]

    yield service
    for one in started:
        one.remove()
