"""Fixtures with a network of our own: no test depends on anybody's servers."""
import socket
import time
import urllib.request

import pytest

from packets import Key, Relay


def serve(*arguments):
    """A running pkarr-serve and its addresses."""
    from conftest import Service, command  # which imports this file

    started = Service(command("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", *arguments))
    started.addresses = started.next()
    return started


def wait_until_joined(nodes):
    """Puts through each node until all nodes store, which is when all know each other."""
    from conftest import PATIENCE

    key, deadline = Key(999), time.monotonic() + PATIENCE
    for node in nodes:
        stored = 0
        while stored < len(nodes):
            assert time.monotonic() < deadline, "the network does not come together"
            request = urllib.request.Request(f"{node.addresses['http']}/{key.name}", key.payload(), method="PUT")
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                stored = int(response.headers["Pkarr-Dht-Stored-Nodes"])


@pytest.fixture(scope="session")
def network():
    """Six pkarr-serve that know each other, as a list of {"dht":…, "http":…}."""
    nodes = [serve()]
    try:
        for _ in range(5):
            nodes.append(serve("--bootstrap", nodes[0].addresses["dht"]))
        wait_until_joined(nodes)
        yield [node.addresses for node in nodes]
    finally:
        endings = [node.stop() for node in nodes]
    assert endings == [0] * len(endings), "a pkarr-serve did not end cleanly"


@pytest.fixture(scope="session")
def new_key():
    """new_key() -> a Key that no other test uses."""
    numbers = iter(range(1000, 1_000_000))
    return lambda: Key(next(numbers))


@pytest.fixture
def relay():
    """relay(answer) -> Relay, stopped when the test ends."""
    started = []

    def relay(answer):
        started.append(Relay(answer))
        return started[-1]

    yield relay
    for one in started:
        one.stop()


@pytest.fixture
def stand_ins():
    """stand_ins(items) -> StandIns, stopped when the test ends."""
    from dht_nodes import StandIns  # which needs libtorrent

    started = []

    def stand_ins(items):
        started.append(StandIns(items))
        return started[-1]

    yield stand_ins
    for one in started:
        one.stop()


@pytest.fixture
def dead_port():
    """host:port where nobody answers, over UDP or TCP: bound, so that nobody else gets it, but silent, and not listening."""
    while True:
        with socket.socket() as closed, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            closed.bind(("127.0.0.1", 0))
            try:
                silent.bind(closed.getsockname())
            except OSError:
                continue
            yield f"127.0.0.1:{closed.getsockname()[1]}"
            return
