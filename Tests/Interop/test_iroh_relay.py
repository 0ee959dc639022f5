"""Real iroh endpoints that reach each other through quic-relay and in no other way."""
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import PATIENCE, Service, command
from islands import MAINLAND, Islands
from packets import Key, zbase32

PEERS = Path(__file__).parent / "peers"
NUMBER = 77
URL = f"http://{MAINLAND}:3340/"


def peer(name, *arguments):
    return [sys.executable, str(PEERS / f"{name}.py"), *map(str, arguments)]


@pytest.fixture(scope="module")
def islands():
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    islands = Islands()
    yield islands
    islands.remove()


@pytest.fixture
def started():
    services = []
    yield services
    for one in services:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()
        for pipe in (one.process.stdin, one.process.stdout, one.process.stderr):
            if pipe:
                pipe.close()


@pytest.fixture
def relay(islands, started):
    """relay(option…) -> quic-relay on the mainland"""

    def relay(*arguments):
        one = Service(islands.on("main", *command("quic-relay", "--http", f"{MAINLAND}:3340", "-v", *arguments)))
        started.append(one)
        assert one.next() == {"http": [URL.rstrip("/")]}
        return one

    return relay


@pytest.fixture
def server(islands, started):
    """server(option…) -> an iroh server in the east, online"""

    def server(*arguments):
        one = Service(islands.on("east", *peer("iroh_server", "--bind", "0.0.0.0:0", "--relay", URL, *arguments)))
        started.append(one)
        one.id = one.next()["id"]
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


def test_the_islands_do_not_reach_each_other(islands):
    probe = ["python3", "-c", "import socket; s = socket.create_connection(('10.91.1.2', 9), 2)"]
    failed = subprocess.run(islands.on("west", *probe), capture_output=True, text=True)
    assert failed.returncode != 0 and "refused" not in failed.stderr
    mainland = ["python3", "-c", f"import socket; s = socket.create_connection(('{MAINLAND}', 9), 2)"]
    assert "refused" in subprocess.run(islands.on("west", *mainland), capture_output=True, text=True).stderr


def test_iroh_endpoints_exchange_4_mib_through_the_relay(relay, server, client, islands):
    relay("--exempt", MAINLAND)
    echo = server()
    status, (connected, echoed) = client(echo.id, "--bytes", 4 << 20)
    assert connected["peer"] == echo.id
    assert connected["paths"] == ["relay"]
    assert (status, echoed) == (0, {"event": "echoed", "streams": 1})
    figures = metrics(islands)
    assert figures["quic_relay_datagram_bytes_relayed_total"] >= 2 * (4 << 20)
    assert figures["quic_relay_clients_admitted_total"] == 2
    assert figures["quic_relay_protocol_errors_total"] == 0


def test_iroh_endpoints_use_a_hundred_streams_through_the_relay(relay, server, client):
    relay()
    status, (_, echoed) = client(server().id, "--streams", 100, "--bytes", 20_000)
    assert (status, echoed) == (0, {"event": "echoed", "streams": 100})


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "access"
    path.write_text("token open-sesame\n")
    path.chmod(0o600)
    return path


def test_iroh_endpoints_with_the_right_token_are_let_in(relay, server, client, token_file):
    relay("--access", token_file)
    echo = server("--token", "open-sesame")
    status, (connected, _) = client(echo.id, "--token", "open-sesame")
    assert (status, connected["paths"]) == (0, ["relay"])


def test_an_iroh_endpoint_with_a_wrong_token_stays_outside(relay, islands, started, token_file):
    running = relay("--access", token_file)
    started.append(Service(islands.on("west", *peer("iroh_server", "--bind", "0.0.0.0:0", "--relay", URL, "--token", "wrong"))))
    line = running.process.stderr.readline().decode()
    assert "denied to" in line and "the token is not valid" in line


def test_an_iroh_endpoint_on_the_deny_list_stays_outside(relay, islands, started, tmp_path):
    key = Key(NUMBER)
    access = tmp_path / "access"
    access.write_text(f"deny {key.name}\n")
    running = relay("--access", access)
    started.append(Service(islands.on("west", *peer("iroh_server", "--bind", "0.0.0.0:0", "--relay", URL, "--secret", NUMBER.to_bytes(32).hex()))))
    assert f"denied to {key.name}" in running.process.stderr.readline().decode()


def test_an_iroh_endpoint_comes_back_after_the_relay_has_restarted(relay, server, client):
    first = relay()
    echo = server()
    assert client(echo.id)[0] == 0
    assert first.stop() == 0
    second = relay()
    # The server is back when the relay says so; the client finds it then.
    for line in second.process.stderr:
        if f"{zbase32(bytes.fromhex(echo.id))} connected" in line.decode():
            break
    status, (connected, echoed) = client(echo.id, "--text", "again")
    assert (status, connected["paths"], echoed) == (0, ["relay"], {"event": "answered", "text": "again"})
