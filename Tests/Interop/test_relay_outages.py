"""What becomes of a transfer when the direct path, the relay or the listener goes away, and when they come back."""
import contextlib
import os
import time

import pytest

from conftest import PATIENCE, Service
from islands import EAST
from packets import Key
from quic_commands import LISTENER, ask, id_of
from relay_islands import (  # noqa: F401, fixtures
    URL, Transfer, apart, islands, online, online_for, peer, places, placed, relay, run, server, service, started)

MIB = 1 << 20
SIZE, HALFWAY = 64 * MIB, 4 * MIB
# How soon after the relay's return data has to flow again: seconds.
RESUMED_WITHIN = 5


def listener_id():
    return Key(LISTENER).bytes.hex()


def kill(service):
    service.process.kill()
    service.process.wait(PATIENCE)


def data_again_within(transfer, since):
    """Seconds until the next byte comes."""
    transfer.receive(len(transfer.come) + 1)
    return time.monotonic() - since


def test_a_transfer_goes_on_over_the_relay_when_the_direct_path_dies(relay, online_for, echo, tunnel, islands):
    islands.let_through(True)
    relay()
    listener = online_for(echo)
    transfer = Transfer(tunnel(listener.address, relays=[URL]), os.urandom(SIZE))
    transfer.receive(HALFWAY)
    assert tunnel.dialler.next()["path"] == "direct"
    islands.let_through(False)
    assert transfer.finish()
    line = tunnel.dialler.next()
    assert (line["peer"], line["path"], line["remote"]) == (id_of(LISTENER), "relay", URL)
    # It is still the same connection: the next stream makes no line of its own.
    assert ask(transfer.address, b"hello", PATIENCE) == b"hello"


def test_an_idle_connection_goes_on_over_the_relay_when_the_direct_path_dies(relay, online_for, echo, tunnel, islands):
    islands.let_through(True)
    relay()
    listener = online_for(echo)
    address = tunnel(listener.address, relays=[URL])
    assert ask(address, b"hello", PATIENCE) == b"hello"
    assert tunnel.dialler.next()["path"] == "direct"
    islands.let_through(False)
    assert ask(address, b"hello again", PATIENCE) == b"hello again"
    assert tunnel.dialler.next()["path"] == "relay"


def test_a_transfer_to_an_iroh_server_goes_on_over_the_relay_when_the_direct_path_dies(relay, server, tunnel, islands):
    islands.let_through(True)
    relay()
    there = server("--as-it-comes")
    transfer = Transfer(tunnel(f"{EAST}:{there.port}", relays=[URL], key=there.name), os.urandom(SIZE // 2))
    transfer.receive(HALFWAY)
    assert tunnel.dialler.next()["path"] == "direct"
    islands.let_through(False)
    assert transfer.finish()
    assert tunnel.dialler.next()["path"] == "relay"


# Seconds without a relay: it is back before anybody has noticed, and after everybody has.
@pytest.mark.parametrize("outage", [0, 2, 8])
def test_a_transfer_resumes_within_5_s_of_the_relays_return(relay, online_for, echo, tunnel, outage):
    first = relay()
    online_for(echo)
    transfer = Transfer(tunnel(relays=[URL]), os.urandom(SIZE))
    transfer.receive(HALFWAY)
    kill(first)
    gone = time.monotonic()
    transfer.drain()
    assert len(transfer.come) < SIZE, "it was over before the relay went"
    time.sleep(max(0, gone + outage - time.monotonic()))
    relay()
    assert data_again_within(transfer, time.monotonic()) < RESUMED_WITHIN
    assert transfer.finish()
    assert ask(transfer.address, b"hello", PATIENCE) == b"hello"
    # The connection was never given up.
    tunnel.dialler.stop()
    assert [line.decode().split(": ")[-1] for line in tunnel.dialler.process.stderr if b" ended: " in line] == ["closed by us with code 0\n"]


def test_a_relay_that_says_it_restarts_costs_a_transfer_nothing(relay, online_for, echo, tunnel):
    first = relay()
    online_for(echo)
    transfer = Transfer(tunnel(relays=[URL]), os.urandom(SIZE))
    transfer.receive(HALFWAY)
    assert first.stop() == 0
    relay()
    returned = time.monotonic()
    transfer.drain()
    if len(transfer.come) < SIZE:
        assert data_again_within(transfer, returned) < RESUMED_WITHIN
    assert transfer.finish()


def test_a_transfer_to_an_iroh_server_survives_the_relays_restart(relay, server, tunnel):
    first = relay()
    there = server("--as-it-comes")
    transfer = Transfer(tunnel(relays=[URL], key=there.name), os.urandom(SIZE // 2))
    transfer.receive(HALFWAY)
    kill(first)
    relay()
    assert transfer.finish()


def test_a_transfer_of_an_iroh_client_survives_the_relays_restart(relay, online_for, echo, islands, started):
    first = relay()
    online_for(echo)
    passing = Service(islands.on("west", *peer("iroh_client", listener_id(), "--relay", URL, "--bytes", SIZE // 2, "--tell-at", HALFWAY)))
    started.append(passing)
    assert passing.next()["paths"] == ["relay"]
    assert passing.next() == {"event": "come", "bytes": HALFWAY}
    kill(first)
    relay()
    assert passing.next() == {"event": "echoed", "streams": 1}


def test_a_stream_fails_clearly_when_both_ways_are_gone_for_good(relay, online_for, echo, tunnel, islands):
    islands.let_through(True)
    only = relay()
    listener = online_for(echo)
    transfer = Transfer(tunnel(listener.address, relays=[URL], options=["--timeout", "2s"]), os.urandom(SIZE))
    transfer.receive(HALFWAY)
    assert tunnel.dialler.next()["path"] == "direct"
    islands.let_through(False)
    kill(only)
    with pytest.raises(ConnectionResetError):
        transfer.finish()
    # Whoever asks now is told so, and the line tells everybody.
    with pytest.raises(ConnectionResetError):
        ask(transfer.address, b"hello", PATIENCE)
    while (line := tunnel.dialler.next())["path"]:
        pass
    assert line["status"] == 69
    assert {(one["path"], one["remote"]) for one in line["failed"]} == {("direct", listener.address), ("relay", URL)}


def test_a_restarted_listener_is_dialled_anew(relay, online_for, echo, tunnel):
    relay()
    first = online_for(echo)
    address = tunnel(relays=[URL])
    assert ask(address, b"hello", PATIENCE) == b"hello"
    kill(first)
    online_for(echo)
    # What was sent to the old one, because nobody knew yet, is lost; it is not kept waiting.
    with contextlib.suppress(ConnectionResetError):
        ask(address, b"hello?", PATIENCE)
    assert ask(address, b"hello again", PATIENCE) == b"hello again"
    assert [tunnel.dialler.next()["path"] for _ in range(2)] == ["relay", "relay"]


def test_a_stream_whose_listener_is_gone_ends_in_bounded_time(relay, online_for, echo, tunnel):
    relay()
    first = online_for(echo)
    transfer = Transfer(tunnel(relays=[URL]), os.urandom(SIZE))
    transfer.receive(HALFWAY)
    kill(first)
    with pytest.raises(ConnectionResetError):
        transfer.finish()
