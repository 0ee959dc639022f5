"""Fixtures that put the tunnel's commands and the real iroh on islands that only a relay joins.

A test file that imports these by name has quic-relay on the mainland, whatever listens in the east and whatever dials in the west; the
bridges stay here and are reached all the same, because their sockets are files.
"""
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from conftest import PATIENCE, Finished, Service, command
from islands import EAST, MAINLAND, Islands
from packets import zbase32

PEERS = Path(__file__).parent / "Interop" / "peers"
URL = f"http://{MAINLAND}:3340/"


def peer(name, *arguments):
    return [sys.executable, str(PEERS / f"{name}.py"), *map(str, arguments)]


@contextlib.contextmanager
def inhabited():
    """Islands for as long as they are needed."""
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    islands = Islands()
    yield islands
    islands.remove()


@pytest.fixture(scope="module")
def islands():
    with inhabited() as islands:
        yield islands


@pytest.fixture(autouse=True)
def apart(islands):
    """Every test begins with islands that don't reach each other."""
    yield
    islands.let_through(False)


@pytest.fixture
def places():
    """Where each command runs; what is not named runs here."""
    return {"quic-relay": "main", "quic-listen": "east", "quic-dial": "west"}


@pytest.fixture
def placed(islands, places):
    """placed(command, option…) -> the arguments that run it where it belongs"""

    def placed(name, *arguments):
        return islands.on(places[name], *command(name, *arguments)) if name in places else command(name, *arguments)

    return placed


@pytest.fixture
def started():
    services = []
    yield services
    for one in services:
        one.remove()


@pytest.fixture
def service(placed, started):
    def service(name, *arguments, **options):
        started.append(Service(placed(name, *arguments), **options))
        return started[-1]

    return service


@pytest.fixture
def run(placed):
    def run(name, *arguments, input=b"", env=None):
        return Finished(subprocess.run(
            placed(name, *arguments), input=input, capture_output=True, timeout=PATIENCE, env={**os.environ, **(env or {})}))

    return run


@pytest.fixture
def relay(service):
    """relay(option…) -> quic-relay on the mainland"""

    def relay(*arguments):
        one = service("quic-relay", "--http", f"{MAINLAND}:3340", "-v", *arguments)
        assert one.next() == {"http": [URL.rstrip("/")]}
        return one

    return relay


@pytest.fixture
def server(islands, started):
    """server(option…) -> an iroh server in the east, online"""

    def server(*arguments):
        one = Service(islands.on("east", *peer("iroh_server", "--bind", "0.0.0.0:0", "--relay", URL, *arguments)))
        started.append(one)
        ready = one.next()
        one.id, one.port = ready["id"], ready["address"].rsplit(":", 1)[1]
        one.name = zbase32(bytes.fromhex(one.id))
        return one

    return server


@pytest.fixture
def client(islands):
    """client(id, option…) -> (exit code, the objects it printed), in the west"""

    def client(*arguments):
        done = subprocess.run(islands.on("west", *peer("iroh_client", *arguments, "--relay", URL)), stdout=subprocess.PIPE, timeout=PATIENCE)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    return client


def metrics(islands):
    text = subprocess.run(islands.on("main", "curl", "-sf", f"{URL}metrics"), capture_output=True, text=True, check=True).stdout
    return {line.split()[0]: int(line.split()[1]) for line in text.splitlines() if line[0] != "#"}


@pytest.fixture
def online(listen):
    """online(option…) -> quic-listen in the east, known to the relay"""

    def online(*options, relays=(URL,), **how):
        given = [word for url in relays for word in ("--relay", url)]
        listener = listen(*given, *options, **{"bind": f"{EAST}:0", **how})
        assert listener.endpoint["relay_urls"] == list(relays[:1]), listener.endpoint
        return listener

    return online


@pytest.fixture
def online_for(service, online, tmp_path):
    """online_for(target, option…) -> quic-listen, known to the relay, whose streams tunnel-bridge serve takes to a TCP server"""
    numbers = iter(range(1000))

    def online_for(target, *options, **how):
        path = tmp_path / f"serve-{next(numbers)}.sock"
        service("tunnel-bridge", "serve", "--socket", path, "--to", target).next()
        return online("--bridge", path, *options, **how)

    return online_for


class Transfer:
    """Bytes on their way to an echo and back."""

    def __init__(self, address, data):
        self.address, self.data, self.come = address, data, bytearray()
        self.socket = socket.create_connection(address, PATIENCE)
        self.failure = None
        self.sender = threading.Thread(target=self._send, daemon=True)
        self.sender.start()

    def _send(self):
        try:
            self.socket.sendall(self.data)
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as failure:  # which the kernel tells one of the two, and not the other
            self.failure = failure

    def receive(self, count):
        """Until so many bytes have come in all."""
        while len(self.come) < count:
            piece = self.socket.recv(min(count - len(self.come), 1 << 20))
            assert piece, f"the stream ended after {len(self.come)} of {len(self.data)} bytes"
            self.come += piece

    def drain(self):
        """Until nothing comes any more; for when nothing can but what is here already."""
        self.socket.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while piece := self.socket.recv(1 << 20):
                self.come += piece
        self.socket.settimeout(PATIENCE)

    def finish(self):
        """To the end; whether what came is what went."""
        while piece := self.socket.recv(1 << 20):
            self.come += piece
        self.sender.join(PATIENCE)
        self.socket.close()
        if self.failure:
            raise self.failure
        return self.come == self.data
