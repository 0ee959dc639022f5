"""Streams outlive what happens to networks: data flows both ways all the time, each byte is compared, and the pause is measured.

Each test has networks of its own and mostly waits, so that many may run at once. A limit is several times what was measured on an idle
machine (quic-dial(1) has those figures); what it has to tell apart is another order: a time-out of a protocol, or a new connection.
"""
import contextlib
import os
import signal
import time
from dataclasses import replace

import pytest

from NATLab.flows import Pair
from NATLab.kinds import KINDS
from NATLab.links import Link
from NATLab.namespaces import wait_for
from NATLab.routers import NAT
from NATLab.services import start_relay

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make network namespaces")
# Listener, dialler, and the path between them: a direct one, one through two holes, and a relay's that nothing else is possible beside.
DIRECT, PUNCHED, RELAYED = ("none", "home", "direct"), ("home", "home", "direct"), ("home", "udp-blocked", "relay")
paths = pytest.mark.parametrize("pair", [DIRECT, PUNCHED, RELAYED], ids=["direct", "punched", "relay"])
# Seconds. Noticed within some round trips, by a time-out of the relay's connection, or by a try that comes ever more rarely.
AT_ONCE, SOON, LATE = 2, 6, 15
# As bad as a train's wireless network.
BAD = Link(delay=0.03, jitter=0.01, loss=0.02, reorder=0.02, duplicate=0.01, corrupt=0.01)


@contextlib.contextmanager
def pair_of(pair, link=Link()):
    """The pair, when it is on its path."""
    with Pair(pair[0], pair[1], link) as joined:
        joined.path(pair[2])
        yield joined


def another_address(pair):
    """The dialling host moves within its network, as when its lease ends."""
    pair.host.ip("addr del 192.168.1.3/24 dev eth0", "addr add 192.168.1.77/24 dev eth0", "route replace default via 192.168.1.1")


def held(service, seconds):
    """Stops a command, as all are in a suspended computer, whose clocks go on."""
    service.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    service.process.send_signal(signal.SIGCONT)


def public_ports(pair):
    """Those that the dialler's router has taken for connections to the listener: where answers go, in lines of conntrack(8)."""
    lines = pair.away.routers[0].namespace.output("conntrack", "-L", "-p", "udp").splitlines()
    return {line.split("dport=")[2].split()[0] for line in lines if f"dst={pair.home.public[4]} " in line}


def away(site, seconds):
    site.go_away()
    time.sleep(seconds)
    site.come_back()


@paths
def test_a_mapping_is_lost(pair):
    """Conntrack's table is empty, as after the router was restarted; it then gives the same port again."""
    with pair_of(pair) as pair:
        pair.away.forget_mappings()
        assert pair.flow.resumes(time.monotonic()) < AT_ONCE
        pair.stays()


def test_a_router_gives_another_port():
    with Pair("none", "symmetric") as pair:
        before = public_ports(pair)
        pair.away.forget_mappings()
        assert pair.flow.resumes(time.monotonic()) < AT_ONCE
        after = public_ports(pair)
        assert before and after and not before & after
        pair.stays()


@paths
def test_the_dialler_gets_another_address(pair):
    with pair_of(pair) as pair:
        another_address(pair)
        assert pair.flow.resumes(time.monotonic()) < SOON
        pair.stays()


@paths
def test_the_diallers_router_gets_another_public_address(pair):
    with pair_of(pair) as pair:
        pair.away.take_other_address(200)
        assert pair.flow.resumes(time.monotonic()) < SOON
        pair.stays()


def test_the_listeners_router_gets_another_public_address():
    """The address that was announced leads nowhere, and the listener is not told: both find each other at the relay."""
    with Pair("forwarded", "home") as pair:
        assert pair.path("direct", "relay")["path"] == "direct"
        pair.home.take_other_address(200)
        assert pair.flow.resumes(time.monotonic()) < LATE
        pair.path("relay")
        pair.stays()


@paths
def test_the_dialler_is_suspended_for_a_minute(pair):
    with pair_of(pair) as pair:
        held(pair.dialler, 60)
        assert pair.flow.resumes(time.monotonic()) < SOON
        pair.stays()


def test_a_suspended_dialler_wakes_up_in_another_network():
    """It has another address, and the router has forgotten it."""
    with Pair("none", "home") as pair:
        pair.dialler.process.send_signal(signal.SIGSTOP)
        another_address(pair)
        time.sleep(20)
        pair.away.forget_mappings()
        pair.dialler.process.send_signal(signal.SIGCONT)
        assert pair.flow.resumes(time.monotonic()) < SOON
        pair.stays()


@paths
def test_the_listener_is_suspended_for_10_s(pair):
    with pair_of(pair) as pair:
        held(pair.listener, 10)
        assert pair.flow.resumes(time.monotonic()) < SOON
        pair.stays()


