"""Networks that only a relay joins: islands, and a mainland that all reach but that carries nothing between them unless it is told to."""
import os
import shutil
import subprocess
from pathlib import Path

MAINLAND, MAINLAND6 = "10.91.0.1", "fd91::1"
# What stands for both of the mainland's addresses everywhere here.
NAME = "relay.test"
# The north has IPv6 only, the others IPv4 only.
ISLANDS = {"east": "10.91.1.", "west": "10.91.2.", "north": "fd91:0:0:3::"}
EAST, WEST = "10.91.1.2", "10.91.2.2"


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Islands:
    """Network namespaces named after this process, so that two test runs don't meet."""

    def __init__(self):
        self.names = {name: f"kh{os.getpid()}{name}" for name in ("main", *ISLANDS)}
        for name in self.names.values():
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
            # Where `ip netns exec` looks for what to put in the place of a file of /etc.
            folder = Path("/etc/netns") / name
            folder.mkdir(parents=True)
            (folder / "hosts").write_text(f"127.0.0.1 localhost\n{MAINLAND} {NAME}\n{MAINLAND6} {NAME}\n")
        for address in (f"{MAINLAND}/32", f"{MAINLAND6}/128"):
            ip("-n", self.names["main"], "addr", "add", address, "dev", "lo")
        self.let_through(False)
        for island, shore in ISLANDS.items():
            length = "64" if ":" in shore else "24"
            ip("-n", self.names["main"], "link", "add", island, "type", "veth", "peer", "name", "sea", "netns", self.names[island])
            for namespace, device, host in (("main", island, 1), (island, "sea", 2)):
                # Usable at once, without asking whether somebody else has it.
                nodad = ["nodad"] if length == "64" else []
                ip("-n", self.names[namespace], "addr", "add", f"{shore}{host}/{length}", "dev", device, *nodad)
                ip("-n", self.names[namespace], "link", "set", device, "up")
            ip("-n", self.names[island], "route", "add", "default", "via", f"{shore}1")

    def on(self, name, *arguments):
        """The arguments that run a program there."""
        return ["ip", "netns", "exec", self.names[name], *map(str, arguments)]

    def let_through(self, yes):
        """Whether the mainland carries packets from island to island; what it does not carry disappears without a word."""
        subprocess.run(self.on("main", "sysctl", "-qw", f"net.ipv4.ip_forward={int(yes)}"), check=True, capture_output=True)

    def remove(self):
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
            shutil.rmtree(Path("/etc/netns") / name, ignore_errors=True)
