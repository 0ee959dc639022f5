"""Every kind of network is what it says, and the probe sees it when one is not."""
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from NATLab.daemons import miniupnpd
from NATLab.internet import PROBES, Internet
from NATLab.kinds import CARRIER_GRADE, KINDS, UNRESERVED
from NATLab.links import Link
from NATLab.namespaces import MOUNTED, PREFIX
from NATLab.probe import Lie, Probe, check, mapping_ends
from NATLab.routers import NAT, PrefixTranslation

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make network namespaces")


class Masquerade(NAT):
    """What a router does that is told no more than `masquerade`."""

    def rules(self, router):
        return super().rules(router).replace("snat ip to ip saddr . udp sport map @outgoing", "masquerade")


class Isolating(NAT):
    """Keeps its hosts from each other, as the wireless networks of hotels do."""

    def settings(self):
        return {**super().settings(), "bridge__bridge-nf-call-iptables": 1}


class OneWay(PrefixTranslation):
    """Does not translate what goes back inside."""

    def rules(self, router):
        return super().rules(router).replace("meta mark set 1", "")


# A kind, what is another way there than the kind says, and what the probe has to say of it.
LIES = [
    ("home", {"routers": (NAT(random=True),)}, "mapping should be endpoint-independent and is address and port-dependent"),
    ("home", {"routers": (Masquerade(),)}, "mapping should be endpoint-independent and is address and port-dependent"),
    ("home", {"routers": (NAT(open=True),)}, "filtering should be address and port-dependent and is endpoint-independent"),
    ("home", {"routers": (NAT(hairpin=True, open=True),)}, "hairpin should be False and is True"),
    ("home", {"routers": (NAT(refused="meta l4proto udp drop"),)}, "mapping should be endpoint-independent and is blocked"),
    ("home", {"routers": (NAT(refused="meta l4proto tcp drop"),)}, "tcp should be True and is False"),
    ("home", {"routers": (NAT(daemon=miniupnpd),), "network": UNRESERVED}, "opens_ports should be False and is True"),
    ("symmetric", {"routers": (NAT(),)}, "mapping should be address and port-dependent and is endpoint-independent"),
    ("full-cone", {"routers": (NAT(),)}, "filtering should be endpoint-independent and is address and port-dependent"),
    ("full-cone", {"routers": (NAT(open=True),)}, "hairpin should be True and is False"),
    ("forwarded", {"routers": (NAT(),)}, "unasked should be True and is False"),
    ("carrier", {"routers": (CARRIER_GRADE, NAT(open=True))}, "filtering should be address and port-dependent and is endpoint-independent"),
    ("carrier", {"routers": (NAT(random=True), NAT())}, "mapping should be endpoint-independent and is address and port-dependent"),
    ("upnp", {"routers": (NAT(),)}, "opens_ports should be True and is False"),
    ("udp-blocked", {"routers": (NAT(),)}, "mapping should be blocked and is endpoint-independent"),
    ("udp-blocked", {"routers": (NAT(refused="drop"),)}, "tcp should be True and is False"),
    ("proxy", {"routers": (NAT(refused="drop"),)}, "proxied should be True and is False"),
    ("same-lan", {"routers": (NAT(open=True, hairpin=True),)}, "hairpin should be False and is True"),
    ("same-lan", {"routers": (Isolating(),)}, "neighbours should be True and is False"),
    ("nptv6", {"routers": (OneWay(),)}, "hairpin should be True and is False"),
    ("firewall", {"routers": (), "is_routed": False}, "filtering should be address and port-dependent and is endpoint-independent"),
]


@pytest.fixture(scope="module")
def internet():
    with Internet() as internet:
        yield internet


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_what_it_says(internet, name):
    check(internet.site(KINDS[name]))


@pytest.mark.parametrize(("name", "changes", "word"), LIES, ids=[f"{name}-{number}" for number, (name, _, _) in enumerate(LIES)])
def test_a_kind_that_lies_is_found_out(internet, name, changes, word):
    with pytest.raises(Lie, match=word):
        check(internet.site(KINDS[name].but(**changes)))


def test_prefixes_are_translated_as_in_the_standard_s_example():
    """RFC 6296, the example of prefixes of 48 bits: FD01:0203:0405:0001::1234, 2001:0DB8:0001:D550::1234."""
    assert PrefixTranslation.translated(0xFD01_0203_0405, 0x0001, 0x2001_0DB8_0001) == 0x2001_0DB8_0001_D550
    assert PrefixTranslation.translated(0x2001_0DB8_0001, 0xD550, 0xFD01_0203_0405) == 0xFD01_0203_0405_0001


