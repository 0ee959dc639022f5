"""A router sends on what comes to a port of it, as long as that is wanted."""
import hashlib
import os
import re
import socket
import subprocess

import pytest

from NATLab.daemons import miniupnpd
from NATLab.internet import Internet
from NATLab.kinds import CARRIER_GRADE, KINDS, UNRESERVED
from NATLab.namespaces import wait_for
from NATLab.probe import Probe
from NATLab.routers import NAT
from NATLab.services import Service, environment

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make network namespaces")
PROTOCOLS = ["pcp", "natpmp", "upnp"]


@pytest.fixture(scope="module")
def internet():
    with Internet() as internet:
        yield internet


@pytest.fixture
def site(internet):
    return internet.site(KINDS["upnp"])


@pytest.fixture
def run(internet, request):
    """run(site, command, option…) -> the command at the site's first host"""
    started = []

    def run(site, name, *options):
        started.append(Service(internet, site.hosts[0], name, *options, tag=request.node.name, env=environment(site), stdin=subprocess.PIPE))
        return started[-1]

    yield run
    for one in started:
        one.stop()


@pytest.fixture
def probe(site):
    """A host's UDP socket, and servers on the Internet that may send to it unasked."""
    with Probe(site, 4) as probe:
        yield probe


def mapping(site, port, external, way):
    return {"mapped": {"internal": f"192.168.1.2:{port}", "external": f"{site.public[4]}:{external}", "protocol": way, "lifetime": 7200}}


def opened(site):
    """The ports that the router has opened, as its rules have them."""
    return site.routers[0].namespace.output("nft", "list", "chain", "inet", "opened", "destinations").count("dnat")


def restart(site):
    """The router's program begins anew, and knows nothing of what was before."""
    router = site.routers[0].namespace
    router.processes[-1].kill()
    router.processes[-1].wait()
    router.rules("delete table inet opened")
    miniupnpd(site, router)


@pytest.mark.parametrize("end", ["SIGTERM", "the end of its input"])
@pytest.mark.parametrize("way", PROTOCOLS)
def test_what_comes_to_a_mapped_port_arrives_until_it_is_given_back(site, run, probe, way, end):
    host = probe.host()
    port = host.getsockname()[1]
    mapper = run(site, "port-map", "--udp", port, "--protocol", way)
    assert mapper.next() == mapping(site, port, port, way)
    assert probe.arrives(probe.servers[1, 1], (site.public[4], port), host)
    if end == "SIGTERM":
        mapper.process.terminate()
    else:
        mapper.process.stdin.close()
    assert mapper.next() == {"unmapped": {"port": port, "external": f"{site.public[4]}:{port}"}, "reason": "given back"}
    assert mapper.process.wait(60) == 0
    assert not opened(site)


def test_the_first_protocol_that_the_router_speaks_is_used_for_all_ports(site, run):
    mapper = run(site, "port-map", "--udp", 4433, "--udp", 4434)
    assert [mapper.next(), mapper.next()] == [mapping(site, port, port, "pcp") for port in (4433, 4434)]


def test_another_port_is_taken_where_a_neighbour_has_the_one_that_is_wanted(site, run):
    site.hosts[1].output("upnpc", "-a", "192.168.1.3", 4433, 4433, "UDP")
    for way in PROTOCOLS:
        mapped = run(site, "port-map", "--udp", 4433, "--protocol", way).next()["mapped"]
        assert mapped["external"].startswith(f"{site.public[4]}:") and not mapped["external"].endswith(":4433")


@pytest.mark.parametrize("way", PROTOCOLS)
def test_a_router_that_has_restarted_is_asked_again(site, run, probe, way):
    host = probe.host()
    port = host.getsockname()[1]
    mapper = run(site, "port-map", "--udp", port, "--protocol", way, "--every", "1s")
    mapper.next()
    restart(site)
    wait_for(lambda: opened(site), "the mapping that the router has forgotten")
    assert probe.arrives(probe.servers[1, 1], (site.public[4], port), host)


