"""Where an endpoint says that it can be reached, as its network changes."""
import hashlib
import os
import re
import signal

import pytest

from NATLab.internet import PROBES, Internet
from NATLab.kinds import KINDS
from NATLab.namespaces import wait_for
from NATLab.services import Service, environment

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make network namespaces")


# The two addresses of each family at which a STUN server answers.
STUN = [f"{address}:3478" for address in PROBES[4]] + [f"[{address}]:3478" for address in PROBES[6]]


@pytest.fixture(scope="module")
def internet():
    with Internet() as internet:
        Service(internet, internet.core, "quic-relay", "--http", "127.0.0.1:80", *options("--stun", STUN)).next()
        yield internet


def options(name, values):
    return [part for value in values for part in (name, value)]


@pytest.fixture
def listener(internet, request):
    """listener(site, option…) -> quic-listen at the site's first host"""
    started = []

    def listener(site, *options):
        secret = internet.path(f"secret-{request.node.name}-{len(started)}")
        secret.touch(0o600)
        secret.write_text(hashlib.sha256(request.node.name.encode()).hexdigest() + "\n")
        started.append(Service(internet, site.hosts[0], "quic-listen", "--key", secret, "--bind", "0.0.0.0:4433", "--bind", "[::]:4433",
                               *options, "--", "cat", tag=request.node.name, env=environment(site)))
        return started[-1]

    yield listener
    for one in started:
        one.stop()


def interface(host, name, address):
    """A device that is up and connected to something, with an address."""
    other = f"p{name}"[:15]
    host.ip(f"link add {name} type veth peer name {other}", f"link set {other} up", f"link set {name} up", f"addr add {address} dev {name}")


def test_addresses_that_come_and_go_are_announced_and_no_more_often_than_they_do(internet, listener):
    site = internet.site(KINDS["none"])
    host = site.hosts[0]
    listens = listener(site)
    own = [f"{site.public[4]}:4433", f"[{site.public[6]}]:4433"]
    assert listens.next()["addresses"] == own
    # Each address and its route is a change of its own to the kernel.
    host.ip(*(f"addr add 198.51.100.{number}/32 dev eth0" for number in (251, 252)))
    assert listens.next()["addresses"] == [own[0], "198.51.100.251:4433", "198.51.100.252:4433", own[1]]
    host.ip("link set eth0 down")
    assert listens.next()["addresses"] == []
    host.ip("link set eth0 up")
    # Its IPv6 addresses the kernel has forgotten.
    assert listens.next()["addresses"] == [own[0], "198.51.100.251:4433", "198.51.100.252:4433"]
    assert listens.rest() == []


def test_of_a_home_s_addresses_only_those_that_others_can_use_are_announced(internet, listener):
    site = internet.site(KINDS["home"])
    host = site.hosts[0]
    interface(host, "docker0", "172.17.0.1/16")
    interface(host, "br-0123456789ab", "172.18.0.1/16")
    interface(host, "wg0", "10.9.0.1/24")
    open_to_neighbours = listener(site, "--lan")
    assert open_to_neighbours.next()["addresses"] == ["192.168.1.2:4433", "10.9.0.1:4433"]
    open_to_neighbours.stop()
    assert listener(site).next()["addresses"] == []


# Seen from outside: how the NAT maps, for IPv4 and IPv6, and whether the address seen is one more than the host knows of itself.
VIEWS = [("none", "none", "none", False), ("firewall", "none", "none", False), ("home", "independent", "unknown", True),
         ("full-cone", "independent", "unknown", True), ("carrier", "independent", "unknown", True), ("symmetric", "dependent", "unknown", True),
         ("nptv6", "unknown", "independent", True), ("udp-blocked", "unknown", "unknown", False)]


def candidates(listener, condition):
    """The candidates that quic-listen says it has, once there are some of which the condition holds."""
    def last():
        lines = [line for line in listener.log.read_text().splitlines() if "candidates: " in line]
        return lines[-1].split("candidates: ")[1] if lines else ""

    wait_for(lambda: condition(last()), f"candidates in {listener.log}")
    return last()


@pytest.mark.parametrize(("kind", "mapping", "mapping6", "is_translated"), VIEWS, ids=[view[0] for view in VIEWS])
def test_stun_servers_tell_where_others_see_us_and_how_the_nat_maps(internet, listener, kind, mapping, mapping6, is_translated):
    site = internet.site(KINDS[kind])
    listens = listener(site, "--lan", "-v", *options("--stun", STUN))
    if mapping != "unknown" or mapping6 != "unknown":
        said = candidates(listens, lambda said: f"mapping {mapping}, IPv6 {mapping6}" in said)
        public = f"{site.public[4]}:" if 4 in site.kind.families else f"[2001:db8:{site.number:x}:"
        assert (f" reflexive" in said) == is_translated
        assert not is_translated or any(one.startswith(public) and one.endswith(" reflexive") for one in said.split(";")[0].split(", "))
    # What only STUN has told is not for everybody.
    assert all(address.startswith(("192.168.1.2:", f"{site.public[4]}:4433", f"[{site.public[6]}]", "[fd93:"))
               for address in listens.next()["addresses"])


def test_another_public_address_of_the_router_is_noticed(internet, listener):
    site = internet.site(KINDS["home"])
    listens = listener(site, "-v", *options("--stun", STUN))
    former = site.public[4]
    candidates(listens, lambda said: f"{former}:4433 reflexive" in said)
    site.take_other_address(249)
    candidates(listens, lambda said: f"{site.public[4]}:4433 reflexive" in said and former not in said)


def test_a_network_that_has_changed_a_lot_is_seen_as_it_is_in_the_end(internet, listener):
    """The kernel has more to tell meanwhile than it keeps for whoever does not listen (ENOBUFS, netlink(7))."""
    site = internet.site(KINDS["home"])
    host = site.hosts[0]
    listens = listener(site, "--lan", "-v", *options("--stun", STUN))
    candidates(listens, lambda said: f"{site.public[4]}:4433 reflexive, 192.168.1.2:4433 host" in said)
    listens.process.send_signal(signal.SIGSTOP)
    host.ip(*(f"addr {change} 10.0.0.{number}/32 dev eth0" for number in range(1, 250) for change in ("add", "del")),
            *(f"addr {change} 10.0.1.{number}/32 dev eth0" for number in range(1, 250) for change in ("add", "del")),
            "addr add 10.0.2.1/32 dev eth0")
    listens.process.send_signal(signal.SIGCONT)
    # What comes afterwards is told as before.
    candidates(listens, lambda said: "10.0.2.1:4433 host" in said)
    host.ip("addr flush dev eth0", "addr add 192.168.1.77/24 dev eth0", "route add default via 192.168.1.1")
    # From another port of the router, which keeps the former for the former address.
    candidates(listens, lambda said: re.match(rf"{site.public[4]}:\d+ reflexive, 192.168.1.77:4433 host;", said))
    while listens.next()["addresses"] != ["192.168.1.77:4433"]:
        pass
