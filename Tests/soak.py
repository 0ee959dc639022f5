#!/usr/bin/env python3
"""A week of traffic in minutes: requests of all kinds from many addresses at a pkarr-serve, whose memory has to stay where it is.

    Tests/soak.py [REQUESTS]     a million unless told otherwise

Most of what a relay gets is there: gets of what it has, of what nobody has, by each policy; puts of packets that are new, the same, older,
wrongly signed, too long; what browsers ask before a put; nonsense; requests cut off in their middle; and beside them the DHT's own gets and
puts. They come from many addresses of 127.0.0.0/8, so that limits refuse some and their tables are full. Once warmed up (tables, caches
and the files' buffers filled), growth beyond GROWTH is a leak.
"""
import json
import random
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Benchmarks"))
from harness import tool  # noqa: E402
from dht import Asker  # noqa: E402
from packets import NOW, Key  # noqa: E402
from pkarr_network import serve, wait_until_joined  # noqa: E402

# Of resident memory after the warm-up. 100 bytes lost with each of the short run's requests would be more, and a million's by far.
GROWTH = 2 << 20
# More keys than the relay has room for in memory.
KEYS = 1200
CONNECTIONS = 50
PER_CONNECTION = 6
LIMITS = ["--limit-requests", "2r/s,burst=5", "--limit-lookups", "1r/s,burst=5", "--exempt", "127.0.0.1"]


def request(method, path, body=b"", *headers):
    lines = [f"{method} {path} HTTP/1.1", "Host: relay.example", *headers]
    if body or method == "PUT":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def mix(keys, strangers, chance):
    """What is sent, each as often as it stands here."""
    for key in keys:
        payload = key.payload(key.text("x" * chance.randrange(250), ttl=chance.choice([30, 300, 3600])))
        path = f"/{key.name}"
        origin = "Origin: https://page.example"
        yield from [request("GET", path), request("GET", path, b"", origin), request("GET", path + "?policy=CacheOnly")] * 2
        yield request("GET", path + "?policy=NetworkOnly")
        yield request("HEAD", path)
        yield request("GET", path, b"", "If-Modified-Since: Fri, 31 Dec 2100 00:00:00 GMT")
        yield request("OPTIONS", path, b"", origin, "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: x")
        yield from [request("PUT", path, payload)] * 2
        yield request("PUT", path, key.payload(timestamp=NOW + chance.randrange(1_000_000)))
        yield request("PUT", path, key.payload(timestamp=NOW - 1))
        yield request("PUT", path, key.payload(timestamp=NOW + 1), f"If-Match: {NOW}")
        yield request("PUT", path, payload[:-1] + bytes([payload[-1] ^ 1]))
    for key in strangers:
        yield from [request("GET", f"/{key.name}"), request("GET", f"/{key.name}?policy=CacheOnly"), request("PUT", f"/{key.name}", b"x" * 200)]
    yield from [request("GET", "/nonsense"), request("DELETE", "/"), request("PUT", "/" + "y" * 52, b"x" * 1105), request("GET", "/healthz"),
                request("GET", "/metrics"), b"GET / HTTP/9.9\r\n\r\n", b"nonsense\r\n\r\n", request("GET", "/" + "y" * 8000),
                request("GET", "/?" + "a=b&" * 50), request("PUT", "/x", b"", "Expect: 100-continue")] * 20


def dht_traffic(node, keys, count, chance, ended):
    """Gets, puts and nonsense on the DHT's side, from many addresses."""
    items = [(key, b"v" * chance.randrange(900)) for key in keys[:200]]
    for number in range(count):
        if ended.is_set():
            return
        source = f"127.2.{chance.randrange(100)}.{chance.randrange(1, 255)}"
        with Asker(node, source) as asker:
            key, value = chance.choice(items)
            match number % 4:
                case 0: asker.put(key, value, number)
                case 1 | 2: asker.get(chance.choice(keys))
                case 3:
                    asker.socket.send(chance.randbytes(chance.randrange(1, 300)))
                    asker.ask("find_node", target=chance.randbytes(20))


class Soak:
    """A pkarr-serve under load, with another beside it so that its DHT is more than itself."""

    def __init__(self, sources):
        self.sources = sources
        self.folder = tempfile.TemporaryDirectory(prefix="keyhole-soak-")
        self.chance = random.Random(1)
        self.keys = [Key(number) for number in range(1, KEYS + 1)]
        self.node = serve("--store", f"{self.folder.name}/store", *LIMITS)
        self.peer = serve("--bootstrap", self.node.addresses["dht"])
        wait_until_joined([self.node, self.peer])
        self.requests = Path(self.folder.name) / "requests"
        kinds = mix(self.keys, [Key(number) for number in range(10_000, 10_400)], self.chance)
        self.requests.write_bytes(b"".join(len(kind).to_bytes(4, "little") + kind for kind in kinds))
        self.rounds = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.statuses = [self.node.stop(), self.peer.stop()]
        self.folder.cleanup()

    @property
    def memory(self):
        """Bytes that the process has resident, by its own metrics."""
        with urlopen(f"{self.node.addresses['http']}/metrics") as answer:
            return next(int(line.split()[1]) for line in answer.read().decode().splitlines() if line.startswith("pkarr_serve_resident_bytes "))

    def load(self, count):
        """So many requests, with a twentieth as many on the DHT; what the load generator has counted."""
        self.rounds += 1
        ended = threading.Event()
        node, keys = self.node.addresses["dht"], self.keys
        beside = threading.Thread(target=dht_traffic, args=(node, keys, count // 20, random.Random(self.rounds), ended))
        beside.start()
        host, port = urlsplit(self.node.addresses["http"]).netloc.split(":")
        try:
            done = subprocess.run([tool("load"), host, port, self.requests, str(count), str(self.rounds), str(CONNECTIONS),
                                   str(PER_CONNECTION), str(self.sources), "200"], check=True, capture_output=True)
        finally:
            ended.set()
            beside.join()
        return json.loads(done.stdout)


def main(count):
    with Soak(sources=100_000) as soak:
        part, first, total = count // 10, None, {}
        for number in range(10):
            counted = soak.load(part)
            memory = soak.memory
            for status, times in counted["statuses"].items():
                total[status] = total.get(status, 0) + times
            print(f"{(number + 1) * part:>9} requests  {counted['requests'] / counted['seconds']:>7.0f}/s  {memory / (1 << 20):6.1f} MB", flush=True)
            if number == 3:
                first = memory
        growth = memory - first
        print("answers: " + ", ".join(f"{times} {status}" for status, times in sorted(total.items())))
        print(f"growth after {4 * part} requests: {growth / 1024:.0f} KB (at most {GROWTH >> 10} KB)")
    if soak.statuses != [0, 0]:
        sys.exit(f"soak: it ended with {soak.statuses[0]}")
    sys.exit(f"soak: memory grows" if growth > GROWTH else 0)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
