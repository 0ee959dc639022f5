"""An Internet in network namespaces, and the sites that are connected to it.

    host ── lan ┤router├ wan ── … ── Internet: relay, DHT node, STUN server, and addresses that a probe sends from
    host ──┘

Nothing here is connected to the machine's own network. Addresses are those kept for documentation (RFC 5737, RFC 3849), as every program
takes them for public ones; only miniupnpd knows them and refuses to open ports on them, so its router has another.
"""
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from NATLab.links import Link, Wire, limit, lose, one_at_a_time
from NATLab.namespaces import PREFIX, Namespaces, tool, wait_for
from NATLab.routers import PrefixTranslation

# Two addresses of each family to be probed from, as RFC 5780 asks of a STUN server, and one where the services are.
PROBES = {4: ("203.0.113.1", "203.0.113.2"), 6: ("2001:db8::1", "2001:db8::2")}
SERVICES = {4: "203.0.113.10", 6: "2001:db8::10"}
SERVICE_NAMES = ("relay.example", "dht.example", "stun.example")
# Where the next router is, seen from below: on each link the same.
GATEWAY = {4: "169.254.1.1", 6: "fe80::1"}
BELOW = "fe80::2"
# Routers that report every error; the kernel's limit is for a hostile world.
PROMPT = {"ipv4__icmp_ratelimit": 0, "ipv6__icmp__ratelimit": 0}
# A bridge that is a switch: rules are for what is routed.
SWITCH = {"bridge__bridge-nf-call-iptables": 0, "bridge__bridge-nf-call-ip6tables": 0}
# What every home and every carrier uses inside, so that an address of one's own network is also somebody else's.
HOME, CARRIER = "192.168.1", "100.64.0"
# A router that translates nothing has an IPv4 address only to be the next hop, and to report errors from.
ROUTED = "169.254.1.2"


def names():
    return [(name, address) for name in SERVICE_NAMES for address in SERVICES.values()]


@dataclass
class Router:
    """One router of a site as its rules need to know it."""

    namespace: object
    rules: object
    address: str
    first_host: str
    prefix: int
    subnet: int = 1


class Internet:
    """The networks; as a context they are gone at its end."""

    def __init__(self):
        self.namespaces = Namespaces()
        self.folder = tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-")
        self.sites = 0
        try:
            self.core = self.namespaces.add("internet")
            self.core.set(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1, **PROMPT)
            addresses = [*PROBES[4], *PROBES[6], *SERVICES.values()]
            self.core.ip(*(f"addr add {address}/{128 if ':' in address else 32} dev lo nodad" for address in addresses))
            self.core.names(names())
        except BaseException:
            self.remove()
            raise

    def path(self, name):
        return Path(self.folder.name, name)

    def site(self, kind, link=Link()):
        """A new site of that kind, behind whose router, where addresses are translated, there are two hosts."""
        self.sites += 1
        if self.sites > 250:
            raise ValueError("the laboratory has addresses for 250 sites")
        return Site(self, self.sites, kind, link)

    def remove(self):
        self.namespaces.remove()
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


def link(upper, port, lower, device, bridge=None):
    """A cable from a machine to one further from the Internet."""
    upper.ip(f"link add {port} type veth peer name {device} netns {lower.name}")
    if bridge:
        upper.ip(f"link set {port} master {bridge}", f"link set {port} up")
    else:
        upper.ip(*gateway(port), f"link set {port} up")
    lower.ip(f"link set {device} up")


def gateway(device, v4=GATEWAY[4]):
    """What makes a device the next hop of those below it, with the length of its prefix where they have a network in common."""
    return f"addr add {v4} dev {device}", f"addr add {GATEWAY[6]}/64 dev {device} nodad"


def connect(lower, device, v4=None, v6=None, hop=GATEWAY[4]):
    """The addresses of a machine, with the length of their prefix, and its way to the Internet; an empty v6 is a router's."""
    if v4:
        own, length = v4.split("/")
        hop = f"{hop} dev {device} onlink" if length == "32" else f"{own.rsplit('.', 1)[0]}.1"
        lower.ip(f"addr add {v4} dev {device}", f"route add default via {hop}")
    if v6 is not None:
        own = [f"addr add {v6} dev {device} nodad"] if v6 else []
        lower.ip(f"addr add {BELOW}/64 dev {device} nodad", *own, f"route add default via {GATEWAY[6]} dev {device}")