@paths
@pytest.mark.parametrize("side", ["home", "away"], ids=["listener", "dialler"])
def test_a_link_is_away_for_10_s(pair, side):
    with pair_of(pair) as pair:
        away(getattr(pair, side), 10)
        assert pair.flow.resumes(time.monotonic()) < SOON
        pair.stays()


def test_the_uplink_is_changed_from_one_family_to_the_other_and_to_both():
    with Pair("none", "none") as pair:
        host, public = pair.host, pair.away.public

        def change(*families):
            """Leaves the host addresses of these families only."""
            if has(public[4]) != (4 in families):
                host.ip(f"addr {'add' if 4 in families else 'del'} {public[4]}/32 dev eth0")
            if has(public[6]) != (6 in families):
                host.ip(f"addr {'add' if 6 in families else 'del'} {public[6]}/64 dev eth0" + (" nodad" if 6 in families else ""))
            if 4 in families:
                host.ip("route replace default via 169.254.1.1 dev eth0 onlink")
            host.ip("route replace default via fe80::1 dev eth0" if 6 in families else "route del default via fe80::1 dev eth0")
            return pair.flow.resumes(time.monotonic())

        def has(address):
            return address in host.output("ip", "addr")

        assert change(4) < SOON
        pair.flow.flows()
        assert change(6) < SOON
        pair.flow.flows()
        assert change(4, 6) < AT_ONCE
        pair.stays()


def test_the_relay_is_restarted():
    with pair_of(RELAYED) as pair:
        pair.relay.process.kill()
        pair.relay.process.wait()
        start_relay(pair.internet)
        assert pair.flow.resumes(time.monotonic()) < SOON
        pair.stays()


def test_the_relay_goes_for_good_and_a_direct_path_does_not_notice():
    with pair_of(DIRECT) as pair:
        start = time.monotonic()
        pair.relay.process.kill()
        pair.flow.flows(300)
        assert pair.flow.longest_gap(start) < AT_ONCE / 2
        pair.stays()


def test_new_holes_are_punched_when_a_router_gets_another_address():
    with pair_of(PUNCHED) as pair:
        pair.away.take_other_address(200)
        assert pair.flow.resumes(time.monotonic()) < SOON
        pair.path("relay")
        pair.path("direct")
        pair.flow.flows()
        pair.stays()


def test_a_direct_path_dies_and_comes_back():
    """To the relay within some round trips, and back while the relay's path carries on: that pause is none."""
    with Pair("none", "home") as pair:
        pair.path("direct")
        router = pair.away.routers[0].namespace
        router.rules("table inet cut { chain forward { type filter hook forward priority -10; meta l4proto udp drop; }; }")
        assert pair.flow.resumes(time.monotonic()) < SOON
        pair.path("relay")
        start = time.monotonic()
        router.rules("delete table inet cut")
        pair.path("direct")
        pair.flow.flows()
        assert pair.flow.longest_gap(start) < AT_ONCE / 2
        pair.stays()


def test_an_idle_connection_keeps_a_mapping_of_8_s():
    """A keep-alive is due each 5 s. That is well under the 30 s of the strictest routers, and here under 8, for four times as long."""
    short = KINDS["symmetric"].but(routers=(NAT(random=True, lifetime=8),))
    with Pair("none", short) as pair:
        pair.flow.finish()
        before = public_ports(pair)
        time.sleep(32)
        assert before and before == public_ports(pair)


@pytest.mark.parametrize("fixed", [True, False], ids=["hidden", "told"])
def test_a_bad_link_carries_on(fixed):
    """What is changed is found out by QUIC where the UDP checksum hides it, and by the kernel where not."""
    with pair_of(DIRECT, replace(BAD, fixed=fixed)) as pair:
        pair.flow.flows(1000)
        assert pair.flow.longest_gap(0) < AT_ONCE
        pair.stays()
        done = pair.away.wire.end()
        assert min(done["corrupted"], done["reordered"], done["duplicated"]) > 10 and not done["overflowed"]


@paths
def test_a_mapping_is_lost_on_a_bad_link(pair):
    with pair_of(pair, BAD) as pair:
        pair.away.forget_mappings()
        assert pair.flow.resumes(time.monotonic()) < SOON
        pair.stays()


def test_a_peer_that_is_gone_is_given_up():
    """Nobody waits for three minutes: after 15 s without an answer a request in flight fails, and its client is told."""
    with pair_of(DIRECT) as pair:
        start = time.monotonic()
        pair.listener.process.send_signal(signal.SIGSTOP)
        with pytest.raises(ConnectionResetError):
            pair.flow.wait(lambda: False, "the end")
        assert 15 <= time.monotonic() - start < 40
        wait_for(lambda: "no other path leads to it" in pair.dialler.log.read_text(), "a word about it")
