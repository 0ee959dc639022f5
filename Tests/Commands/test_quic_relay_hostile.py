"""Clients that mean quic-relay no good, many at once or for long. Those that send a single wrong thing are in test_quic_relay.py, too."""
import base64
import os
import resource
import select
import socket

import pytest

from conftest import PATIENCE
from packets import Key
from relay_client import AUTH, CHALLENGE, CONFIRMED, DENIED, EXPORTER, GONE, HEADER, PING, PONG, STATUS, RelayClient
from relay_service import alive, connect, make_certificate, metrics, relay  # noqa: F401, some are fixtures

IP_BIND_ADDRESS_NO_PORT = 24
HEALTHY = b"\0"
CROWD = 10_000
# Far less than so many clients would take.
MEMORY = 16 << 20


def resident(running):
    with open(f"/proc/{running.process.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


@pytest.fixture
def secure_relay(relay, tmp_path):
    return relay("--https", "127.0.0.1:0", *make_certificate(tmp_path))


def reaches(sender, receiver, content=b"hello"):
    sender.datagram(receiver.key.bytes, content)
    return receiver.received() == (sender.key.bytes, content)


# A single wrong thing

def masked(first, length, payload=b""):
    return bytes([first, 0x80 | length]) + bytes(4) + payload


WEBSOCKET = {
    "not masked": (b"\x82\x09\x09" + bytes(8), 1002),
    "with reserved bits": (masked(0xC2, 9, b"\x09" + bytes(8)), 1002),
    "of an unknown kind": (masked(0x83, 0), 1002),
    "that goes on with nothing": (masked(0x80, 9, bytes(9)), 1002),
    "that asks with too much": (masked(0x89, 126, b"\0\x7e" + bytes(126)), 1002),
    "in pieces that should be one": (masked(0x09, 0), 1002),
    "with a length beyond all": (masked(0x82, 127)[:2] + b"\x7f" + b"\xff" * 7 + bytes(4), 1009),
    "with a length that has too many digits": (masked(0x82, 126)[:2] + b"\0\x01" + bytes(5), 1002),
    "that never comes to its end": (masked(0x02, 125, bytes(125)) + masked(0x00, 125, bytes(125)) * 1000, 1009),
}


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("what", WEBSOCKET)
def test_a_websocket_frame_that_is_none_ends_its_connection_only(secure_relay, connect, what, secure):
    where = secure_relay.https if secure else secure_relay.http
    rude, first, second = (connect(where, key, secure=secure) for key in (1, 2, 3))
    frame, status = WEBSOCKET[what]
    rude.socket.sendall(frame)
    assert rude.closing() == status
    assert reaches(first, second)
    assert metrics(secure_relay)["quic_relay_protocol_errors_total"] == 1


@pytest.mark.parametrize("kind", [CHALLENGE, AUTH, CONFIRMED, DENIED], ids=["challenge", "proof", "confirmation", "denial"])
def test_a_handshake_does_not_begin_again(relay, connect, kind):
    running = relay()
    rude, bystander = connect(running.http, 1), connect(running.http, 2)
    key = Key(3)
    # Also with a proof that would be good for another connection's challenge.
    other = connect(running.http)
    other.upgrade()
    challenge = other.frame()[1]
    rude.send(kind, key.bytes + b"\x40" + key.secret.sign(RelayClient.digest(challenge)) if kind == AUTH else b"")
    assert rude.closing() == 1002
    bystander.datagram(key.bytes, b"nobody")
    bystander.send(PING, b"12345678")
    assert bystander.frame() == (PONG, b"12345678")
    assert metrics(running)["quic_relay_frames_dropped_totalunknown"] == 1


@pytest.mark.parametrize("proof", ["", "A", "!" * 100, "A" * 175, "A" * 5000], ids=["empty", "short", "no base64", "zeros", "long"])
def test_a_header_that_is_no_proof_is_refused(secure_relay, connect, proof):
    rude = connect(secure_relay.https, secure=True)
    with pytest.raises(AssertionError, match="HTTP/1.1 400 "):
        rude.upgrade(fields=[f"{HEADER}: {proof}"])
    assert rude.read_until(b"Auth-V1\n") and alive(secure_relay, connect)


def test_a_header_with_another_one_s_signature_is_asked_again(secure_relay, connect):
    rude = connect(secure_relay.https, secure=True)
    rude.key = Key(1)
    material = rude.socket.tls.export_keying_material(EXPORTER, 32, Key(1).bytes)
    forged = Key(1).bytes + b"\x40" + Key(2).secret.sign(material[:16]) + material[16:]
    rude.upgrade(fields=[f"{HEADER}: {base64.urlsafe_b64encode(forged).rstrip(b'=').decode()}"])
    assert rude.frame()[0] == CHALLENGE
    assert metrics(secure_relay)["quic_relay_clients"] == 0


def test_a_proof_from_tls_is_none_where_there_is_no_tls(secure_relay, connect):
    honest = connect(secure_relay.https, 1, secure=True)
    thief = connect(secure_relay.http)
    thief.upgrade(fields=[f"{HEADER}: {honest.proof()}"])
    assert thief.frame()[0] == CHALLENGE


# Many, or for long

@pytest.fixture
def crowd():
    """crowd(address, source) -> a socket that is closed when the test ends"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, CROWD + 1000)), hard))
    sockets = []

    def crowd(address, source="127.0.0.9"):
        host, port = address.split(":")
        one = socket.socket()
        sockets.append(one)
        # The port is chosen when the connection is made, which takes no time however many there are.
        one.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        one.settimeout(PATIENCE)
        one.bind((source, 0))
        one.connect((host, int(port)))
        return one

    yield crowd
    for one in sockets:
        one.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def ended(one):
    """Whether the other end has closed; nothing comes otherwise."""
    one.setblocking(False)
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        one.settimeout(PATIENCE)


def test_ten_thousand_connections_from_one_address_leave_room_for_others(relay, connect, crowd):
    running = relay("--exempt", "none")
    own = [connect(running.http, key, source=f"127.0.0.{key}") for key in (1, 2)]
    before = resident(running)
    sockets = [crowd(running.http) for _ in range(CROWD)]
    assert reaches(*own)
    late = [connect(running.http, key, source=f"127.0.0.{key}") for key in (3, 4)]
    assert reaches(*late) and reaches(own[0], late[0])
    assert resident(running) - before < MEMORY
    # All but its share have been closed, and when those have gone there is room again.
    staying = [one for one in sockets if not ended(one)]
    assert len(staying) == 256
    refused = crowd(running.http)
    assert refused.recv(1) == b""
    for one in staying:
        one.shutdown(socket.SHUT_WR)
        while one.recv(1000):
            pass
    again = [connect(running.http, key, source="127.0.0.9") for key in (5, 6)]
    assert reaches(*again)


def test_clients_that_take_their_time_are_closed_when_it_is_over(secure_relay, connect, crowd):
    """All at once, because their time is half a minute."""
    slow = {
        "request": [crowd(secure_relay.http) for _ in range(50)],
        "TLS": [crowd(secure_relay.https) for _ in range(50)],
        "nothing": [crowd(secure_relay.http) for _ in range(50)],
    }
    unproven = [connect(secure_relay.http) for _ in range(50)]
    for one in unproven:
        one.upgrade()
        assert one.frame()[0] == CHALLENGE
    first, second = connect(secure_relay.http, 1), connect(secure_relay.https, 2, secure=True)
    request = b"GET /relay HTTP/1.1\r\nX-" + b"a" * 1000
    hello = bytes.fromhex("16030102000100") + bytes(1000)
    open_ones = {one: (request if kind == "request" else hello if kind == "TLS" else b"") for kind, many in slow.items() for one in many}
    waiting = select.poll()
    for one in open_ones:
        waiting.register(one, select.POLLIN)
    position = 0
    while open_ones:
        # A byte to each, and one more after others have been served.
        for one, text in list(open_ones.items()):
            try:
                if text[position:position + 1]:
                    one.send(text[position:position + 1])
            except ConnectionError:
                pass
            if ended(one):
                waiting.unregister(one)
                del open_ones[one]
        position += 1
        assert reaches(first, second) and reaches(second, first)
        # Until the first is closed, and no longer than one that drips its bytes would wait.
        waiting.poll(100)
    for one in unproven:
        assert one.closing() == 1001
    assert metrics(secure_relay)["quic_relay_silent_total"] == 200
    assert alive(secure_relay, connect)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_a_client_that_reads_a_byte_now_and_then_is_sent_away(secure_relay, connect, secure):
    where = secure_relay.https if secure else secure_relay.http
    sender, lazy, reader = (connect(where, key, secure=secure) for key in (1, 2, 3))
    plain = lazy.socket.plain if secure else lazy.socket
    content = bytes(60_000)
    while metrics(secure_relay)["quic_relay_clients"] == 3:
        for _ in range(50):
            sender.datagram(lazy.key.bytes, content)
        plain.recv(1)
        assert reaches(sender, reader)
    assert metrics(secure_relay)["quic_relay_queued_bytes"] == 0


def test_clients_that_change_their_ids_all_the_time_are_forgotten(relay, connect):
    running = relay()
    bystander = connect(running.http, 1)

    def change(numbers):
        for number in numbers:
            one = RelayClient(running.http, number)
            one.datagram(bystander.key.bytes, b"it is me")
            assert bystander.received() == (one.key.bytes, b"it is me")
            one.close()
            assert bystander.frame() == (GONE, one.key.bytes)

    change(range(1000, 1200))
    before = resident(running)
    change(range(1200, 2700))
    assert resident(running) - before < 2 << 20
    figures = metrics(running)
    assert (figures["quic_relay_clients"], figures["quic_relay_clients_admitted_total"]) == (1, 1701)


def test_an_id_that_many_claim_at_once_is_the_newest_s(relay, connect):
    running = relay()
    sender = connect(running.http, 1)
    claimants = []
    for number in range(40):
        claimants.append(connect(running.http, 2))
        content = os.urandom(20)
        sender.datagram(claimants[-1].key.bytes, content)
        assert claimants[-1].received() == (sender.key.bytes, content)
    # No more than 17 stay: the newest, and 16 behind it.
    for one in claimants[:-17]:
        assert one.closing() == 1008
    assert metrics(running)["quic_relay_clients"] == 2
    claimants[-1].close()
    # The one behind it is told when it is its turn.
    while claimants[-2].frame() != (STATUS, HEALTHY):
        pass
    assert reaches(sender, claimants[-2])
