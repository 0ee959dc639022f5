"""Finds out what a site really does to packets, in the manner of RFC 5780, so that no test relies on a NAT that is another than it says.

A probe opens sockets on a host and at two addresses and two ports each of the Internet, and looks which datagrams arrive where, and from
which address. What does not arrive is as much of a finding as what does. Nothing waits for it, though: the kernel carries packets between
namespaces through one queue for each processor, in order, and a packet that is put in at the end of it after another comes out after that
one. So the probe keeps to one processor, and after as many datagrams of its own through the queue as a packet needs turns to reach the
other end of the longest path, all that will ever arrive has arrived.
"""
import contextlib
import itertools
import os
import socket
import struct
import time

from NATLab.behaviour import ADDRESS, ADDRESS_AND_PORT, BLOCKED, INDEPENDENT, UNTRANSLATED, Behaviour
from NATLab.daemons import LAN, PROXY_PORT
from NATLab.internet import PROBES
from NATLab.namespaces import PATIENCE

PORTS = 3478, 3479
# A path has at most two routers, each with a bridge: eight devices there and eight back, and an address to be resolved before each.
TURNS = 64
NAT_PMP = 5351
IP_RECVERR = 11  # <linux/in.h>: errors that a router reports are told even where a datagram's sender may ignore them
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


class Lie(Exception):
    """A site that is not what its kind says."""


def check(site):
    """Raises Lie unless the site behaves as its kind says."""
    for family in site.kind.families:
        found = probe(site, family)
        if wrong := site.kind.behaviour.differences(found):
            raise Lie(f"{site.kind.name} (IPv{family}): {'; '.join(wrong)}")


def probe(site, family):
    """The behaviour of a site towards its first host."""
    with Probe(site, family) as probe:
        mapping = probe.mapping()
        passes = mapping != BLOCKED
        translates = passes and mapping != UNTRANSLATED
        behaviour = Behaviour(
            mapping=mapping, filtering=probe.filtering() if passes else BLOCKED, unasked=probe.unasked(),
            hairpin=probe.hairpin() if translates else None, neighbours=probe.neighbours(), tcp=probe.tcp())
        if family == 4:
            proxied = probe.through_proxy(443) and not probe.through_proxy(8443)
            behaviour = behaviour.but(proxied=proxied, opens_ports=probe.opens_ports())
    return behaviour


