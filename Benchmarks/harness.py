"""What the benchmarks share: building the small C ends, starting the commands, interleaved rounds, raw numbers, figures."""
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(os.environ.get("KEYHOLE_BIN") or ROOT / ".build" / "release").resolve()
TOOLS = ROOT / ".build" / "bench"
COMMANDS = sorted(path.name for path in (ROOT / "Sources").iterdir() if path.name.islower())
PATIENCE = 120


@dataclass
class Figure:
    """A number and what it has to reach."""
    name: str
    value: float
    limit: float
    unit: str
    at_least: bool = False
    note: str = ""

    @property
    def is_reached(self):
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self):
        return (f"{'ok  ' if self.is_reached else 'MISS'}  {self.name}: {self.value:.2f}{self.unit} "
                f"({'at least' if self.at_least else 'at most'} {self.limit:g}{self.unit}){'; ' + self.note if self.note else ''}")


class Results:
    """Raw numbers, one JSON object a line in Benchmarks/results/NAME.ndjson."""

    def __init__(self, name):
        path = ROOT / "Benchmarks" / "results" / f"{name}.ndjson"
        path.parent.mkdir(exist_ok=True)
        self.file = path.open("w")
        self.record(machine=platform.machine(), system=platform.release(), cores=os.cpu_count(), time=int(time.time()))

    def record(self, **values):
        self.file.write(json.dumps(values) + "\n")
        self.file.flush()

    def rounds(self, cases, count, keep=lambda value: value, **about):
        """Runs every case once a round, so that what disturbs the machine disturbs all. Gives each case's numbers.

        `keep` gives what is kept of a number, `about` is kept beside it."""
        numbers = {name: [] for name in cases}
        for turn in range(count):
            for name, case in cases.items():
                value = case()
                numbers[name].append(value)
                self.record(case=name, **about, round=turn, value=keep(value))
        return numbers


def tool(name):
    """A program of Benchmarks/tools, built if it is older than its source."""
    source = ROOT / "Benchmarks" / "tools" / f"{name}.c"
    program = TOOLS / name
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        TOOLS.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-O2", "-Wall", "-o", program, source], check=True)
    return str(program)


def output(*arguments, **options):
    return subprocess.run(list(map(str, arguments)), check=True, stdout=subprocess.PIPE, text=True, timeout=PATIENCE, **options).stdout


@contextlib.contextmanager
def started(*arguments, line=True, **options):
    """A program that runs for the length of the block, and the first line it prints (None without `line`)."""
    process = subprocess.Popen(list(map(str, arguments)), text=True,
                               **{"stdout": subprocess.PIPE if line else subprocess.DEVNULL, "stderr": subprocess.DEVNULL,
                                  "stdin": subprocess.DEVNULL, **options})
    try:
        first = process.stdout.readline() if line else None
        if line and not first:
            raise SystemExit(f"{arguments[0]} ended with {process.wait()}")
        process.first = first
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    """Waits until something listens at the port."""
    for _ in range(1000):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.01)
    raise SystemExit(f"nothing listens at port {port}")


def secret_key(folder):
    path = Path(folder) / "secret"
    path.touch(mode=0o600)
    path.write_bytes(os.urandom(32))
    return path


def processor_seconds(process):
    """Of all its threads, in the program and in the kernel."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def here(*arguments):
    return arguments


@contextlib.contextmanager
def listener(folder, *arguments, bind="127.0.0.1:0", where=here):
    """quic-listen and its endpoint line; `where` gives the arguments that run it elsewhere."""
    with started(*where(BIN / "quic-listen", "--key", secret_key(folder), "--bind", bind, *arguments)) as listen:
        yield listen, json.loads(listen.first)


@contextlib.contextmanager
def tunnel(target, listening=(), dialling=(), serving=(), bind="127.0.0.1:0", listens=here, dials=here):
    """The composed tunnel to a TCP port of this machine: yields the port of its other end.

    TCP in, tunnel-bridge connect, quic-dial, quic-listen, tunnel-bridge serve, TCP out. All but the first may have more options, the two in
    the middle may run elsewhere."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        serve_socket, dial_socket = f"{folder}/serve.sock", f"{folder}/dial.sock"
        stack.enter_context(started(BIN / "tunnel-bridge", "serve", "--socket", serve_socket, "--to", f"127.0.0.1:{target}", *serving))
        _, endpoint = stack.enter_context(listener(folder, "--bridge", serve_socket, *listening, bind=bind, where=listens))
        connect = stack.enter_context(started(BIN / "tunnel-bridge", "connect", "--socket", dial_socket, "--listen", "127.0.0.1:0"))
        (Path(folder) / "endpoint").write_text(json.dumps(endpoint) + "\n")
        dial = dials(BIN / "quic-dial", "--bridge", dial_socket, "--endpoint", f"{folder}/endpoint", *dialling)
        stack.enter_context(started(*dial, line=False))
        yield int(json.loads(connect.first)["listening"].rpartition(":")[2])


def median(numbers):
    return statistics.median(numbers)
