"""Finding a key on a DHT of fifty libtorrent nodes on this machine: pkarr-resolve against libtorrent's own get."""
import json
import select
import socket
import subprocess
import sys
import tempfile
import time

from harness import BIN, Figure, PATIENCE, ROOT, median, output, secret_key

NODES = 50
KEYS = 20
ROUNDS = 5
COLUMNS = ("pkarr_resolve_ms", "pkarr_resolve_with_start_ms", "libtorrent_newcomer_ms", "libtorrent_settled_ms")
RECORDS = {"records": [{"name": "_iroh", "type": "TXT", "ttl": 30, "strings": ["addr=203.0.113.7:11204"]}]}


class Network:
    """Tests/Interop/peers/libtorrent_dht.py."""

    def __init__(self, count):
        self.process = subprocess.Popen([sys.executable, ROOT / "Tests/Interop/peers/libtorrent_dht.py", "--nodes", str(count)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.nodes = json.loads(self.process.stdout.readline())["nodes"]

    def order(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)


class Entrance:
    """Where pkarr-resolve enters the network: passes datagrams on to one of its nodes, and notes when the first one comes."""

    def __init__(self):
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", 0))
        self.back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = "127.0.0.1:%d" % self.front.getsockname()[1]

    def serve(self, node, until):
        """Passes on until the file has something to read. Gives the moment of the first datagram."""
        host, port = node.split(":")
        first = None
        while True:
            ready, _, _ = select.select([self.front, self.back, until], [], [], PATIENCE)
            assert ready, "pkarr-resolve says nothing"
            if until in ready:
                return first
            if self.front in ready:
                datagram, asker = self.front.recvfrom(4096)
                first = first or time.perf_counter()
                self.back.sendto(datagram, (host, int(port)))
            if self.back in ready:
                self.front.sendto(self.back.recv(4096), asker)


def resolve(network, entrance, key, node):
    """Milliseconds until pkarr-resolve has printed the packet: from its first query on, and from its start on."""
    start = time.perf_counter()
    process = subprocess.Popen([BIN / "pkarr-resolve", "--no-relays", "--bootstrap", entrance.address, key],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    first = entrance.serve(network.nodes[node], process.stdout)
    end = time.perf_counter()
    line = process.stdout.readline()
    assert json.loads(line)["public_key"] == key
    assert process.wait(PATIENCE) == 0
    process.stdout.close()
    return (end - first) * 1000, (end - start) * 1000


def libtorrent(network, node, **order):
    answer = network.order(node=node, **order)
    assert answer["seq"] is not None, "libtorrent has not found the key"
    return answer["ms"]


def measure(results):
    network = Network(NODES)
    try:
        keys = []
        for number in range(KEYS):
            with tempfile.TemporaryDirectory() as folder:
                packet = output(BIN / "pkarr-build", "--key", secret_key(folder), input=json.dumps(RECORDS) + "\n")
            output(BIN / "pkarr-publish", "--no-relays", "--bootstrap", network.nodes[number % NODES], input=packet)
            name = json.loads(packet)["public_key"]
            keys.append((name, hexadecimal(name)))
        rows = []
        entrance = Entrance()
        for turn in range(ROUNDS):
            for number, (name, digits) in enumerate(keys):
                node = (7 * number + 13 * turn) % NODES
                looked_up, started = resolve(network, entrance, name, node)
                rows.append((looked_up, started, libtorrent(network, node, newcomer=digits), libtorrent(network, node, get=digits)))
                results.record(round=turn, key=name, node=node, **dict(zip(COLUMNS, rows[-1])))
    finally:
        network.close()
    best = [min(median(row[column] for row in rows[turn * KEYS:][:KEYS]) for turn in range(ROUNDS)) for column in range(len(COLUMNS))]
    results.record(best_medians=dict(zip(COLUMNS, best)))
    return [Figure("pkarr-resolve's look-up against a libtorrent newcomer's get, median", best[0] / best[2], 1, " times",
                   note=f"{best[0]:.2f} ms, {best[1]:.2f} ms with the start of the process, against {best[2]:.2f} ms"),
            Figure("pkarr-resolve's look-up against a settled libtorrent node's get, median", best[0] / best[3], 1, " times",
                   note=f"against {best[3]:.2f} ms")]


def hexadecimal(name):
    """A z-base-32 key as libtorrent takes it."""
    bits = "".join(f"{'ybndrfg8ejkmcpqxot1uwisza345h769'.index(letter):05b}" for letter in name)
    return int(bits[:256], 2).to_bytes(32, "big").hex()
