"""Small HTTP requests through the composed tunnel against a plain TCP proxy, on kept connections and each on a connection of its own."""
import contextlib
import tempfile

from harness import Figure, accepts, free_port, median, output, started, tool, tunnel

ROUNDS = 5
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


def measure(results):
    figures = []
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(started(tool("http"), "serve"))
        target = int(server.first)
        ports = {"tunnel": stack.enter_context(tunnel(target)), "haproxy": stack.enter_context(proxy(target)), "direct": target}
        for connections in ("kept", "new"):
            for at_once in (1, 64):
                def ask(port, at_once=at_once, connections=connections):
                    return median(map(float, output(tool("http"), "ask", port, REQUESTS, at_once, connections).split()))

                for port in ports.values():
                    ask(port)
                numbers = results.rounds({f"{name}, {at_once} at once, {connections} connections": lambda port=port: ask(port)
                                          for name, port in ports.items()}, ROUNDS)
                best = {name.partition(",")[0]: min(turns) for name, turns in numbers.items()}
                manner = "one after another" if at_once == 1 else f"{at_once} at once"
                figures.append(Figure(f"{REQUESTS} requests {manner} on {connections} connections, median latency against haproxy",
                                      best["tunnel"] / best["haproxy"], LIMIT, "x",
                                      note=", ".join(f"{name} {value:.3f} ms" for name, value in best.items())))
    return figures
