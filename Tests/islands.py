"""Networks that only a relay joins: two islands, and a mainland that both reach but that carries nothing between them."""
import os
import subprocess

MAINLAND, ISLANDS = "10.91.0.1", ("east", "west")


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Islands:
    """Network namespaces named after this process, so that two test runs don't meet."""

    def __init__(self):
        self.names = {name: f"kh{os.getpid()}{name}" for name in ("main", *ISLANDS)}
        for name in self.names.values():
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", self.names["main"], "addr", "add", f"{MAINLAND}/32", "dev", "lo")
        subprocess.run(self.on("main", "sysctl", "-qw", "net.ipv4.ip_forward=0"), check=True, capture_output=True)
        for number, island in enumerate(ISLANDS, 1):
            shore = f"10.91.{number}"
            ip("-n", self.names["main"], "link", "add", island, "type", "veth", "peer", "name", "sea", "netns", self.names[island])
            for namespace, device, host in (("main", island, 1), (island, "sea", 2)):
                ip("-n", self.names[namespace], "addr", "add", f"{shore}.{host}/24", "dev", device)
                ip("-n", self.names[namespace], "link", "set", device, "up")
            ip("-n", self.names[island], "route", "add", "default", "via", f"{shore}.1")

    def on(self, name, *arguments):
        """The arguments that run a program there."""
        return ["ip", "netns", "exec", self.names[name], *map(str, arguments)]

    def remove(self):
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
