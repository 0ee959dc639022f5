"""quic-relay: its own processor time for a GB that it passes on, and for clients that come and go, without TLS and with it."""
import contextlib
import subprocess
import tempfile
from pathlib import Path

from bench_relay import SIZES, address, pump, relay
from harness import Figure, accepts, free_port, started
from relay_client import DATAGRAM, RelayClient

KIND = "ten datagrams a frame"
FRAMES, CLIENTS = 40_000, 500
# Processor seconds for a GB, and for a thousand clients.
LIMITS = {False: (2, 1), True: (4, 5)}


def processor_time(process):
    """Seconds that a process of one thread has run, to the nanosecond."""
    return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) / 1e9


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x",
                    "-keyout", folder / "key", "-out", folder / "cert"], check=True, capture_output=True)
    (folder / "key").chmod(0o600)
    return ["--https", "127.0.0.1:0", "--certificate", folder / "cert", "--certificate-key", folder / "key"]


@contextlib.contextmanager
def tls_client(folder, port):
    """Where a haproxy takes plain TCP and goes on with TLS: ends of the benchmark that give the relay as much at once as real ones do."""
    plain = free_port()
    (folder / "haproxy.cfg").write_text(
        "global\n nbthread 1\ndefaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n"
        f"listen tls\n bind 127.0.0.1:{plain}\n server relay 127.0.0.1:{port} ssl verify none\n")
    with started("haproxy", "-f", folder / "haproxy.cfg", line=False):
        accepts(plain)
        yield f"127.0.0.1:{plain}"


def cost(results, secure):
    size, _ = SIZES[KIND]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        process = stack.enter_context(relay(*(certificate(folder) if secure else [])))
        where = address(process.ready, "https" if secure else "http")
        near = stack.enter_context(tls_client(folder, where.split(":")[1])) if secure else where
        sender, receiver = (RelayClient(near, key) for key in (1, 2))
        piece = stack.enter_context(tempfile.TemporaryFile())
        # Its mask is of zeros, and is taken off all the same.
        header = b"\x82\xfe" + (size + 34).to_bytes(2, "big") + bytes(4)
        piece.write(header + bytes([DATAGRAM]) + receiver.key.bytes + bytes(1 + size))
        length = piece.tell() - 4
        piece.seek(0)
        before = processor_time(process)
        pump(sender.socket, receiver.socket, piece, length, FRAMES)
        between = processor_time(process)
        for number in range(CLIENTS):
            RelayClient(where, 3 + number, secure=secure).close()
        after = processor_time(process)
    a_gb, clients = (between - before) / (FRAMES * size) * 1e9, (after - between) / CLIENTS * 1000
    results.record(secure=secure, seconds_for_a_gb=a_gb, seconds_for_a_thousand_clients=clients)
    return a_gb, clients


def measure(results):
    figures = []
    for secure, limits in LIMITS.items():
        for what, seconds, limit in zip(("a GB", "a thousand clients that come and go"), cost(results, secure), limits):
            figures.append(Figure(f"processor time for {what}{' with TLS' if secure else ''}", seconds, limit, " s"))
    return figures
