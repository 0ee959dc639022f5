"""homeserver-gateway beside a stock homeserver: its data folder says all there is to know."""
import base64
import contextlib
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from conftest import BIN, PATIENCE, ROOT, Service

GATEWAY = str(ROOT / "examples" / "homeserver-gateway")
FETCH = str(ROOT / "examples" / "pubky-fetch")
CLASSICAL = [("@", "HTTPS"), ("@", "HTTPS"), ("@", "A")]


@pytest.fixture
def env(network, tmp_path):
    """Of a session that knows no network but the one its configuration names."""
    (tmp_path / "run").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PKARR_", "IROH_"))}
    return {**kept, "PATH": f"{BIN}:{os.environ['PATH']}", "XDG_RUNTIME_DIR": str(tmp_path / "run"), "XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.fixture
def backend():
    """Where the homeserver takes plain HTTP: an address that remembers the fields of requests."""
    fields = []

    class Address(str):
        pass

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            fields.append(dict(self.headers))
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = Address(f"127.0.0.1:{server.server_address[1]}")
        address.fields = fields
        yield address
        server.shutdown()


@pytest.fixture
def key(new_key):
    return new_key()


@pytest.fixture
def data_dir(tmp_path, network, backend, key):
    """data_dir(pkdns="…", more="…"): a homeserver's data folder in the test network."""
    path = tmp_path / "data"
    path.mkdir()
    (path / "secret").write_text(key.secret.private_bytes_raw().hex() + "\n")
    (path / "secret").chmod(0o600)

    def data_dir(pkdns="", more="", network_lines=None):
        lines = network_lines or f'dht_bootstrap_nodes = ["{network[0]["dht"]}"]\ndht_relay_nodes = ["{network[1]["http"]}"]'
        (path / "config.toml").write_text(
            f'[drive]\nicann_listen_socket = "{backend}"\n[admin]\nadmin_password = "not to be shown"\n[pkdns]\n{lines}\n{pkdns}\n{more}')
        return path

    return data_dir


@pytest.fixture
def gateway(env, tmp_path):
    """gateway(data_dir, "watch=1s"): starts it; its objects are receipts."""
    started = []

    def gateway(directory, *settings):
        config = tmp_path / "gateway.conf"
        config.write_text("\n".join(["bind=127.0.0.1:0", "port-map=no", "settle=0s", *settings, ""]))
        one = Service([GATEWAY, "--data-dir", str(directory), str(config)], env=env, stdin=subprocess.DEVNULL, stderr=open(tmp_path / "log", "w"))
        started.append(one)
        return one

    yield gateway
    for one in started:
        one.stop()
        one.process.stdout.close()


@pytest.fixture
def call(env, tmp_path):
    """call("--dry-run", …) -> (status, output, messages)"""

    def call(*arguments):
        done = subprocess.run([GATEWAY, *map(str, arguments)], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
        return done.returncode, done.stdout, done.stderr

    return call


@contextlib.contextmanager
def stand_in(network, data, tmp_path):
    """The homeserver: publishes the packet of its key at its start."""
    with open(tmp_path / "homeserver.log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "Tests" / "homeserver.py"), "--key", str(data / "secret"), "--bootstrap", network[0]["dht"]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()
            assert process.wait(PATIENCE) == 0
            process.stdout.close()


@pytest.fixture
def packet(run, network, key):
    """packet(): what the network holds."""

    def packet():
        [found] = run("pkarr-resolve", "--no-relays", "--bootstrap", network[2]["dht"], key.name).objects
        return found

    return packet


def kinds(records):
    return [(record["name"], record["type"]) for record in records]


def test_with_the_data_folder_alone_a_page_is_fetched_by_key(gateway, data_dir, backend, env, network, packet, key, tmp_path):
    assert gateway(data_dir('public_ip = "203.0.113.7"')).next()["stored"]
    found = packet()
    assert kinds(found["records"]) == [*CLASSICAL, ("_iroh", "TXT")]
    assert found["records"][0]["params"] == {"port": 6287, "ipv4hint": ["203.0.113.7"]} and found["records"][2]["address"] == "203.0.113.7"
    (tmp_path / "fetch.conf").write_text("allow-local=yes\n")
    fetched = subprocess.run(
        [FETCH, "-c", str(tmp_path / "fetch.conf"), f"pubky://{key.name}/", "-H", "Pubky-Client-Key: forged"], env={**env, "PKARR_BOOTSTRAP": network[0]["dht"], "PKARR_RELAYS": network[1]["http"]},
        stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
    assert (fetched.returncode, fetched.stdout) == (0, b"hello")
    # The homeserver learns who has proved what, and nothing that a client says of itself.
    [fields] = backend.fields
    assert re.fullmatch("[a-z1-9]{52}", fields["Pubky-Client-Key"]) and fields["Host"] == key.name


def test_the_homeservers_own_tls_is_reached_through_the_same_tunnel(gateway, data_dir, tunnel, key):
    with socket.socket() as tls:
        tls.bind(("127.0.0.1", 0))
        tls.listen()
        tls.settimeout(PATIENCE)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        gateway(data_dir(), f"tls-target=127.0.0.1:{tls.getsockname()[1]}", f"bind=127.0.0.1:{port}").next()
        # The beginning of a ClientHello.
        hello = bytes([22, 3, 1, 0, 4, 1, 0, 0, 0])
        with socket.create_connection(tunnel(f"127.0.0.1:{port}", key=key.name), PATIENCE) as client:
            client.sendall(hello)
            connection, _ = tls.accept()
            with connection:
                assert connection.recv(len(hello), socket.MSG_WAITALL) == hello


def test_what_the_homeserver_has_published_stays_byte_for_byte(gateway, data_dir, network, packet, tmp_path):
    # Its configuration has been changed since it started.
    data = data_dir('public_ip = "203.0.113.7"')
    with stand_in(network, data, tmp_path) as published:
        assert gateway(data).next()["stored"]
        theirs, ours = base64.b64decode(published["payload"])[72 + 12:], base64.b64decode(packet()["payload"])
        names = [record.get("address") for record in packet()["records"]]
    assert "127.0.0.1" in names and "203.0.113.7" not in names
    # The address record's data, which ends the homeserver's message.
    assert theirs[-4:] in ours


def test_the_endpoint_is_announced_as_is_configured(gateway, data_dir, packet):
    more = '[discovery.iroh]\ndirect_addresses = ["quic://203.0.113.7:4433"]\ntxt_ttl_seconds = 300\n'
    gateway(data_dir(more=more)).next()
    announced = [record for record in packet()["records"] if record["name"] == "_iroh"]
    assert announced[0] == {"name": "_iroh", "type": "TXT", "ttl": 300, "strings": ["addr=203.0.113.7:4433"]}


def test_a_setting_of_the_gateway_outranks_the_homeservers_configuration(call, data_dir, network, tmp_path):
    data = data_dir(more='[discovery.iroh]\ntxt_ttl_seconds = 300\nrelay_url = "https://other.example"\n')
    (tmp_path / "gateway.conf").write_text("ttl=40s\niroh-relay=https://relay.example/\naddress=203.0.113.9:1\n")
    status, out, _ = call("--dry-run", "--data-dir", data, tmp_path / "gateway.conf")
    assert status == 0
    announced = [record for record in json.loads(out)["planned"] if record["name"] == "_iroh"]
    assert [(record["ttl"], *record["strings"]) for record in announced] == [(40, "relay=https://relay.example/"), (40, "addr=203.0.113.9:1")]


def test_a_dry_run_shows_what_would_be_published_and_publishes_nothing(call, data_dir, network, run, key, tmp_path):
    data = data_dir(more='[discovery.iroh]\nrelay_url = "https://relay.example"\ndirect_addresses = ["quic://203.0.113.7:4433"]\n')
    status, out, err = call("--dry-run", "--data-dir", data)
    plan = json.loads(out)
    assert status == 0 and plan["live"] is None
    assert kinds(plan["planned"]) == [*CLASSICAL, ("_iroh", "TXT"), ("_iroh", "TXT")]
    assert run("pkarr-resolve", "--no-relays", "--bootstrap", network[2]["dht"], key.name).status == 68
    assert not (tmp_path / "state").exists() and os.listdir(tmp_path / "run") == []
    assert "not to be shown" not in out + err and key.secret.private_bytes_raw().hex() not in out + err


def test_a_dry_run_compares_with_what_the_homeserver_has_published(call, data_dir, network, tmp_path):
    data = data_dir('public_ip = "203.0.113.7"')
    with stand_in(network, data, tmp_path) as published:
        status, out, err = call("--dry-run", "--data-dir", data)
    plan = json.loads(out)
    assert (status, plan["live"]["timestamp"]) == (0, published["timestamp"])
    assert [record["new"] for record in plan["planned"]] == [False, False, False]
    assert kinds(plan["unused"]) == CLASSICAL and "@ A 203.0.113.7 gives way to what is published" in err


def test_a_homeserver_that_publishes_through_the_gateway_does_not_make_it_publish_to_itself(call, data_dir, env, network, tmp_path):
    data = data_dir(network_lines='dht_bootstrap_nodes = ["127.0.0.1:6882"]\ndht_relay_nodes = ["http://127.0.0.1:6882"]')
    (tmp_path / "gateway.conf").write_text("handout=127.0.0.1:6882\n")
    env.update(PKARR_BOOTSTRAP=network[0]["dht"], PKARR_RELAYS=network[1]["http"])
    status, out, err = call("--dry-run", "--data-dir", data, tmp_path / "gateway.conf")
    assert status == 0, err
    assert kinds(json.loads(out)["planned"]) == CLASSICAL


def test_in_a_testnet_nobody_is_asked_whom_the_configuration_names(call, data_dir, env, network, tmp_path):
    (tmp_path / "bin").mkdir()
    resolve = tmp_path / "bin" / "pkarr-resolve"
    resolve.write_text(f'#!/bin/sh\nprintf "%s " "$@" >"{tmp_path}/asked"\nexit 68\n')
    resolve.chmod(0o755)
    env["PATH"] = f"{tmp_path}/bin:{env['PATH']}"
    assert call("--dry-run", "--data-dir", data_dir())[0] == 0
    assert (tmp_path / "asked").read_text().startswith(f"--relay {network[1]['http']}/ --bootstrap {network[0]['dht']} ")
    assert call("--dry-run", "--testnet", "--data-dir", data_dir())[0] == 0
    assert (tmp_path / "asked").read_text().split()[:-1] == ["--testnet"]


def test_what_is_wrong_in_the_homeservers_configuration_is_told_with_its_place(call, data_dir):
    data = data_dir('public_ip = "home.example"')
    status, out, err = call("--data-dir", data)
    assert (status, out) == (78, "")
    assert re.search(r'config\.toml, line 8, column 1: pkdns\.public_ip: expected an IP address, found "home\.example"', err)


def test_a_gateway_that_is_switched_off_does_not_start(call, data_dir):
    status, _, err = call("--data-dir", data_dir(more="[discovery.iroh]\nenabled = false\n"))
    assert status == 78 and "switched off" in err


def test_a_secret_that_others_can_read_is_refused(call, data_dir):
    data = data_dir()
    (data / "secret").chmod(0o644)
    status, _, err = call("--dry-run", "--data-dir", data)
    assert status == 77 and "can be read or changed by others" in err


def test_without_an_answer_a_dry_run_tells_so(call, data_dir, dead_port):
    data = data_dir(network_lines=f'dht_bootstrap_nodes = ["{dead_port}"]\ndht_relay_nodes = []')
    status, out, err = call("--dry-run", "--data-dir", data)
    assert (status, out) == (69, "") and "nobody could tell" in err


@pytest.mark.parametrize("arguments", [["--data-dir"], ["--data-dir", ""], ["--testnet"], ["--dry-run"], ["a", "b"], ["--wrong"]])
def test_a_wrong_call_is_a_usage_error(call, arguments):
    status, _, err = call(*arguments)
    assert status == 64 and "homeserver-gateway" in err


def test_the_manual_page_explains_the_settings_that_help_does(call):
    page = (ROOT / "man" / "homeserver-gateway.1").read_text()
    explained = re.findall(r"Ic ([a-z-]+) Ns = Ns", page)
    assert sorted(explained) == sorted(re.findall(r"^    ([a-z-]+)=", call("--help")[1], re.MULTILINE))
