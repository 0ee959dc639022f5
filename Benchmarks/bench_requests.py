"""Small HTTP requests through the composed tunnel against a plain TCP proxy, on kept connections and each on a connection of its own."""
import contextlib
import statistics
import sys
import tempfile

from harness import Figure, ROOT, accepts, free_port, median, output, started, tool, tunnel

ROUNDS = 9
REQUESTS = 1000
LIMIT = 1.5
PROXY = """
global
    nbthread 1
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    maxconn 4096
listen page
    bind 127.0.0.1:{port}
    server page 127.0.0.1:{target}
"""


@contextlib.contextmanager
def proxy(target):
    """haproxy in front of a TCP port: yields its own."""
    port = free_port()
    with tempfile.NamedTemporaryFile("w") as configuration:
        configuration.write(PROXY.format(port=port, target=target))
        configuration.flush()
        with started("haproxy", "-db", "-f", configuration.name, line=False):
            accepts(port)
            yield port


def percentiles(latencies):
    """The 1st, 10th, 20th … 90th and 99th: a thousand latencies a round would be megabytes."""
    return [statistics.quantiles(latencies, n=100)[percent - 1] for percent in (1, *range(10, 100, 10), 99)]


def latencies(results, backend, ports, at_once, connections):
    """The median latency in ms by way, of all requests of all rounds."""
    def ask(port):
        return list(map(float, output(tool("http"), "ask", port, REQUESTS, at_once, connections).split()))

    for port in ports.values():
        ask(port)
    numbers = results.rounds({name: lambda port=port: ask(port) for name, port in ports.items()}, ROUNDS, keep=percentiles,
                             backend=backend, at_once=at_once, connections=connections)
    return {name: median(latency for turn in turns for latency in turn) for name, turns in numbers.items()}


def measure(results):
    figures = []
    for backend, command in {"HTTP server": (sys.executable, ROOT / "Benchmarks" / "page_server.py"), "bare C": (tool("http"), "serve")}.items():
        with contextlib.ExitStack() as stack:
            target = int(stack.enter_context(started(*command)).first)
            ports = {"tunnel": stack.enter_context(tunnel(target)), "haproxy": stack.enter_context(proxy(target)), "direct": target}
            for connections in ("kept", "new"):
                for at_once in (1, 64):
                    took = latencies(results, backend, ports, at_once, connections)
                    manner = "one after another" if at_once == 1 else f"{at_once} at once"
                    figure = Figure(f"{backend}, {REQUESTS} requests {manner}, {connections} connections: median latency against haproxy",
                                    took["tunnel"] / took["haproxy"], LIMIT, "x",
                                    note=", ".join(f"{name} {value:.3f} ms" for name, value in took.items()))
                    figures.append(figure)
    return figures
