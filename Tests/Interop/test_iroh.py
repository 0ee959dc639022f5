"""Both ends against the real iroh: its client at quic-listen, its server for quic-dial."""
import concurrent.futures
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import PATIENCE, Service
from packets import Key, zbase32
from quic_commands import LISTENER, ask

PEERS = Path(__file__).parent / "peers"


def peer(name, *arguments):
    return [sys.executable, str(PEERS / f"{name}.py"), *map(str, arguments)]


@pytest.fixture
def iroh_client():
    """iroh_client(id, address, option…) -> (exit code, the objects it printed)"""

    def iroh_client(*arguments):
        done = subprocess.run(peer("iroh_client", *arguments), stdout=subprocess.PIPE, timeout=PATIENCE)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    return iroh_client


@pytest.fixture
def iroh_server():
    """A running iroh server with its id and address."""
    server = Service(peer("iroh_server"))
    ready = server.next()
    server.id, server.address = ready["id"], ready["address"]
    yield server
    server.process.kill()
    server.process.wait()
    for pipe in (server.process.stdin, server.process.stdout, server.process.stderr):
        pipe.close()


def listener_id():
    return Key(LISTENER).bytes.hex()


# iroh dials

def test_an_iroh_client_gets_16_mib_back_on_one_stream(listen, iroh_client):
    listener = listen(program=["cat"])
    status, (connected, echoed) = iroh_client(listener_id(), listener.address, "--bytes", 16 << 20)
    assert connected["peer"] == listener_id()
    assert (status, echoed) == (0, {"event": "echoed", "streams": 1})


def test_an_iroh_client_gets_an_answer_on_each_of_100_streams_at_once(listen, iroh_client):
    listener = listen(program=["cat"])
    status, (_, echoed) = iroh_client(listener_id(), listener.address, "--streams", 100, "--bytes", 20_000)
    assert (status, echoed) == (0, {"event": "echoed", "streams": 100})


def test_an_iroh_client_reaches_a_server_on_tcp_through_the_bridge(listen_for, echo, iroh_client):
    listener = listen_for(echo)
    status, (_, echoed) = iroh_client(listener_id(), listener.address, "--streams", 100, "--bytes", 20_000)
    assert (status, echoed) == (0, {"event": "echoed", "streams": 100})


def test_an_iroh_client_that_knows_only_key_and_address_is_served_by_a_program_that_knows_its_key(listen, iroh_client):
    listener = listen(program=["sh", "-c", "read question; echo \"$question: $PROTO $QUICREMOTEKEY $QUICALPN\""])
    status, (connected, answered) = iroh_client(listener_id(), listener.address, "--text", "who am I?\n")
    assert status == 0
    program_saw = answered["text"].split()
    assert program_saw[:4] == ["who", "am", "I?:", "QUIC"]
    assert program_saw[4:] == [zbase32(bytes.fromhex(connected["id"])), "pubky/iroh-homeserver/0"]


def test_an_iroh_client_is_served_over_ipv6(listen, iroh_client):
    listener = listen(program=["cat"], bind="[::1]:0")
    assert iroh_client(listener_id(), listener.address)[0] == 0


def test_an_iroh_client_proves_its_address_when_every_client_has_to(listen, iroh_client):
    listener = listen("--retry-threshold", 0, program=["cat"])
    status, (_, echoed) = iroh_client(listener_id(), listener.address)
    assert (status, echoed) == (0, {"event": "echoed", "streams": 1})


def test_an_iroh_client_that_dials_another_key_at_our_address_does_not_connect(listen, iroh_client, tmp_path):
    witness = tmp_path / "was-run"
    listener = listen(program=["touch", witness])
    status, (failed,) = iroh_client(Key(LISTENER + 1).bytes.hex(), listener.address)
    assert (status, failed["event"]) == (1, "failed")
    assert not witness.exists()
    # The right key still works.
    assert iroh_client(listener_id(), listener.address, "--text", "")[0] == 0
    assert witness.exists()


# We dial

def test_16_mib_come_back_from_an_iroh_server_through_a_pipe(iroh_server, dial):
    data = os.urandom(16 << 20)
    done = dial(iroh_server.address, key=iroh_server.id, input=data)
    assert (done.status, done.bytes == data) == (0, True)
    assert iroh_server.next()["event"] == "accepted"
    assert iroh_server.next() == {"event": "echoed", "bytes": len(data)}


def test_100_connections_at_once_get_their_answers_from_an_iroh_server_through_the_bridge(iroh_server, tunnel):
    address = tunnel(iroh_server.address, key=iroh_server.id)
    questions = [os.urandom(20_000) for _ in range(100)]
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        assert list(pool.map(lambda data: ask(address, data, PATIENCE), questions)) == questions
    events = [iroh_server.next()["event"] for _ in range(101)]
    assert events == ["accepted"] + ["echoed"] * 100


def test_16_mib_come_back_from_an_iroh_server_through_the_bridge(iroh_server, tunnel):
    data = os.urandom(16 << 20)
    assert ask(tunnel(iroh_server.address, key=iroh_server.id), data, PATIENCE) == data


def test_an_iroh_server_with_another_key_is_refused_and_gets_no_byte(iroh_server, dial):
    done = dial(iroh_server.address, key=LISTENER, input=b"a secret")
    assert done.status == 76
    assert done.out == ""
    assert "proved to be somebody else" in done.err
    # The server's next connection, from a dialler that knows its key, comes after all that the refused one has brought.
    assert dial(iroh_server.address, key=iroh_server.id, input=b"hello").out == "hello"
    events = [iroh_server.next() for _ in range(3)]
    assert [one["event"] for one in events] == ["refused", "accepted", "echoed"]
    assert events[2]["bytes"] == len(b"hello")
