"""A page of 50 objects as a browser loads it, with 20 ms of cable in each direction between the browser and the homeserver: through the proxy,
with a QUIC connection for each TCP connection as dumbpipe does it, and by plain TCP."""
import contextlib
import json
import os
import subprocess
import tempfile
from pathlib import Path

from harness import BIN, ROOT, TOOLS, Figure, listener, output, started, tool

OBJECTS, BYTES = 50, 10_000
# As many as browsers open to one host.
CONNECTIONS = 6
DELAY_US = 20_000
ROUNDS = 9
HOME, AWAY = "10.92.0.1", "10.92.0.2"
# With nothing connected both ways have the same round trips to wait for but one or two; later the tunnel is there and theirs is not.
LIMIT_COLD, LIMIT_WARM, LIMIT_TCP = 1.1, 0.95, 1.0


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextlib.contextmanager
def cable():
    """Two machines and the cable between them: gives what runs a program at home, and away."""
    names = {name: f"khpage{os.getpid()}{name}" for name in ("home", "cable", "away")}

    def on(name):
        return lambda *arguments: ["ip", "netns", "exec", names[name], *arguments]

    TOOLS.mkdir(parents=True, exist_ok=True)
    wire = TOOLS / "wire"
    subprocess.run(["cc", "-O2", "-o", wire, ROOT / "Tests" / "NATLab" / "wire.c"], check=True)
    with contextlib.ExitStack() as stack:
        for name in names.values():
            ip("netns", "add", name)
            stack.callback(subprocess.run, ["ip", "netns", "del", name], capture_output=True)
            ip("-n", name, "link", "set", "lo", "up")
        for end, device, address in (("home", "upper", HOME), ("away", "lower", AWAY)):
            ip("-n", names["cable"], "link", "add", device, "type", "veth", "peer", "name", "sea", "netns", names[end])
            for name, one in ((end, "sea"), ("cable", device)):
                # The cable takes single frames.
                ip("-n", names[name], "link", "set", one, "gso_max_segs", "1")
                ip("-n", names[name], "link", "set", one, "up")
            ip("-n", names[end], "addr", "add", f"{address}/24", "dev", "sea")
        stack.enter_context(started(*on("cable")(wire, "upper", "lower", 1, DELAY_US, 0, 0, 0, 0, "right"), stdin=subprocess.PIPE))
        yield on("home"), on("away")


@contextlib.contextmanager
def proxy(folder, packet, away):
    """The proxy and its dialler, which has no connection yet: gives the place to ask."""
    where = tempfile.mkdtemp(dir=folder)
    command = away(BIN / "tunnel-bridge", "proxy", "--socket", f"{where}/dial.sock", "--listen", "127.0.0.1:0", "--allow-local")
    with started(*command, stdin=subprocess.PIPE) as bridge:
        bridge.stdin.write(packet)
        bridge.stdin.flush()
        with connected(away(BIN / "quic-dial", "--bridge", f"{where}/dial.sock")):
            yield json.loads(bridge.first)["listening"]


@contextlib.contextmanager
def pipe(folder, endpoint, away):
    """A listener for one TCP connection with a QUIC connection of its own, not connected yet: gives the place to ask."""
    where = tempfile.mkdtemp(dir=folder)
    with started(*away(BIN / "tunnel-bridge", "connect", "--socket", f"{where}/dial.sock", "--listen", "127.0.0.1:0")) as bridge:
        with connected(away(BIN / "quic-dial", "--bridge", f"{where}/dial.sock", "--endpoint", endpoint)):
            yield json.loads(bridge.first)["listening"]


@contextlib.contextmanager
def connected(command):
    """A dialler that its bridge knows."""
    with subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as dialler:
        while b"is there" not in dialler.stderr.readline():
            assert dialler.poll() is None
        yield
        dialler.kill()


def measure(results):
    with contextlib.ExitStack() as stack:
        home, away = stack.enter_context(cable())
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        port = stack.enter_context(started(*home(tool("page"), "serve", HOME, BYTES))).first.strip()
        serve = f"{folder}/serve.sock"
        stack.enter_context(started(*home(BIN / "tunnel-bridge", "serve", "--socket", serve, "--to", f"{HOME}:{port}")))
        _, endpoint = stack.enter_context(listener(folder, "--bridge", serve, "--lan", bind=f"{HOME}:0", where=home))
        key, file = endpoint["endpoint_id"], Path(folder) / "endpoint"
        file.write_text(json.dumps(endpoint) + "\n")
        records = output(BIN / "iroh-txt", "encode", input=json.dumps(endpoint) + "\n")
        packet = output(BIN / "pkarr-build", "--key", Path(folder) / "secret", input=records)

        def load(places, prefix=""):
            return float(output(*away(tool("page"), "load", key, prefix, OBJECTS, *places)))

        def through_proxy(loads):
            with proxy(folder, packet, away) as place:
                return [load([place] * CONNECTIONS, f"http://{key}") for _ in range(loads)][-1]

        def through_pipes():
            with contextlib.ExitStack() as pipes:
                return load([pipes.enter_context(pipe(folder, file, away)) for _ in range(CONNECTIONS)])

        cases = {
            "proxy, nothing connected": lambda: through_proxy(1),
            "proxy, tunnel there": lambda: through_proxy(2),
            "a QUIC connection for each TCP connection": through_pipes,
            "plain TCP": lambda: load([f"{HOME}:{port}"] * CONNECTIONS),
        }
        best = {name: min(numbers) for name, numbers in results.rounds(cases, ROUNDS, objects=OBJECTS, bytes=BYTES, delay_us=DELAY_US).items()}
    note = ", ".join(f"{name} {value:.0f} ms" for name, value in best.items())
    cold, warm, pipes, tcp = (best[name] for name in cases)
    return [
        Figure(f"a page of {OBJECTS} objects through the proxy, nothing connected, against a QUIC connection for each TCP connection",
               cold / pipes, LIMIT_COLD, "x", note=note),
        Figure(f"a page of {OBJECTS} objects through the proxy, the tunnel there, against a QUIC connection for each TCP connection",
               warm / pipes, LIMIT_WARM, "x"),
        Figure(f"a page of {OBJECTS} objects through the proxy, the tunnel there, against plain TCP", warm / tcp, LIMIT_TCP, "x"),
    ]
