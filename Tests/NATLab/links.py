"""What is wrong with a connection to the Internet: loss by nftables, rate by tbf, and all else by a program of ours, `wire`.

Linux's netem would do it too, but is no part of many kernels, and neither is NFQUEUE. A program that passes frames on between two devices
needs nothing of the kernel but packet sockets. It is written in C, since one in Python passes on a tenth of what a transfer sends.
"""
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from NATLab.namespaces import Refused, tool

MILLION = 1_000_000


@dataclass(frozen=True)
class Link:
    """How a connection to the Internet behaves, in each direction.

    `rate`: bits a second. `delay`, `jitter`: seconds; the second is added to the first in part, evenly distributed, and changes no order.
    `loss`: the share of packets that are lost. `reorder`: the share of UDP datagrams that one to eight later ones overtake; `duplicate`:
    of those that come twice; `corrupt`: of those in which a bit is another, with a UDP checksum that hides it (`fixed`) or tells of it.
    What `wire` does to the n-th datagram depends on `seed` alone.
    """

    rate: int | None = None
    delay: float = 0
    jitter: float = 0
    loss: float = 0
    reorder: float = 0
    duplicate: float = 0
    corrupt: float = 0
    fixed: bool = True
    seed: int = 1

    @property
    def needs_wire(self):
        return any((self.delay, self.jitter, self.reorder, self.duplicate, self.corrupt))

    @property
    def is_plain(self):
        return self == Link(fixed=self.fixed, seed=self.seed)


def program(folder):
    """`wire`, built where the laboratory keeps its files."""
    built = folder / "wire"
    if not built.exists():
        tool("cc", "-O2", "-Wall", "-Wextra", "-o", built, Path(__file__).with_name("wire.c"))
    return built


class Wire:
    """The program between two devices of a namespace that has no other purpose."""

    def __init__(self, internet, namespace, link):
        numbers = [link.seed, *(round(one * MILLION) for one in (link.delay, link.jitter, link.reorder, link.duplicate, link.corrupt))]
        self.log = internet.path(f"{namespace.name}.log")
        with open(self.log, "wb") as log:
            self.process = namespace.start(program(internet.path("")), "upper", "lower", *numbers, "right" if link.fixed else "wrong",
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise Refused(f"wire ended: {self.log.read_text(errors='replace').strip()}")
        return json.loads(line)

    def end(self):
        """Cuts the cable; what it has done: frames `passed`, and datagrams `reordered`, `duplicated`, `corrupted`."""
        self.process.stdin.close()
        return self.read()


def lose(core, port, share, table):
    """Loses that share of what passes a port of the Internet's, until the table of that name is deleted."""
    random = f"numgen random mod {MILLION} < {round(share * MILLION)} drop" if share < 1 else "drop"
    core.rules(f"""
table inet {table} {{
    chain lost {{
        type filter hook forward priority -10
        iifname "{port}" {random}
        oifname "{port}" {random}
    }}
    chain into {{
        type filter hook input priority -10
        iifname "{port}" {random}
    }}
    chain out {{
        type filter hook output priority -10
        oifname "{port}" {random}
    }}
}}""")


def limit(namespace, device, rate):
    """Lets a device send no more than `rate` bits a second: 10 ms of it as a burst, and a queue of 100 ms as routers of households have."""
    try:
        tool("tc", "-n", namespace.name, "qdisc", "replace", "dev", device, "root", "tbf", "rate", f"{rate}bit",
             "burst", max(3000, rate // 800), "latency", "100ms")
    except Refused as error:
        if "unknown" in str(error):
            raise Refused("this kernel has no tbf (CONFIG_NET_SCH_TBF), so that no rate can be limited") from None
        raise


def one_at_a_time(namespace, device):
    """A datagram is lost or late by itself, not with all that were handed to the kernel in the same call."""
    namespace.ip(f"link set {device} gso_max_segs 1")
