"""Republishing the packets of many keys on a DHT of a hundred pkarr-serve on this machine: how fast, at what cost, and whether the cost
grows with their number."""
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import BIN, PATIENCE, ROOT, Figure, median, processor_seconds, started

sys.path.insert(0, str(ROOT / "Tests"))
from packets import Key  # noqa: E402

NODES = 100
FEW, MANY = 1000, 10_000
# Packets a second. Upstream's republisher does 7 on four cores, as its makers say.
LEAST = 100
# What is paid once, such as getting to know the network, makes few packets dearer, so more than this is growth.
GROWTH = 1.1
# As many nodes as a packet is put at or some more, and as many as it takes to call it well stored (spec/pkarr-wire.md, 3.4).
WIDTH, WELL_STORED = 20, 10


def datagrams():
    """UDP datagrams that this machine has sent so far, and those that found no room where they came."""
    names, values = [line.split()[1:] for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Udp:")]
    counts = dict(zip(names, map(int, values)))
    return counts["OutDatagrams"], counts["RcvbufErrors"]


class Publishing:
    """One run of pkarr-publish over a file, with nothing else on the machine than the network, and what it took."""

    def __init__(self, path, bootstrap, nodes):
        sent, lost = datagrams()
        busy = sum(map(processor_seconds, nodes))
        begun = time.monotonic()
        receipts = []
        with path.open() as packets, started(BIN / "pkarr-publish", "--no-relays", "--bootstrap", bootstrap, "--rate", "unlimited",
                                             line=False, stdin=packets, stdout=subprocess.PIPE) as publisher:
            for line in publisher.stdout:
                receipts.append(json.loads(line))
                # Long before the end, which takes the process and what is known of it away.
                if len(receipts) % 100 == 0:
                    self.peak = peak_megabytes(publisher)
            self.seconds = time.monotonic() - begun
            _, status, usage = os.wait4(publisher.pid, 0)
            publisher.returncode = os.waitstatus_to_exitcode(status)
            assert publisher.returncode == 0, f"pkarr-publish ended with {publisher.returncode}"
        self.count = len(receipts)
        self.processor = usage.ru_utime + usage.ru_stime
        self.nodes = sum(map(processor_seconds, nodes)) - busy
        self.sent, self.lost = (after - before for after, before in zip(datagrams(), (sent, lost)))
        self.stored = [len(receipt["dht"]["stored"]) for receipt in receipts]
        self.queries = sum(receipt["dht"]["asked"] + len(receipt["dht"]["stored"]) + len(receipt["dht"]["refused"])
                           + receipt["dht"]["silent"] for receipt in receipts)
        self.again = sum("attempts" in receipt for receipt in receipts)

    def values(self):
        return {"packets": self.count, "seconds": self.seconds, "processor_s": self.processor, "nodes_processor_s": self.nodes,
                "queries": self.queries, "datagrams": self.sent, "lost": self.lost, "peak_mb": self.peak, "tried_again": self.again,
                "stored_median": median(self.stored), "stored_least": min(self.stored)}


def peak_megabytes(process):
    """From /proc: a child's ru_maxrss begins with the size of the one it was started from."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def write(path, keys):
    with path.open("w") as file:
        for number in keys:
            file.write(json.dumps(Key(number).packet()) + "\n")
    return path


def measure(results):
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        files = {count: write(folder / str(count), range(count * 10, count * 11)) for count in (50, FEW, MANY)}
        nodes = []
        for _ in range(NODES):
            entrance = ["--bootstrap", json.loads(nodes[0].first)["dht"]] if nodes else []
            nodes.append(stack.enter_context(started(BIN / "pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", *entrance)))
        bootstrap = json.loads(nodes[NODES // 2].first)["dht"]
        # The network is there once every packet finds all the nodes that it is to be put at.
        deadline = time.monotonic() + PATIENCE
        while min(Publishing(files[50], bootstrap, nodes).stored) < WIDTH:
            assert time.monotonic() < deadline, "the network does not come together"
        few, many = (Publishing(files[count], bootstrap, nodes) for count in (FEW, MANY))
        for run in (few, many):
            results.record(**run.values())

    def growth(name, cost, unit):
        return Figure(f"{name} a packet, {MANY} against {FEW}", cost(many) / cost(few), GROWTH, " times",
                      note=f"{cost(many):.2f}{unit} against {cost(few):.2f}{unit}")

    return [
        Figure(f"{MANY} packets on {NODES} nodes", many.count / many.seconds, LEAST, " packets/s", at_least=True,
               note=f"{many.seconds:.0f} s; the nodes took {many.nodes / many.seconds:.2f} of {os.cpu_count()} processors, "
                    f"pkarr-publish {many.processor / many.seconds:.2f}; {many.again} tried again, {many.lost} datagrams lost"),
        Figure("nodes that stored a packet, the least of all", min(many.stored), WELL_STORED, "", at_least=True,
               note=f"median {median(many.stored):g}"),
        growth("processor time", lambda run: run.processor / run.count * 1000, " ms"),
        growth("queries", lambda run: run.queries / run.count, ""),
        Figure(f"memory for {MANY} packets against {FEW}", many.peak / few.peak, GROWTH, " times",
               note=f"{many.peak:.1f} MB against {few.peak:.1f} MB"),
    ]
