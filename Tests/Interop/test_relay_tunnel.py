"""quic-listen and quic-dial, and each of them with the real iroh, through quic-relay and beside it."""
import concurrent.futures
import os

import pytest

from conftest import PATIENCE
from islands import EAST, MAINLAND
from packets import Key
from quic_commands import LISTENER, ask, id_of
from relay_islands import (  # noqa: F401, fixtures
    URL, apart, client, islands, metrics, online, online_for, places, placed, relay, run, server, service, started)

MIB = 1 << 20
# An address in the east where packets disappear while nothing is carried between the islands.
DEAD = f"{EAST}:9"


def listener_id():
    return Key(LISTENER).bytes.hex()


# Nothing but the relay between them

def test_an_iroh_client_gets_8_mib_back_through_the_relay(relay, online, client):
    relay()
    online(program=["cat"])
    status, (connected, echoed) = client(listener_id(), "--bytes", 8 * MIB)
    assert (connected["peer"], connected["paths"]) == (listener_id(), ["relay"])
    assert (status, echoed) == (0, {"event": "echoed", "streams": 1})


def test_an_iroh_client_gets_an_answer_on_each_of_100_streams_through_the_relay(relay, online_for, echo, client):
    relay()
    online_for(echo)
    status, (_, echoed) = client(listener_id(), "--streams", 100, "--bytes", 20_000)
    assert (status, echoed) == (0, {"event": "echoed", "streams": 100})


def test_8_mib_come_back_from_an_iroh_server_through_the_relay(relay, server, dial):
    relay()
    data = os.urandom(8 * MIB)
    done = dial([], relays=[URL], key=server().name, input=data)
    assert (done.status, done.bytes == data) == (0, True), done.err
    assert f"at {URL}" in done.err and "path relay" in done.err


def test_100_connections_at_once_get_their_answers_from_an_iroh_server_through_the_relay(relay, server, tunnel):
    relay()
    address = tunnel(relays=[URL], key=server().name)
    questions = [os.urandom(20_000) for _ in range(100)]
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        assert list(pool.map(lambda data: ask(address, data, PATIENCE), questions)) == questions


def test_16_mib_and_100_connections_between_our_own_ends_through_the_relay(relay, online_for, echo, tunnel, islands):
    relay("--exempt", MAINLAND)
    online_for(echo)
    address = tunnel(relays=[URL])
    data = os.urandom(16 * MIB)
    assert ask(address, data, PATIENCE) == data
    line = tunnel.dialler.next()
    assert {name: line[name] for name in ("peer", "path", "remote", "failed")} == {
        "peer": id_of(LISTENER), "path": "relay", "remote": URL, "failed": []}
    assert line["rtt_ms"] > 0
    questions = [os.urandom(20_000) for _ in range(100)]
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        assert list(pool.map(lambda data: ask(address, data, PATIENCE), questions)) == questions
    figures = metrics(islands)
    assert figures["quic_relay_datagram_bytes_relayed_total"] >= 2 * len(data)
    assert figures["quic_relay_protocol_errors_total"] == 0


def test_a_program_is_told_that_its_peer_comes_through_the_relay(relay, online, dial):
    relay()
    online(program=["sh", "-c", 'read question; echo "$QUICPATH"; env | grep ^QUICREMOTE'])
    told = dial([], relays=[URL], input=b"who am I?\n").out.splitlines()
    assert told[0] == "relay"
    assert "QUICREMOTEIP=" not in told[1]


def test_a_program_gets_the_stream_and_nothing_of_the_relays_connection(relay, online, dial):
    relay()
    online(program=["sh", "-c", "exec ls -l /proc/self/fd"])
    shown = dial([], relays=[URL]).out
    # Standard input, output and error, and the directory that is listed.
    assert len(shown.splitlines()) == 1 + 4, shown


# A direct address beside the relay

def test_an_iroh_client_that_can_is_answered_directly(relay, online, client, islands):
    islands.let_through(True)
    relay()
    listener = online(program=["sh", "-c", 'read question; echo "$QUICPATH"'])
    status, (connected, answered) = client(listener_id(), listener.address, "--text", "who am I?\n")
    assert (status, connected["paths"], answered["text"]) == (0, ["direct"], "direct\n")


def test_the_direct_path_is_taken_when_there_is_one(relay, online, tunnel, islands):
    islands.let_through(True)
    relay()
    listener = online(program=["cat"])
    data = os.urandom(4 * MIB)
    assert ask(tunnel(listener.address, relays=[URL]), data, PATIENCE) == data
    line = tunnel.dialler.next()
    assert (line["path"], line["remote"]) == ("direct", listener.address)


def test_an_iroh_server_is_dialled_directly_when_that_works(relay, server, tunnel, islands):
    islands.let_through(True)
    relay()
    there = server()
    data = os.urandom(MIB)
    assert ask(tunnel(f"{EAST}:{there.port}", relays=[URL], key=there.name), data, PATIENCE) == data
    assert tunnel.dialler.next()["path"] == "direct"


def test_direct_addresses_are_left_alone_when_that_is_asked_for(relay, online, tunnel, islands):
    islands.let_through(True)
    relay()
    listener = online(program=["cat"])
    assert ask(tunnel(listener.address, relays=[URL], options=["--no-direct"]), b"hello", PATIENCE) == b"hello"
    assert tunnel.dialler.next()["path"] == "relay"


def test_relays_are_left_alone_when_that_is_asked_for(relay, online, dial):
    relay()
    online(program=["cat"])
    done = dial([DEAD], "--no-relays", "--timeout", "1s", relays=[URL])
    assert done.status == 69
    assert DEAD in done.err and URL not in done.err


def test_a_dead_direct_address_costs_a_moment_and_is_named(relay, online, tunnel):
    relay()
    online(program=["cat"])
    address = tunnel(DEAD, relays=[URL])
    assert ask(address, b"hello", PATIENCE) == b"hello"
    line = tunnel.dialler.next()
    assert line["path"] == "relay"
    (dead,) = line["failed"]
    assert (dead["path"], dead["remote"]) == ("direct", DEAD)
    assert dead["reason"]
    # From the start of the direct attempt to the relay's success: its head start before the relay, and two round trips through the relay.
    assert 50 <= dead["after_ms"] < 2000


def test_an_iroh_client_with_a_dead_direct_address_reaches_us_through_the_relay(relay, online, client):
    relay()
    listener = online(program=["cat"])
    status, (connected, echoed) = client(listener_id(), listener.address, "--bytes", 100_000)
    assert (status, echoed) == (0, {"event": "echoed", "streams": 1})
    assert "relay" in connected["paths"]


def test_a_peer_that_its_relay_does_not_know_is_not_reached_and_the_relay_is_named(relay, online, tunnel):
    relay()
    online(program=["cat"])
    other = tunnel(relays=[URL], key=LISTENER + 1, options=["--timeout", "2s"])
    with pytest.raises(ConnectionResetError):
        ask(other, b"hello", PATIENCE)
    line = tunnel.dialler.next()
    assert (line["path"], line["status"]) == (None, 69)
    assert [(one["path"], one["remote"]) for one in line["failed"]] == [("relay", URL)]