def test_two_sites_with_the_same_addresses_are_two_networks(internet):
    one, other = internet.site(KINDS["home"]), internet.site(KINDS["home"])
    assert one.host_address(4) == other.host_address(4)
    with Probe(one, 4) as here, Probe(other, 4, here) as there:
        host = there.host()
        assert here.arrives(here.host(), (one.host_address(4).split("/")[0], host.getsockname()[1]), host) is None


def test_punching_a_hole_between_two_homes_works_and_to_a_symmetric_one_does_not(internet):
    """Each sends to where a server saw the other: the first is lost or opens the way, the second passes, or nothing does."""

    def punched(first, second):
        with Probe(internet.site(KINDS[first]), 4) as here, Probe(internet.site(KINDS[second]), 4, here) as there:
            one, other = here.host(), there.host()
            one_seen, other_seen = here.seen(one), there.seen(other)
            here.arrives(one, other_seen, other)
            return there.arrives(other, one_seen, one) is not None and here.arrives(one, other_seen, other) is not None

    assert punched("home", "home")
    assert punched("carrier", "home")
    assert not punched("home", "symmetric")
    assert not punched("symmetric", "symmetric")


def test_a_mapping_lives_as_long_as_it_says_and_no_longer(internet):
    assert mapping_ends(internet.site(KINDS["home"].but(routers=(NAT(lifetime=2),))), 2)


def test_a_mapping_that_lives_longer_is_found_out(internet):
    assert not mapping_ends(internet.site(KINDS["home"].but(routers=(NAT(lifetime=5),))), 1)


def test_a_port_is_opened_by_upnp_too(internet):
    site = internet.site(KINDS["upnp"])
    with Probe(site, 4) as probe:
        host = probe.host()
        port = str(host.getsockname()[1])
        said = subprocess.run(site.hosts[0].arguments("upnpc", "-a", "192.168.1.2", port, "7777", "UDP"), capture_output=True, text=True)
        assert f"external {site.public[4]}:7777 UDP is redirected to internal 192.168.1.2:{port}" in said.stdout
        assert probe.arrives(probe.servers[1, 1], (site.public[4], 7777), host)


def test_as_many_datagrams_are_lost_as_was_asked_for(internet):
    site = internet.site(KINDS["home"], Link(loss=0.1))
    with Probe(site, 4) as probe:
        host, sent = probe.host(), 2000
        arrived = sum(probe.seen(host) is not None for _ in range(sent))
    # Binomial: six standard deviations are 80.
    assert abs(sent * 0.9 - arrived) < 80


def test_bytes_come_no_faster_than_was_asked_for(internet):
    site = internet.site(KINDS["home"], Link(rate=8_000_000))
    with internet.core.inside():
        server = socket.create_server((PROBES[4][0], 7000))
    with site.hosts[0].inside():
        client = socket.create_connection((PROBES[4][0], 7000), 60)
    with server, client, server.accept()[0] as other:
        start, left = time.monotonic(), 1_000_000
        threading.Thread(target=other.sendall, args=(bytes(left),), daemon=True).start()
        while left:
            left -= len(client.recv(left))
    # A second, less what passes as the first burst.
    assert time.monotonic() - start > 0.9


def test_nothing_is_left_behind_even_after_a_failure():
    with pytest.raises(ZeroDivisionError), Internet() as internet:
        internet.site(KINDS["upnp"])
        prefix, folder = internet.namespaces.prefix, internet.folder.name
        assert any(path.name.startswith(prefix) for path in MOUNTED.iterdir())
        1 / 0
    assert not any(path.name.startswith(prefix) for path in MOUNTED.iterdir())
    assert not os.path.exists(folder)
    assert not subprocess.run(["pgrep", "-f", folder], capture_output=True).stdout


def test_what_a_killed_run_has_left_behind_the_next_one_removes():
    code = "import sys, time; sys.path.insert(0, sys.argv[1]); from NATLab.internet import Internet; i = Internet(); " \
        "i.core.start('sleep', '1000', stdout=-3); print(i.folder.name, flush=True); time.sleep(1000)"
    killed = subprocess.Popen([sys.executable, "-c", code, str(Path(__file__).parent.parent)], stdout=subprocess.PIPE, text=True)
    folder = killed.stdout.readline().strip()
    killed.kill()
    killed.communicate()
    left = f"{PREFIX}{killed.pid}-"
    assert any(path.name.startswith(left) for path in MOUNTED.iterdir()) and os.path.exists(folder)
    with Internet():
        assert not any(path.name.startswith(left) for path in MOUNTED.iterdir())
        assert not os.path.exists(folder)
