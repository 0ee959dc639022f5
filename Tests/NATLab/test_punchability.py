"""What the networks of each pair of kinds allow, found out with plain sockets, is what the expectations say."""
import os

import pytest

from NATLab.expectations import punchable
from NATLab.kinds import FORWARDED_PORT, KINDS
from NATLab.pairs import Sites
from NATLab.probe import Probe

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make network namespaces")


@pytest.fixture(scope="module")
def sites():
    with Sites(KINDS, KINDS) as sites:
        yield sites


class End:
    """A socket at a site, and each address at which others might reach it."""

    def __init__(self, probe, number, port=0):
        site, family = probe.site, probe.family
        self.probe, self.socket = probe, probe.host(port, number)
        self.addresses = [(site.host_address(family, number).split("/")[0], self.socket.getsockname()[1])]
        if seen := probe.seen(self.socket):
            self.addresses.append(seen)
        if port:
            self.addresses.append((site.public[4], port))
        if site.kind.behaviour.opens_ports and (opened := probe.opened(self.socket, number)):
            self.addresses.append((site.public[4], opened))


def answered(sender, receiver):
    """Whether a datagram gets to one of the addresses of the other, and the answer to where it came from."""
    for address in receiver.addresses:
        source = sender.probe.arrives(sender.socket, address, receiver.socket)
        if source and receiver.probe.arrives(receiver.socket, source, sender.socket):
            return True
    return False


def punched(home, away, family):
    """Both send to all they know of each other, and again when that has opened whatever it can; nobody does better without guessing."""
    with Probe(home, family) as here, Probe(away, family, here) as there:
        one = End(here, 0, FORWARDED_PORT if "--address" in home.kind.options else 0)
        other = End(there, len(away.hosts) - 1)
        return any([answered(*ends) for ends in ((one, other), (other, one)) * 2])


@pytest.mark.parametrize("dialler", KINDS)
@pytest.mark.parametrize("listener", KINDS)
def test_the_networks_of_a_pair_let_through_what_is_expected_of_them(sites, listener, dialler):
    home, away = sites.listeners[listener], sites.diallers[dialler]
    common = set(home.kind.families) & set(away.kind.families)
    found = [punched(home, away, family) for family in sorted(common)]
    # Whatever is so in one family is so in the other: no kind treats them differently.
    assert set(found) <= {punchable(home.kind, away.kind)}
    assert found or not punchable(home.kind, away.kind)
