"""quic-listen and quic-dial against the real iroh, both ways."""
import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import PATIENCE, Service, command
from peers import public_key, z_base_32

PEER = Path(__file__).parent / "peers" / "iroh_echo.py"
MEGABYTES_16 = 16 << 20


def dialled(endpoint, streams, size):
    """What a real iroh client that knows the key and the address tells."""
    key, address = public_key(endpoint["endpoint_id"]), endpoint["addresses"][0]
    ended = subprocess.run([sys.executable, PEER, "dial", key, address, str(streams), str(size)], capture_output=True, timeout=2 * PATIENCE)
    assert ended.returncode == 0, ended.stderr.decode()
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.fixture
def key(run, tmp_path):
    path = tmp_path / "secret"
    return path, run("pkarr-build", "--generate-key", path).objects[0]["public_key"]


@pytest.fixture
def listening(service, key):
    """listening("--", "cat") -> the endpoint line of a quic-listen"""
    return lambda *arguments: service("quic-listen", "--key", key[0], "--bind", "127.0.0.1:0", *arguments, stderr=subprocess.DEVNULL).next()


@pytest.fixture
def iroh():
    """A real iroh server that echoes."""
    server = Service([sys.executable, PEER, "serve"])
    server.at = server.next()
    yield server
    server.stop()
    server.process.stdout.close()


@pytest.fixture
def endpoint_file(tmp_path):
    def write(identity, address):
        path = tmp_path / "endpoint"
        path.write_text(json.dumps({"endpoint_id": identity, "relay_urls": [], "addresses": [address], "user_data": None}) + "\n")
        return path

    return write


@pytest.mark.parametrize("streams, size", [(1, MEGABYTES_16), (100, 10_000)])
def test_iroh_dials_and_a_program_echoes(listening, key, streams, size):
    connected, result = dialled(listening("--", "cat"), streams, size)
    assert connected["peer"] == public_key(key[1])
    assert result == {"same": streams}


def test_a_program_learns_who_the_real_peer_is(listening, tmp_path):
    seen = tmp_path / "seen"
    endpoint = listening("--", "sh", "-c", f'env > "{seen}"; exec cat')
    connected, result = dialled(endpoint, 1, 10)
    assert result == {"same": 1}
    assert z_base_32(connected["me"]) in seen.read_text()


def test_sixteen_megabytes_to_iroh_and_back(run, iroh, endpoint_file):
    data = os.urandom(MEGABYTES_16)
    ended = subprocess.run(
        command("quic-dial", "--endpoint", endpoint_file(z_base_32(iroh.at["id"]), iroh.at["address"]), "--stdio"),
        input=data, capture_output=True, timeout=2 * PATIENCE)
    assert (ended.returncode, ended.stdout == data) == (0, True), ended.stderr.decode()
    assert iroh.next()["alpn"] == "pubky/iroh-homeserver/0"
    assert iroh.next() == {"echoed": MEGABYTES_16}


def test_a_hundred_streams_at_once_to_iroh(service, iroh, endpoint_file, key, tmp_path):
    bridge = service("tunnel-bridge", "connect", "--socket", tmp_path / "bridge", "--listen", "127.0.0.1:0", stderr=subprocess.DEVNULL)
    host, _, port = bridge.next()["listening"].rpartition(":")
    service("quic-dial", "--key", key[0], "--bridge", tmp_path / "bridge", "--endpoint",
            endpoint_file(z_base_32(iroh.at["id"]), iroh.at["address"]), stderr=subprocess.DEVNULL)

    def there_and_back(_):
        data = os.urandom(10_000)
        with socket.create_connection((host, int(port)), PATIENCE) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as answer:
                return answer.read() == data

    with ThreadPoolExecutor(100) as threads:
        assert all(threads.map(there_and_back, range(100)))
    assert iroh.next()["peer"] == public_key(key[1]), "one connection, made with the key given"
    assert [iroh.next() for _ in range(100)] == [{"echoed": 10_000}] * 100


def test_an_iroh_that_has_another_key_is_refused_and_gets_no_byte(iroh, endpoint_file, key):
    ended = subprocess.run(
        command("quic-dial", "--endpoint", endpoint_file(key[1], iroh.at["address"]), "--stdio"),
        input=b"a secret", capture_output=True, timeout=PATIENCE)
    assert ended.returncode == 76 and ended.stdout == b""
    assert key[1] in ended.stderr.decode()
    told = iroh.next()
    assert "refused" in told, "iroh never saw a connection, let alone a stream"


def test_an_iroh_that_asks_for_another_key_gets_no_connection(run, listening, tmp_path):
    endpoint = listening("--", "cat")
    endpoint["endpoint_id"] = run("pkarr-build", "--generate-key", tmp_path / "other").objects[0]["public_key"]
    told = dialled(endpoint, 1, 10)
    assert len(told) == 1 and "UnknownIssuer" in told[0]["refused"]
