"""HTTP through the composed tunnel with every request rewritten (tunnel-bridge serve --http), against the same without."""
import contextlib
import os
import tempfile
from pathlib import Path

from harness import Figure, accepts, free_port, median, output, started, tool, tunnel

BYTES = 512 << 20
ROUNDS = 7
REQUESTS = 1000
CONFIGURATION = """
daemon off;
pid {folder}/pid;
worker_processes 1;
user root;
events {{}}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder};
        location = / {{ return 200 "hello"; }}
    }}
}}
"""


@contextlib.contextmanager
def nginx():
    """A server with a large file, in memory where there is a file system for it: its port."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        port = free_port()
        Path(folder, "conf").write_text(CONFIGURATION.format(folder=folder, port=port))
        with open(f"{folder}/large", "wb") as file:
            file.truncate(BYTES)
        os.chmod(folder, 0o755)
        with started("nginx", "-p", folder, "-c", f"{folder}/conf", "-e", f"{folder}/error.log", line=False):
            accepts(port)
            yield port


def download(port):
    """MB/s."""
    return float(output("curl", "-s", "-o", "/dev/null", "-w", "%{speed_download}", f"http://127.0.0.1:{port}/large")) / 1e6


def ask(port):
    """The median latency in ms of requests one after another."""
    return median(map(float, output(tool("http"), "ask", port, REQUESTS, 1, "kept").split()))


def measure(results):
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(nginx())
        ports = {"with": stack.enter_context(tunnel(target, serving=["--http"])), "without": stack.enter_context(tunnel(target))}
        speed = results.rounds({name: lambda port=port: download(port) for name, port in ports.items()}, ROUNDS, what="download")
        latency = results.rounds({name: lambda port=port: ask(port) for name, port in ports.items()}, ROUNDS, what="requests")
    speed, latency = [{name: median(values) for name, values in numbers.items()} for numbers in (speed, latency)]
    return [Figure("a download, median throughput against none of it", speed["with"] / speed["without"], 0.6, "x", at_least=True,
                   note=", ".join(f"{name} {value:.0f} MB/s" for name, value in speed.items())),
            Figure("requests one after another, median latency against none of it", latency["with"] / latency["without"], 2, "x",
                   note=", ".join(f"{name} {value:.3f} ms" for name, value in latency.items()))]
