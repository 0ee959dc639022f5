"""The composed tunnel where only quic-relay joins its ends: throughput against iroh through the same relay, latency added against haproxy."""
import contextlib
import json
import sys

from bench_requests import latencies, proxy
from harness import BIN, ROOT, Figure, output, started, tool, tunnel

sys.path.insert(0, str(ROOT / "Tests"))
from islands import EAST, MAINLAND, Islands  # noqa: E402

BYTES = 128 << 20
ROUNDS = 5
LEAST_OF_IROH = 1.2
LEAST_MB = 20
# A relay is passed twice on the way there and back, as the proxy is, and each end has the relay's framing to do besides.
MOST_ADDED_OF_HAPROXY = 3


def throughput(results):
    """MB/s from end to end, of ours and of iroh, in network namespaces that nothing but the relay joins."""
    islands = Islands()
    url = f"http://{MAINLAND}:3340/"
    iroh = [sys.executable, ROOT / "Benchmarks" / "iroh_bytes.py"]

    def east(*arguments):
        return islands.on("east", *arguments)

    def west(*arguments):
        return islands.on("west", *arguments)

    with contextlib.ExitStack() as stack:
        stack.callback(islands.remove)
        stack.enter_context(started(*islands.on("main", BIN / "quic-relay", "--http", f"{MAINLAND}:3340")))
        port = int(stack.enter_context(started(tool("bytes"), "serve", BYTES)).first)
        through = stack.enter_context(tunnel(port, ["--relay", url], ["--no-direct"], bind=f"{EAST}:0", listens=east, dials=west))
        server = stack.enter_context(started(*east(*iroh, "serve", BYTES, "--relay", url)))

        def ours():
            count, seconds = output(tool("bytes"), "fetch", through).split()
            assert int(count) == BYTES, f"{count} bytes of {BYTES} came"
            return BYTES / float(seconds) / 1e6

        fetch = west(*iroh, "fetch", BYTES, server.first.split()[0], "--relay", url)
        return results.rounds({"the composed tunnel": ours, "iroh to iroh": lambda: float(output(*fetch))}, ROUNDS)


def added(results):
    """Milliseconds of a small request on a kept connection, by way."""
    with contextlib.ExitStack() as stack:
        relay = stack.enter_context(started(BIN / "quic-relay", "--http", "127.0.0.1:0"))
        url = json.loads(relay.first)["http"][0]
        target = int(stack.enter_context(started(tool("http"), "serve")).first)
        ports = {
            "through the relay": stack.enter_context(tunnel(target, ["--relay", url], ["--no-direct"])),
            "tunnel": stack.enter_context(tunnel(target)),
            "haproxy": stack.enter_context(proxy(target)),
            "direct": target,
        }
        return latencies(results, "bare C", ports, 1, "kept")


def measure(results):
    speeds, took = throughput(results), added(results)
    best = {name: max(numbers) for name, numbers in speeds.items()}
    ours, theirs = took["through the relay"] - took["tunnel"], took["haproxy"] - took["direct"]
    note = ", ".join(f"{name} {speed:.0f} MB/s" for name, speed in best.items())
    return [
        Figure("the composed tunnel through the relay against iroh to iroh", best["the composed tunnel"] / best["iroh to iroh"], LEAST_OF_IROH,
               "x", at_least=True, note=note),
        Figure("iroh to iroh through the relay", best["iroh to iroh"], LEAST_MB, " MB/s", at_least=True),
        Figure("latency that the relay adds to a small request, against what haproxy adds", ours / theirs, MOST_ADDED_OF_HAPROXY, "x",
               note=", ".join(f"{name} {value:.3f} ms" for name, value in took.items())),
    ]
