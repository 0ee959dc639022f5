"""Look-ups in a DHT of fifty libtorrent nodes of which some are dead: a running pkarr-serve against a running libtorrent, and newcomers of both.

Latency, messages sent and success, with none, 30 % and 60 % of the nodes gone without a word, whom the others still name."""
import contextlib
import http.client
import json
import re
import statistics
import subprocess
import tempfile
import time
from urllib.parse import urlsplit

from bench_resolve import RECORDS, Entrance, Network, hexadecimal
from harness import BIN, PATIENCE, Figure, median, output, secret_key, started

NODES = 50
KEYS = 10
DEAD = (0, 30, 60)


class Relay:
    """A running pkarr-serve."""

    def __init__(self, process):
        self.connection = http.client.HTTPConnection(urlsplit(json.loads(process.first)["http"]).netloc, timeout=PATIENCE)

    def ask(self, path):
        # While libtorrent waits for the dead, the server closes a connection on which nothing happens.
        self.connection.close()
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode("latin-1")

    def metric(self, name):
        return int(re.search(rf"^\S*{name} (\d+)", self.ask("/metrics")[1], re.MULTILINE)[1])

    def wait_for(self, nodes):
        end = time.monotonic() + PATIENCE
        while self.metric("dht_nodes") < nodes:
            assert time.monotonic() < end, "pkarr-serve does not get to know the network"
            time.sleep(0.1)

    def look_up(self, name):
        """Milliseconds of a complete look-up; queries; whether the packet was found.

        HTTP is no part of a look-up, so what the same answer takes from the cache is taken off."""
        before = self.metric("dht_queries_sent_total")
        looked_up, status = self.timed(f"/{name}?policy=NetworkOnly")
        queries = self.metric("dht_queries_sent_total") - before
        return looked_up - self.timed(f"/{name}?policy=CacheOnly")[0], queries, status == 200

    def timed(self, path):
        start = time.perf_counter()
        status, _ = self.ask(path)
        return (time.perf_counter() - start) * 1000, status


def newcomer(entrance, name, node):
    """Milliseconds from pkarr-resolve's first query to its line, and whether it had one. It is forgiven the start of its process."""
    process = subprocess.Popen([BIN / "pkarr-resolve", "--no-relays", "--bootstrap", entrance.address, name],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    first, line = entrance.serve(node, process.stdout), process.stdout.readline()
    end = time.perf_counter()
    process.wait(PATIENCE)
    process.stdout.close()
    return (end - first) * 1000, bool(line)


def scenario(results, dead):
    """Rows of each of the four: (milliseconds, messages or None, whether found)."""
    rows = {"serve": [], "libtorrent": [], "resolve": [], "libtorrent_newcomer": []}
    network = Network(NODES)
    with contextlib.ExitStack() as stack:
        stack.callback(network.close)
        keys = []
        for number in range(KEYS):
            with tempfile.TemporaryDirectory() as folder:
                packet = output(BIN / "pkarr-build", "--key", secret_key(folder), input=json.dumps(RECORDS) + "\n")
            output(BIN / "pkarr-publish", "--no-relays", "--bootstrap", network.nodes[number % NODES], input=packet)
            keys.append(json.loads(packet)["public_key"])
        relay = Relay(stack.enter_context(started(
            BIN / "pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--bootstrap", network.nodes[0])))
        relay.wait_for(20)
        network.order(client=hexadecimal(keys[0]), node=0)
        # Node 0 stays, so that newcomers have an entrance.
        network.order(kill=[node for node in range(1, NODES) if node * 37 % 100 < dead])
        entrance = Entrance()
        for turn, name in enumerate(keys):
            rows["serve"].append(relay.look_up(name))
            answer = network.order(client=hexadecimal(name), node=0)
            rows["libtorrent"].append((answer.get("ms", PATIENCE * 1000), answer["sent"], answer["seq"] is not None, answer.get("first_ms")))
            took, found = newcomer(entrance, name, network.nodes[0])
            rows["resolve"].append((took, None, found))
            answer = network.order(newcomer=hexadecimal(name), node=0)
            rows["libtorrent_newcomer"].append((answer.get("ms", PATIENCE * 1000), None, answer["seq"] is not None, answer.get("first_ms")))
            firsts = {"libtorrent_first_ms": rows["libtorrent"][-1][3], "libtorrent_newcomer_first_ms": rows["libtorrent_newcomer"][-1][3]}
            results.record(dead=dead, **firsts, key=name, **{who: values[turn] for who, values in rows.items()})
    return rows


def measure(results):
    figures = []
    for dead in DEAD:
        rows = scenario(results, dead)
        for ours, theirs, what in (("serve", "libtorrent", "running"), ("resolve", "libtorrent_newcomer", "newcomer")):
            where = f"{dead} % dead, {what}"
            for name, of in (("median", median), ("95 %", lambda numbers: statistics.quantiles(numbers, n=20)[-1])):
                own, other = (of([row[0] for row in rows[who]]) for who in (ours, theirs))
                figures.append(Figure(f"{where}: latency, {name}", own / other, 1, " times", note=f"{own:.2f} ms against {other:.2f} ms"))
            if what == "running":
                own, other = (sum(row[1] for row in rows[who]) / KEYS for who in (ours, theirs))
                figures.append(Figure(f"{where}: messages", own / other, 1, " times", note=f"{own:.1f} against {other:.1f}"))
            own, other = (sum(row[2] for row in rows[who]) for who in (ours, theirs))
            figures.append(Figure(f"{where}: found", own / max(other, 1), 1, " times", at_least=True, note=f"{own} against {other} of {KEYS}"))
    return figures
