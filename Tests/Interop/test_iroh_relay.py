"""Real iroh endpoints that reach each other through quic-relay and in no other way."""
import subprocess

import pytest

from conftest import Service
from islands import MAINLAND
from packets import Key
from relay_islands import (  # noqa: F401, fixtures
    URL, apart, client, islands, metrics, peer, placed, places, relay, server, service, started)

NUMBER = 77


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
        if f"{echo.name} connected" in line.decode():
            break
    status, (connected, echoed) = client(echo.id, "--text", "again")
    assert (status, connected["paths"], echoed) == (0, ["relay"], {"event": "answered", "text": "again"})
