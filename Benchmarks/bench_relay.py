"""quic-relay: frames a second against the same bytes through haproxy, iroh endpoints that reach each other through it, idle clients."""
import contextlib
import json
import select
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from bench_connections import resident
from bench_requests import proxy
from harness import BIN, ROOT, Figure, output, started, tool

sys.path.insert(0, str(ROOT / "Tests"))
from islands import MAINLAND, Islands  # noqa: E402
from relay_client import DATAGRAM, PING, PONG, RelayClient  # noqa: E402

ROUNDS = 7
# The size of a QUIC packet, and of the batches of ten in which iroh sends them.
SIZES = {"one datagram a frame": (1200, 100_000), "ten datagrams a frame": (14520, 20_000)}
# Frames under way: less than the relay's queue holds.
WINDOW = 128
LEAST_OF_HAPROXY = {"one datagram a frame": 0.5, "ten datagrams a frame": 0.6}
IDLE, WARM_UP = 10_000, 100
IDLE_TLS = 2_000
LIMIT_KB, LIMIT_TLS_KB = 2, 16
IROH_BYTES = 64 << 20


@contextlib.contextmanager
def relay(*arguments):
    with started(BIN / "quic-relay", "--http", "127.0.0.1:0", *arguments) as process:
        process.ready = json.loads(process.first)
        yield process


def address(ready, name="http"):
    return ready[name][0].split("//")[1]


def pump(into, out_of, piece, size_out, count):
    for one in (into, out_of):
        one.setblocking(True)
    seconds = output(tool("pump"), into.fileno(), out_of.fileno(), size_out, WINDOW, count, pass_fds=[into.fileno(), out_of.fileno()],
                     stdin=piece)
    return count / float(seconds)


def frames(results):
    """Frames a second through relay and proxy, by kind of frame."""
    rates = {}
    with relay() as process, socket.create_server(("127.0.0.1", 0)) as target, proxy(target.getsockname()[1]) as proxied:
        sender, receiver = (RelayClient(address(process.ready), key) for key in (1, 2))
        # What tested whether the proxy listens.
        target.accept()[0].close()
        into = socket.create_connection(("127.0.0.1", proxied))
        out_of = target.accept()[0]
        for kind, (size, count) in SIZES.items():
            with tempfile.TemporaryFile() as piece:
                # As a client sends it: with a mask, which the relay has to take off.
                header = b"\x82" + b"\xfe" + (size + 34).to_bytes(2, "big") + b"\x55\xaa\x0f\xf0"
                body = bytes([DATAGRAM]) + receiver.key.bytes + b"\0" + bytes(size)
                piece.write(header + bytes(byte ^ header[4 + index % 4] for index, byte in enumerate(body)))
                length = piece.tell()

                def measure(into, out_of, size_out):
                    piece.seek(0)
                    return pump(into, out_of, piece, size_out, count)

                rates[kind] = results.rounds({
                    "relay": lambda: measure(sender.socket, receiver.socket, length - 4),
                    "haproxy": lambda: measure(into, out_of, length),
                }, ROUNDS, frame=kind)
    return rates


def answer_pings(clients):
    """Whoever is silent for long is pinged, and lost without an answer."""
    waiting = select.poll()
    by_number = {(client.socket.plain if hasattr(client.socket, "plain") else client.socket).fileno(): client for client in clients}
    for number in by_number:
        waiting.register(number, select.POLLIN)
    for number, _ in waiting.poll(0):
        kind, body = by_number[number].frame()
        if kind == PING:
            by_number[number].send(PONG, body)


def idle(results, count, secure=False):
    """Bytes of memory for each of so many idle clients."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tls = []
        if secure:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x",
                            "-keyout", folder / "key", "-out", folder / "cert"], check=True, capture_output=True)
            tls = ["--https", "127.0.0.1:0", "--certificate", folder / "cert", "--certificate-key", folder / "key"]
        process = stack.enter_context(relay(*tls))
        where = address(process.ready, "https" if secure else "http")
        clients = [RelayClient(where, 1 + number, secure=secure) for number in range(WARM_UP)]
        before = resident(process)
        for number in range(WARM_UP, WARM_UP + count):
            clients.append(RelayClient(where, 1 + number, secure=secure))
            if number % 50 == 0:
                answer_pings(clients)
        answer_pings(clients)
        after = resident(process)
        figures = urllib.request.urlopen(f"{process.ready['http'][0]}/metrics").read().decode()
        assert f"\nquic_relay_clients {WARM_UP + count}\n" in figures, "a client was lost"
        for client in clients:
            client.close()
    results.record(idle=count, secure=secure, before_kib=before, after_kib=after)
    return (after - before) / count * 1.024


def iroh(results):
    """MB/s from one iroh endpoint to another that it reaches through the relay only."""
    islands = Islands()
    try:
        with started(*islands.on("main", BIN / "quic-relay", "--http", f"{MAINLAND}:3340")):
            url = f"http://{MAINLAND}:3340/"
            program = [sys.executable, ROOT / "Benchmarks" / "iroh_bytes.py"]
            with started(*islands.on("east", *program, "serve", IROH_BYTES, "--relay", url)) as server:
                name = server.first.split()[0]
                fetch = islands.on("west", *program, "fetch", IROH_BYTES, name, "--relay", url)
                return max(results.rounds({"iroh through the relay": lambda: float(output(*fetch))}, 3)["iroh through the relay"])
    finally:
        islands.remove()


def measure(results):
    figures = []
    for kind, rates in frames(results).items():
        best = {name: max(numbers) for name, numbers in rates.items()}
        figures.append(Figure(f"frames a second, {kind}, against haproxy with the same bytes", best["relay"] / best["haproxy"],
                              LEAST_OF_HAPROXY[kind], "x", at_least=True,
                              note=", ".join(f"{name} {rate / 1000:.0f} thousand" for name, rate in best.items())))
    figures.append(Figure(f"memory for each of {IDLE} idle clients", idle(results, IDLE), LIMIT_KB, " KB"))
    figures.append(Figure(f"memory for each of {IDLE_TLS} idle clients with TLS", idle(results, IDLE_TLS, True), LIMIT_TLS_KB, " KB"))
    figures.append(Figure("iroh to iroh through the relay", iroh(results), 20, " MB/s", at_least=True))
    return figures
