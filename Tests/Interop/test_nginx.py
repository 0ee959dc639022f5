"""quic-relay behind nginx, which ends TLS."""
import socket

import pytest

from relay_client import GONE, PING, PONG, RelayClient
from relay_intermediaries import certificates, nginx


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


@pytest.fixture
def behind_nginx(service, tmp_path):
    """The address of an nginx with TLS in front of a relay that allows two connections for each address."""
    relay = service("quic-relay", "--http", "127.0.0.1:0", "-v", "--behind-proxy", "127.0.0.1", "--connections-per-address", 2, "--exempt", "none")
    upstream, port = relay.next()["http"][0], free_port()
    _, chain, key = certificates(tmp_path / "tls", "relay.test")
    with nginx(lambda *arguments: list(map(str, arguments)), "127.0.0.1", port, upstream, chain, key, tmp_path / "nginx"):
        yield f"127.0.0.1:{port}"


def test_clients_meet_behind_nginx_and_are_asked_for_a_proof_that_holds_there(behind_nginx):
    source = "127.0.0.9"
    first, second = (RelayClient(behind_nginx, key, secure=True, proof=True, source=source) for key in (1, 2))
    # What TLS exports at the client is not what it would at the relay.
    assert first.was_asked and second.was_asked
    content = bytes(range(256)) * 200
    first.datagram(second.key.bytes, content)
    assert second.received() == (first.key.bytes, content)
    second.send(PING, b"12345678")
    assert second.frame() == (PONG, b"12345678")
    # The third from one address is one too many, and is told so.
    with pytest.raises(AssertionError, match="HTTP/1.1 429"):
        RelayClient(behind_nginx, 3, secure=True, source=source)
    first.close()
    assert second.frame() == (GONE, first.key.bytes)
    second.close()
