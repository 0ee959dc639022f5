"""quic-dial told by requests where peers are, instead of by endpoint lines (keyhole-handover(7))."""
import pytest

from conftest import PATIENCE
from handover import ClientBridge
from quic_commands import LISTENER, id_of


@pytest.fixture
def dialler(service, tmp_path):
    """dialler(option…) -> the hand-over channel of a quic-dial that knows nobody"""
    bridge = ClientBridge(tmp_path / "dial.sock")

    def dialler(*options):
        service("quic-dial", "--bridge", tmp_path / "dial.sock", *options)
        return bridge.accept()

    yield dialler
    bridge.close()


def place(*addresses, key=LISTENER, relays=()):
    return {"endpoint_id": id_of(key), "relay_urls": list(relays), "addresses": list(addresses)}


def test_a_request_may_say_where_the_peer_is(dialler, listen, dead_port):
    listener, channel = listen(program=["cat"]), dialler("--timeout", "1s")
    peer = id_of(LISTENER)
    # What is said later counts, also after what was said before has failed; and it stays known.
    for number, fields in enumerate([{"endpoint": place(dead_port)}, {"endpoint": place(listener.address)}, {}]):
        near = ClientBridge.ask(channel, number, peer, **fields)
        answer, _ = channel.receive()
        if number == 0:
            [attempt] = answer["failed"]
            assert (answer["status"], attempt["path"], attempt["remote"], attempt["reason"]) == (69, "direct", dead_port, "no answer")
            # A moment less than the time that was given: the attempt begins when the clock runs.
            assert 0 < attempt["after_ms"] <= 1000 + 1000 * PATIENCE
            continue
        assert answer == {"id": number, "ok": True, "path": "direct", "remote": listener.address}
        near.sendall(b"hello")
        assert near.recv(5) == b"hello"


def test_somebody_else_is_told_of_as_such(dialler, listen):
    channel = dialler()
    ClientBridge.ask(channel, 1, id_of(5), endpoint=place(listen(program=["cat"]).address, key=5))
    answer, _ = channel.receive()
    assert answer["status"] == 76 and "somebody else" in answer["error"]


def test_a_peer_that_nobody_has_told_of_is_unreachable(dialler):
    channel = dialler()
    ClientBridge.ask(channel, 1, id_of(5))
    assert channel.receive()[0]["status"] == 69


def test_an_endpoint_of_another_peer_ends_the_channel(dialler):
    channel = dialler()
    ClientBridge.ask(channel, 1, id_of(5), endpoint=place("192.0.2.1:1", key=6))
    assert channel.is_closed()


def test_peers_that_are_not_in_use_make_way_for_others(dialler, dead_port):
    """257 at once are one too many; once they have failed, there is room again."""
    channel = dialler("--timeout", "2s")
    nears = [ClientBridge.ask(channel, number, id_of(number), endpoint=place(dead_port, key=number)) for number in range(1, 258)]
    statuses = {}
    while len(statuses) < len(nears):
        answer, _ = channel.receive()
        statuses[answer["id"]] = answer["status"]
    assert statuses.pop(257) == 75
    assert set(statuses.values()) == {69}
    ClientBridge.ask(channel, 300, id_of(300), endpoint=place(dead_port, key=300))
    assert channel.receive()[0]["status"] == 69
