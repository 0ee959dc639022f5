"""pkarr-serve beside nginx: requests a second for a packet that it has, and for a static file of the same size, on kept connections."""
import json
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from harness import BIN, ROOT, Figure, accepts, free_port, median, output, started, tool

sys.path.insert(0, str(ROOT / "Tests"))
from packets import Key  # noqa: E402

REQUESTS = 40_000
CONNECTIONS = 50
PER_CONNECTION = 1000
ROUNDS = 5
# nginx has the file ready; each of our answers is made anew from the packet.
AT_LEAST = 0.5


def measure(results):
    key = Key(1)
    payload = key.payload(key.text("x" * 250))
    with tempfile.TemporaryDirectory() as folder:
        # For nginx's workers, who are nobody in particular.
        Path(folder).chmod(0o755)
        (Path(folder) / "packet").write_bytes(payload)
        port = free_port()
        (Path(folder) / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error;\n"
            "events { worker_connections 1024; }\n"
            f"http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;\n"
            f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
            f"server {{ listen 127.0.0.1:{port}; root {folder}; default_type application/octet-stream; }} }}\n")

        def asked(name, path):
            request = f"GET {path} HTTP/1.1\r\nHost: relay.example\r\n\r\n".encode()
            file = Path(folder) / f"requests-{name}"
            file.write_bytes(len(request).to_bytes(4, "little") + request)
            return file

        def rate(address, requests):
            done = json.loads(output(tool("load"), "127.0.0.1", address, requests, REQUESTS, 1, CONNECTIONS, PER_CONNECTION, 0, 0))
            assert done["statuses"] == {"200": REQUESTS}, done
            return REQUESTS / done["seconds"]

        with started("nginx", "-e", f"{folder}/error", "-c", f"{folder}/nginx.conf", line=False), \
                started(BIN / "pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0") as relay:
            accepts(port)
            url = json.loads(relay.first)["http"]
            urlopen(Request(f"{url}/{key.name}", payload, method="PUT")).close()
            ours = asked("pkarr-serve", f"/{key.name}")
            numbers = results.rounds({
                "pkarr-serve": lambda: rate(urlsplit(url).port, ours),
                "nginx": lambda: rate(port, asked("nginx", "/packet")),
            }, ROUNDS)
    relay_rate, nginx_rate = median(numbers["pkarr-serve"]), median(numbers["nginx"])
    return [Figure("a packet from the cache, against nginx's static file", relay_rate / nginx_rate, AT_LEAST, " times", at_least=True,
                   note=f"{relay_rate:.0f} and {nginx_rate:.0f} requests a second")]
