"""A link is as bad as it was asked to be, and no worse."""
import os
import socket
import statistics
import struct
import threading
import time

import pytest

from NATLab.internet import PROBES, Internet
from NATLab.kinds import KINDS
from NATLab.links import Link, limit
from NATLab.namespaces import PATIENCE, Refused

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make network namespaces")
# Datagrams of a test, and those sent behind them so that none of the first is still held back when the last of these is there.
COUNT, BEHIND = 4000, 16


@pytest.fixture(scope="module")
def internet():
    with Internet() as internet:
        yield internet


class Sent:
    """Numbered datagrams from a host with that link to the Internet: what arrived there, in order, with how many seconds it took."""

    def __init__(self, internet, link, count=COUNT):
        self.site = internet.site(KINDS["none"], link)
        with internet.core.inside():
            receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with self.site.hosts[0].inside():
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with receiver, sender:
            receiver.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
            receiver.settimeout(PATIENCE)
            receiver.bind((PROBES[4][0], 0))
            sender.connect(receiver.getsockname())
            self.numbers, self.sent, self.took, self.harmed = [], [], [], 0
            # The first one makes the machines find each other, during which few packets may wait.
            sender.send(self.datagram(count))
            receiver.recv(2000)
            # So few at a time that no queue is ever full; the last ones are counted by none.
            for number in range(count + BEHIND):
                self.sent.append(time.monotonic())
                sender.send(self.datagram(number))
                if number % 64 == 0:
                    receiver.setblocking(False)
                    self.read(receiver, count)
            receiver.settimeout(PATIENCE)
            while len(self.ends) < BEHIND - 8:
                self.take(receiver.recv(2000), count)
        self.done = self.site.wire.end()

    ends = ()

    @staticmethod
    def datagram(number):
        return struct.pack(">QQ", number, number) + bytes(84)

    def read(self, receiver, count):
        try:
            while True:
                self.take(receiver.recv(2000), count)
        except BlockingIOError:
            pass

    def take(self, data, count):
        number = struct.unpack(">Q", data[:8])[0]
        if data != self.datagram(number):
            self.harmed += 1
        elif number >= count:
            self.ends = {*self.ends, number}
        else:
            self.numbers.append(number)
            self.took.append(time.monotonic() - self.sent[number])


def is_about(found, share, count=COUNT):
    """Within six standard deviations of a binomial distribution."""
    return abs(found - share * count) <= 6 * (count * share * (1 - share)) ** 0.5


def test_datagrams_take_as_long_as_was_asked_for_and_keep_their_order(internet):
    sent = Sent(internet, Link(delay=0.05, jitter=0.02))
    assert sent.numbers == list(range(COUNT))
    assert min(sent.took) >= 0.05
    # Those that find the link empty are evenly spread over the jitter; a busy machine adds to that and takes nothing away.
    assert sorted(sent.took)[COUNT // 10] < 0.09
    assert statistics.pstdev(sent.took) > 0.0005


def test_as_many_are_overtaken_as_was_asked_for(internet):
    sent = Sent(internet, Link(reorder=0.1))
    assert sorted(sent.numbers) == list(range(COUNT))
    overtaken, highest = 0, -1
    for number in sent.numbers:
        overtaken += number < highest
        highest = max(highest, number)
    assert is_about(sent.done["reordered"], 0.1, COUNT + BEHIND)
    # One that waits for others that wait too may not be overtaken after all.
    assert 0.9 * sent.done["reordered"] - BEHIND <= overtaken <= sent.done["reordered"]


def test_as_many_come_twice_as_was_asked_for(internet):
    sent = Sent(internet, Link(duplicate=0.1))
    assert set(sent.numbers) == set(range(COUNT))
    assert is_about(len(sent.numbers) - COUNT, 0.1)


def test_as_many_are_changed_as_was_asked_for_and_the_checksum_hides_it(internet):
    sent = Sent(internet, Link(corrupt=0.1))
    assert is_about(sent.harmed, 0.1, COUNT + BEHIND)
    # Some of the last may not have been waited for.
    assert sent.harmed <= sent.done["corrupted"] <= sent.harmed + BEHIND


def test_a_checksum_that_tells_of_it_loses_what_is_changed(internet):
    sent = Sent(internet, Link(corrupt=0.1, fixed=False))
    assert sent.harmed == 0
    assert is_about(COUNT - len(sent.numbers), 0.1)


def test_what_becomes_of_each_datagram_is_decided_by_the_seed(internet):
    link = Link(reorder=0.1, duplicate=0.1, corrupt=0.05, fixed=False, seed=7)
    one, other = Sent(internet, link, 1000), Sent(internet, link, 1000)
    assert one.numbers == other.numbers
    assert Sent(internet, Link(reorder=0.1, duplicate=0.1, corrupt=0.05, fixed=False, seed=8), 1000).numbers != one.numbers


@pytest.mark.parametrize("name", ["home", "firewall", "nptv6"])
def test_a_kind_of_network_is_the_same_with_a_cable_in_between(internet, name):
    """TCP and both families pass, with checksums that the devices leave to each other: a connection from each host and back."""
    site = internet.site(KINDS[name], Link(delay=0.001))
    for family in site.kind.families:
        with internet.core.inside():
            server = socket.create_server((PROBES[family][0], 7000), family=socket.AF_INET6 if family == 6 else socket.AF_INET)
        with site.hosts[0].inside():
            client = socket.create_connection((PROBES[family][0], 7000), PATIENCE)
        with server, client, server.accept()[0] as other:
            data = os.urandom(1 << 20)
            client.setblocking(True)
            threading.Thread(target=client.sendall, args=(data,), daemon=True).start()
            got = bytearray()
            while len(got) < len(data):
                got += other.recv(1 << 16)
        assert got == data


def test_a_kernel_that_can_t_limit_a_rate_is_named(internet, monkeypatch):
    def refuse(*_, **__):
        raise Refused("tc qdisc replace: Error: Specified qdisc kind is unknown.")

    monkeypatch.setattr("NATLab.links.tool", refuse)
    with pytest.raises(Refused, match="this kernel has no tbf"):
        limit(internet.core, "lo", 1_000_000)