@pytest.mark.parametrize("way", PROTOCOLS)
def test_another_address_of_the_router_is_noticed(site, run, way):
    mapper = run(site, "port-map", "--udp", 4433, "--protocol", way, "--every", "1s")
    mapper.next()
    site.take_other_address(240 + PROTOCOLS.index(way))
    router = site.routers[0].namespace
    router.rules("table inet opened {}")
    restart(site)
    assert mapper.next() == mapping(site, 4433, 4433, way)


def test_a_host_whose_address_changes_has_its_port_mapped_anew(site, run):
    mapper = run(site, "port-map", "--udp", 4433, "--every", "1h")
    mapper.next()
    site.hosts[0].ip("addr del 192.168.1.2/24 dev eth0", "addr add 192.168.1.77/24 dev eth0", "route add default via 192.168.1.1")
    assert mapper.next()["mapped"]["internal"] == "192.168.1.77:4433"


@pytest.mark.parametrize(("kind", "reason"), [("home", "pcp: not spoken by the router; "), ("none", "is a public address already")])
def test_where_nothing_can_be_mapped_the_reason_is_told(internet, run, kind, reason):
    line = run(internet.site(KINDS[kind]), "port-map", "--udp", 4433).next()
    assert line["unmapped"] == {"port": 4433, "external": None} and reason in line["reason"]


@pytest.mark.parametrize("kind", ["upnp", "home"])
def test_a_look_tells_what_the_router_speaks_and_opens_nothing(internet, run, kind):
    site = internet.site(KINDS[kind])
    looks = run(site, "port-map", "--look")
    speaks = kind == "upnp"
    for way in PROTOCOLS:
        line = looks.next()
        assert (line["router"], line["protocol"], line["spoken"]) == ("192.168.1.1", way, speaks)
        assert line["external"] == (site.public[4] if speaks and way != "pcp" else None)
        assert (line["reason"] is None) == speaks
    assert looks.process.wait(60) == (0 if speaks else 69)
    assert not speaks or not opened(site)


def test_a_router_behind_another_nat_is_not_relied_on(internet, run):
    site = internet.site(KINDS["carrier"].but(routers=(CARRIER_GRADE, NAT(daemon=miniupnpd)), network=UNRESERVED))
    assert run(site, "port-map", "--udp", 4433).next()["unmapped"] == {"port": 4433, "external": None}


def test_a_neighbour_that_says_it_is_the_router_is_not_asked(internet, run):
    """UPnP searches by multicast, and anybody may answer (UPnP Device Architecture 1.1, section 1.3)."""
    site = internet.site(KINDS["home"])
    with site.hosts[1].inside(), socket.create_server(("192.168.1.3", 0)) as server:
        searches = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        searches.bind(("239.255.255.250", 1900))
        searches.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.255.255.250") + socket.inet_aton("192.168.1.3"))
        searches.settimeout(60)
        server.settimeout(0)
        mapper = run(site, "port-map", "--udp", 4433, "--protocol", "upnp")
        with searches:
            search, asker = searches.recvfrom(1500)
            target = re.search(rb"ST: *([^\r]*)", search)[1]
            searches.sendto(b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: " + target + b"\r\nUSN: uuid:1::" + target +
                            b"\r\nLOCATION: http://192.168.1.3:%d/desc.xml\r\n\r\n" % server.getsockname()[1], asker)
        assert mapper.next() == {"unmapped": {"port": 4433, "external": None}, "reason": "upnp: not spoken by the router"}
        # The search is over, and nobody has come for the description.
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_listener_announces_the_mapped_address_and_leaves_nothing_behind_when_it_is_killed(internet, site, run):
    secret = internet.path("mapped-secret")
    secret.touch(0o600)
    secret.write_text(hashlib.sha256(b"mapped").hexdigest() + "\n")
    options = ("--key", secret, "--bind", "0.0.0.0:4433", "--no-relays")
    listener = run(site, "quic-listen", *options, "--", "cat")
    assert listener.next()["addresses"] == []
    assert listener.next()["addresses"] == [f"{site.public[4]}:4433"]
    listener.process.kill()
    wait_for(lambda: not opened(site), "the mapping to be given back")
    other = run(site, "quic-listen", *options, "--no-port-map", "--", "cat")
    assert other.next()["addresses"] == []
    assert other.rest() == []
