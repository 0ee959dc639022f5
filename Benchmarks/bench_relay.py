"""quic-relay: frames a second and one frame's way against the same bytes through haproxy, datagrams for a second of processor, idle clients."""
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
from harness import BIN, ROOT, Figure, median, output, processor_seconds, started, tool

sys.path.insert(0, str(ROOT / "Tests"))
from relay_client import DATAGRAM, PING, PONG, RelayClient  # noqa: E402

ROUNDS = 7
# The size of a QUIC packet, and of the batches of ten in which iroh sends them.
SIZES = {"one datagram a frame": (1200, 100_000), "ten datagrams a frame": (14520, 20_000)}
# Datagrams in each.
DATAGRAMS = {"one datagram a frame": 1, "ten datagrams a frame": 10}
# Frames under way: less than the relay's queue holds.
WINDOW = 128
# Frames that go one by one, for the time of one.
SINGLY = 10_000
LEAST_OF_HAPROXY = {"one datagram a frame": 0.5, "ten datagrams a frame": 0.6}
# Of processor time, sending and receiving included.
LEAST_A_SECOND = 500
MOST_OF_HAPROXYS_TIME = 1.5
IDLE, WARM_UP = 10_000, 100
IDLE_TLS = 2_000
LIMIT_KB, LIMIT_TLS_KB = 2, 16


@contextlib.contextmanager
def relay(*arguments):
    with started(BIN / "quic-relay", "--http", "127.0.0.1:0", *arguments) as process:
        process.ready = json.loads(process.first)
        yield process


def address(ready, name="http"):
    return ready[name][0].split("//")[1]


def pump(into, out_of, piece, size_out, count, window=WINDOW):
    seconds = output(tool("pump"), into.fileno(), out_of.fileno(), size_out, window, count, pass_fds=[into.fileno(), out_of.fileno()],
                     stdin=piece)
    for one in (into, out_of):
        one.setblocking(True)
    return count / float(seconds)


def frames(results):
    """By kind of frame: frames a second through relay and proxy, microseconds that one takes alone, the relay's datagrams for a second of
    processor."""
    rates, times, a_second = {}, {}, {}
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

                def measure(into, out_of, size_out, *how):
                    piece.seek(0)
                    # Whoever says nothing for long is pinged, which the pump would take for a part of its frames.
                    receiver.send(PING, bytes(8))
                    assert receiver.frame()[0] == PONG
                    return pump(into, out_of, piece, size_out, *how)

                def cases(*how):
                    return {"relay": lambda: measure(sender.socket, receiver.socket, length - 4, *how),
                            "haproxy": lambda: measure(into, out_of, length, *how)}

                busy = processor_seconds(process)
                rates[kind] = results.rounds(cases(count), ROUNDS, frame=kind)
                busy = processor_seconds(process) - busy
                a_second[kind] = ROUNDS * count * DATAGRAMS[kind] / busy
                results.record(datagrams_a_second_of_processor=a_second[kind], frame=kind, seconds=busy)
                alone = results.rounds(cases(SINGLY, 1), ROUNDS, frame=kind, window=1)
                times[kind] = {name: 1e6 / median(numbers) for name, numbers in alone.items()}
    return rates, times, a_second


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


def measure(results):
    figures = []
    rates, times, a_second = frames(results)
    for kind, numbers in rates.items():
        best = {name: max(numbers) for name, numbers in numbers.items()}
        figures.append(Figure(f"frames a second, {kind}, against haproxy with the same bytes", best["relay"] / best["haproxy"],
                              LEAST_OF_HAPROXY[kind], "x", at_least=True,
                              note=", ".join(f"{name} {rate / 1000:.0f} thousand" for name, rate in best.items())))
        took = times[kind]
        figures.append(Figure(f"the way of one frame alone, {kind}, against haproxy", took["relay"] / took["haproxy"], MOST_OF_HAPROXYS_TIME,
                              "x", note=", ".join(f"{name} {value:.1f} us" for name, value in took.items())))
        figures.append(Figure(f"datagrams for a second of processor, {kind}", a_second[kind] / 1000, LEAST_A_SECOND, " thousand", at_least=True))
    figures.append(Figure(f"memory for each of {IDLE} idle clients", idle(results, IDLE), LIMIT_KB, " KB"))
    figures.append(Figure(f"memory for each of {IDLE_TLS} idle clients with TLS", idle(results, IDLE_TLS, True), LIMIT_TLS_KB, " KB"))
    return figures