class Site:
    """What is behind one connection to the Internet: routers from the outside in, and hosts."""

    def __init__(self, internet, number, kind, link):
        self.internet, self.number, self.kind, self.link = internet, number, kind, link
        self.name = f"{number}{kind.name}"
        self.port = f"site{number}"
        self.routers, self.hosts, self.wire = [], [], None
        self.public = {4: f"{kind.network}.{number}", 6: f"2001:db8:{number:x}:1::2"}
        self.prefix = 0x2001_0DB8_0000 | number
        self.build()
        if not link.is_plain:
            self.degrade()

    def build(self):
        namespaces = self.internet.namespaces
        upper, port, bridge = self.internet.core, self.port, None
        for level, rules in enumerate(self.kind.routers):
            router = namespaces.add(f"{self.name}-router{level}")
            # The inner router of a chain is a subscriber of the outer one.
            innermost = level + 1 == len(self.kind.routers)
            outside = self.public[4] if level == 0 else f"{CARRIER}.2"
            inside = HOME if innermost else CARRIER
            self.cable(upper, port, router, "wan", bridge)
            router.ip("link add lan type bridge", "link set lan up", *gateway("lan", ROUTED if self.kind.is_routed else f"{inside}.1/24"))
            if self.kind.is_routed:
                # The public address is the host's.
                connect(router, "wan", f"{ROUTED}/32", "")
            elif 4 in self.kind.families:
                connect(router, "wan", f"{outside}/{32 if level == 0 else 24}")
            else:
                connect(router, "wan", v6="")
            router.set(**{**PROMPT, **SWITCH, **rules.settings()})
            router.names(names())
            self.routers.append(Router(router, rules, outside, f"{inside}.2", self.prefix))
            router.rules(rules.rules(self.routers[-1]))
            if rules.daemon:
                rules.daemon(self, router)
            upper, port, bridge = router, "below", "lan"
        for number in range(2 if self.routers and not self.kind.is_routed else 1):
            host = namespaces.add(f"{self.name}-host{number}")
            self.cable(upper, f"host{number}" if bridge else port, host, "eth0", bridge)
            connect(host, "eth0", self.host_address(4, number), self.host_address(6, number), ROUTED if self.kind.is_routed else GATEWAY[4])
            host.names(names())
            self.hosts.append(host)
        self.announce()
        wait_for(lambda: self.internet.core.is_up((self.port,)), f"the cable of {self.name}")
        for namespace in (*(router.namespace for router in self.routers), *self.hosts):
            wait_for(namespace.is_up, f"the network of {namespace.name}")

    def cable(self, upper, port, lower, device, bridge):
        """From the next machine towards the Internet; the one that ends there is as good as the site's link."""
        if port != self.port or not self.link.needs_wire:
            return link(upper, port, lower, device, bridge)
        between = self.internet.namespaces.add(f"{self.name}-wire")
        between.set(ipv6__conf__all__disable_ipv6=1, ipv6__conf__default__disable_ipv6=1)
        link(upper, port, between, "upper")
        between.ip(f"link add lower type veth peer name {device} netns {lower.name}", "link set lower up")
        lower.ip(f"link set {device} up")
        self.wire = Wire(self.internet, between, self.link)

    def host_address(self, family, number=0):
        """A host's own address, with the length of its prefix."""
        if family not in self.kind.families:
            return None
        if self.kind.is_routed or not self.kind.routers:
            return f"{self.public[family]}/{32 if family == 4 else 64}"
        if family == 4:
            return f"{HOME}.{2 + number}/24"
        prefix = PrefixTranslation.private << 16 | 1
        return ":".join(f"{prefix >> shift & 0xFFFF:x}" for shift in (48, 32, 16, 0)) + f"::{2 + number}/64"

    def announce(self):
        """Tells the Internet, and the router before the hosts, where this site's addresses are."""
        core = self.internet.core
        if 4 in self.kind.families:
            core.ip(f"route add {self.public[4]}/32 dev {self.port}" + (f" via {ROUTED} onlink" if self.kind.is_routed else ""))
            if self.kind.is_routed:
                self.routers[0].namespace.ip(f"route add {self.public[4]}/32 dev lan")
        if 6 in self.kind.families:
            core.ip(f"route add 2001:db8:{self.number:x}::/48 via {BELOW} dev {self.port}")
            if self.routers:
                network = self.host_address(6).rsplit("::", 1)[0] + "::/64"
                self.routers[0].namespace.ip(f"route add {network} dev lan")

    def environment(self):
        """What a program on a host needs to know of its network."""
        return {**os.environ, **{name: value for name, value in self.kind.environment}}

    def degrade(self):
        """Makes the connection to the Internet as bad as its link says."""
        core, link = self.internet.core, self.link
        lower, device = self.outermost()
        for namespace, name in ((core, self.port), (lower, device), *((host, "eth0") for host in self.hosts)):
            one_at_a_time(namespace, name)
        if link.loss:
            lose(core, self.port, link.loss, f"loss{self.number}")
        if link.rate:
            limit(core, self.port, link.rate)
            limit(lower, device, link.rate)

    def outermost(self):
        """The machine that has the connection to the Internet, and its device."""
        return (self.routers[0].namespace, "wan") if self.routers else (self.hosts[0], "eth0")

    def welcome(self, host):
        """A host leaves its network for this one, where it is one more behind the router."""
        number, router = len(self.hosts), self.routers[-1].namespace
        host.ip("link del eth0")
        self.cable(router, f"host{number}", host, "eth0", "lan")
        connect(host, "eth0", self.host_address(4, number), self.host_address(6, number))
        self.hosts.append(host)
        wait_for(host.is_up, f"the network of {host.name}")

    def go_away(self):
        """Nothing comes or goes any more, and nobody is told."""
        lose(self.internet.core, self.port, 1, f"away{self.number}")

    def come_back(self):
        tool(*self.internet.core.arguments("nft", "delete", "table", "inet", f"away{self.number}"))

    def forget_mappings(self):
        """The routers' tables are empty, as after they were restarted."""
        for router in self.routers:
            for name in router.rules.learnt:
                router.namespace.rules(f"flush {name}")
            tool(*router.namespace.arguments("conntrack", "-F"))

    def take_other_address(self, number):
        """The carrier gives the router another public IPv4 address, and the mappings of the former are gone."""
        router, former = self.routers[0], self.public[4]
        self.public[4] = router.address = f"{self.kind.network}.{number}"
        router.namespace.ip(f"addr add {router.address}/32 dev wan", f"addr del {former}/32 dev wan",
                            f"route replace default via {GATEWAY[4]} dev wan onlink")
        self.internet.core.ip(f"route del {former}/32", f"route add {router.address}/32 dev {self.port}")
        router.namespace.rules("flush ruleset\n" + router.rules.rules(router))
        tool(*router.namespace.arguments("conntrack", "-F"))