class Probe:
    """The sockets of one probe, which may share the Internet's with another probe."""

    def __init__(self, site, family, other=None):
        self.site, self.family, self.other = site, family, other
        self.tokens = (b"%d %d" % (id(self), number) for number in itertools.count())
        self.sockets = contextlib.ExitStack()

    def __enter__(self):
        self.processors = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(self.processors)})
        core = self.site.internet.core
        four = [(address, port) for address in (0, 1) for port in (0, 1)]
        self.servers = self.other.servers if self.other else {one: self.open(core, *self.at(one)) for one in four}
        self.queue = self.open(core, "127.0.0.1")
        self.queue.setblocking(True)
        return self

    def __exit__(self, *_):
        self.sockets.close()
        os.sched_setaffinity(0, self.processors)

    def open(self, namespace, address="", port=0, kind=socket.SOCK_DGRAM):
        with namespace.inside():
            one = socket.socket(FAMILY[6 if ":" in address else 4 if address else self.family], kind)
        self.sockets.enter_context(one)
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((address, port))
        return one

    def host(self, port=0, number=0):
        return self.open(self.site.hosts[number], port=port)

    def settle(self):
        """Until every packet that is under way has arrived or is lost."""
        for _ in range(TURNS):
            self.queue.sendto(b"", self.queue.getsockname())
            self.queue.recv(1)

    def arrives(self, sender, address, receiver):
        """Whether one datagram arrives, and from where: the sender's address as the receiver sees it, or None."""
        token = next(self.tokens)
        with contextlib.suppress(OSError):  # what the kernel was told by ICMP of an earlier one
            sender.sendto(token, address)
        self.settle()
        seen = None
        with contextlib.suppress(OSError):
            while True:
                data, source = receiver.recvfrom(100)
                if data == token:
                    seen = source[:2]
        return seen

    def at(self, server):
        """The address of one of the four servers."""
        return PROBES[self.family][server[0]], PORTS[server[1]]

    def seen(self, host, server=(0, 0)):
        """The address that a server sees of a host's socket."""
        return self.arrives(host, self.at(server), self.servers[server])

    def mapping(self):
        """RFC 5780, section 4.3, with all four servers: a NAT that looks at ports may still look at addresses less."""
        host = self.host()
        first = self.seen(host)
        if first is None:
            return BLOCKED
        own = self.site.host_address(self.family).split("/")[0], host.getsockname()[1]
        other_port, other_address, both = (self.seen(host, server) for server in ((0, 1), (1, 0), (1, 1)))
        if first == own:
            return UNTRANSLATED if {first} == {other_port, other_address, both} else "now and then"
        if {first} == {other_port, other_address, both}:
            return self.mapping_of_two_hosts()
        return ADDRESS if first == other_port and other_address == both else ADDRESS_AND_PORT

    def mapping_of_two_hosts(self):
        """Whether it stays so when two hosts use the same port, towards different servers first: a NAT that keeps ports where it can need
        not decide anything until then."""
        host = self.host()
        other = self.host(host.getsockname()[1], number=1)
        mapped = self.seen(host), self.seen(other, (1, 1))
        again = self.seen(host, (1, 1)), self.seen(other)
        return INDEPENDENT if mapped == again and mapped[0] != mapped[1] else ADDRESS_AND_PORT

    def filtering(self):
        """RFC 5780, section 4.4: who may answer a socket that has sent to one server only."""
        host = self.host()
        mapped = self.seen(host)
        if not self.arrives(self.servers[0, 0], mapped, host):
            return BLOCKED
        # The strictest first, since a NAT may take what it has let through for a reason to let more through.
        if self.arrives(self.servers[1, 1], mapped, host):
            return INDEPENDENT
        return ADDRESS if self.arrives(self.servers[0, 1], mapped, host) else ADDRESS_AND_PORT

    def unasked(self):
        """Whether a socket that has never sent anything can be sent to."""
        from NATLab.kinds import FORWARDED_PORT  # which imports what a behaviour is

        host = self.host(FORWARDED_PORT)
        return self.arrives(self.servers[1, 0], (self.public(), FORWARDED_PORT), host) is not None

    def public(self):
        """The address by which the Internet knows the first host."""
        if self.family == 4 or not self.site.routers or self.site.kind.is_routed:
            return self.site.public[self.family]
        seen = self.seen(self.host())
        return seen[0] if seen else self.site.public[6]

    def hairpin(self):
        """RFC 4787, section 6: a datagram from inside to the public address of another socket inside, from the sender's public address."""
        one, other = self.host(), self.host(number=len(self.site.hosts) - 1)
        source, destination = self.seen(one), self.seen(other)
        return None not in (source, destination) and self.arrives(one, destination, other) == source

    def neighbours(self):
        """Whether two hosts of one network meet without the router."""
        if len(self.site.hosts) < 2:
            return None
        host = self.host()
        address = self.site.host_address(self.family).split("/")[0], host.getsockname()[1]
        return self.arrives(self.host(number=1), address, host) is not None

    def tcp(self):
        """Whether a connection to the Internet comes about."""
        self.listener(PORTS[0])
        return self.connection(self.at((0, 0))) is not None

    def listener(self, port):
        self.open(self.site.internet.core, PROBES[self.family][0], port, socket.SOCK_STREAM).listen(1)

    def connection(self, address):
        """A connection from the first host, if it comes about; the kernels at both ends see to that by themselves."""
        client = self.open(self.site.hosts[0], kind=socket.SOCK_STREAM)
        with contextlib.suppress(OSError):
            client.connect(address)
        self.settle()
        with contextlib.suppress(OSError):
            client.getpeername()
            client.settimeout(PATIENCE)
            return client
        return None

    def through_proxy(self, port):
        """Whether an HTTP proxy on the router makes a connection to that port of the Internet."""
        client = self.connection((LAN, PROXY_PORT))
        if not client:
            return False
        self.listener(port)
        target = f"{PROBES[4][0]}:{port}"
        client.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        return client.recv(1000).split(b" ", 2)[1:2] == [b"200"]

    def opens_ports(self):
        """Whether the router opens a port that can then be reached by anybody."""
        host = self.host()
        port = self.opened(host)
        return port is not None and bool(self.arrives(self.servers[1, 1], (self.site.public[4], port), host))

    def opened(self, host, number=0):
        """The public port that the router opens for the socket of a host by NAT-PMP (RFC 6886, section 3.3), if it does."""
        client = self.host(number=number)
        client.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        client.connect((LAN, NAT_PMP))
        port = host.getsockname()[1]
        client.send(struct.pack(">BBHHHI", 0, 1, 0, port, port, 3600))
        self.settle()
        # No error has come, so there is somebody to wait for.
        client.settimeout(PATIENCE)
        try:
            version, operation, result, _, _, public, _ = struct.unpack(">BBHIHHI", client.recv(100))
        except OSError:
            return None
        return public if (version, operation, result) == (0, 129, 0) else None


def mapping_ends(site, lifetime):
    """Whether a mapping is still there in the middle of its lifetime, and no more when it has been left alone for longer than that.

    This one has to wait, since time is what it measures.
    """
    with Probe(site, 4) as probe:
        alive = None
        while alive is None:
            host = probe.host()
            start = time.monotonic()
            mapped = probe.seen(host)
            time.sleep(lifetime / 2)
            arrived = probe.arrives(probe.servers[0, 0], mapped, host) is not None
            # A machine that was held up in between says nothing.
            if time.monotonic() < start + lifetime:
                alive = arrived
        time.sleep(lifetime * 1.5)
        return alive and probe.arrives(probe.servers[0, 0], mapped, host) is None
