"""One stream's throughput through the whole composed tunnel, against ngtcp2's own programs, iroh, plain TCP and bare datagrams."""
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import Figure, ROOT, accepts, free_port, median, output, started, tool, tunnel

BYTES = 512 << 20
ROUNDS = 5
# A fetch this small costs what starting and the handshake cost.
LITTLE = 1000
MINIMUM = {"gtlsserver to gtlsclient": 1.0, "iroh to iroh": 1.5}


def fetched(port):
    count, seconds = output(tool("bytes"), "fetch", port).split()
    assert int(count) == BYTES, f"{count} bytes of {BYTES} came"
    return BYTES / float(seconds) / 1e6


def blasted():
    count, seconds = output(tool("blast"), BYTES * 4).split()
    return int(count) / float(seconds) / 1e6


@contextlib.contextmanager
def ngtcp2():
    """Debian's ngtcp2 programs: yields a function that fetches once and gives MB/s, the start and the handshake taken off."""
    # In memory where there is a file system for it.
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        key, certificate = f"{folder}/key.pem", f"{folder}/certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                        "/CN=localhost", "-days", "2", "-keyout", key, "-out", certificate], check=True, capture_output=True)
        for name, size in (("large", BYTES), ("little", LITTLE)):
            with open(f"{folder}/{name}", "wb") as file:
                file.truncate(size)
        port = free_port()
        windows = ["--max-data=64M", "--max-stream-data-bidi-local=64M", "--max-window=256M", "--max-stream-window=256M"]

        def seconds(name):
            start = time.perf_counter()
            subprocess.run(["gtlsclient", "-q", "--exit-on-all-streams-close", "--ciphers",
                            "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM", *windows, "127.0.0.1", str(port),
                            f"https://localhost/{name}"], check=True, capture_output=True, timeout=120)
            return time.perf_counter() - start

        with started("gtlsserver", "-q", "-d", folder, "127.0.0.1", port, key, certificate, line=False):
            for _ in range(500):
                with contextlib.suppress(subprocess.CalledProcessError):
                    seconds("little")
                    break
                time.sleep(0.01)
            yield lambda: BYTES / (seconds("large") - seconds("little")) / 1e6


@contextlib.contextmanager
def iroh():
    """The real iroh: yields a function that fetches once and gives MB/s."""
    script = ROOT / "Benchmarks" / "iroh_bytes.py"
    with started(sys.executable, script, "serve", BYTES) as server:
        yield lambda: float(output(sys.executable, script, "fetch", BYTES, *server.first.split()))


def measure(results):
    with contextlib.ExitStack() as stack:
        port = int(stack.enter_context(started(tool("bytes"), "serve", BYTES)).first)
        through = stack.enter_context(tunnel(port))
        numbers = results.rounds({
            "the composed tunnel": lambda: fetched(through),
            "gtlsserver to gtlsclient": stack.enter_context(ngtcp2()),
            "iroh to iroh": stack.enter_context(iroh()),
            "plain TCP": lambda: fetched(port),
            "UDP datagrams, GSO and GRO": blasted,
        }, ROUNDS)
    for name, values in numbers.items():
        print(f"        {name}: best {max(values):.0f} MB/s, median {median(values):.0f}")
    ours = max(numbers["the composed tunnel"])
    return [Figure(f"the composed tunnel against {name}", ours / max(numbers[name]), minimum, "x", at_least=True)
            for name, minimum in MINIMUM.items()]
