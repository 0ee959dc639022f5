"""pkarr-serve as the only relay and bootstrap node of a homeserver: what that publishes goes to standard output, and nowhere else."""
import base64
import json
import sys
import urllib.error
import urllib.request
from hashlib import sha1

import pytest

from conftest import PATIENCE, ROOT, Service
from homeserver import DHT
from packets import NOW


@pytest.fixture
def serve(service, network, new_key):
    """(serve, its addresses, the key that it hands out)"""
    key = new_key()
    one = service("pkarr-serve", "--hand-out", key.name, "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--bootstrap", network[0]["dht"])
    line = one.process.stderr.readline().decode()
    assert line.startswith("pkarr-serve: ready: ")
    return one, json.loads(line.partition("ready: ")[2]), key


def request(url, method="GET", body=None):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=PATIENCE) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_what_is_put_is_printed_once_and_published_nowhere(run, serve, network):
    one, addresses, key = serve
    url = f"{addresses['http']}/{key.name}"
    first, second = key.payload(timestamp=NOW), key.payload(key.text("again"), NOW + 1)
    assert [request(url, "PUT", body)[0] for body in (first, first, second, first)] == [204, 204, 204, 409]
    assert [base64.b64decode(one.next()["payload"]) for _ in range(2)] == [first, second]
    assert run("pkarr-resolve", "--no-relays", "--bootstrap", network[2]["dht"], key.name).status == 68
    assert request(url, "PUT", first[:70])[0] == 400
    assert one.stop() == 0 and one.process.stdout.read() == b""


def test_other_keys_are_put_and_found_as_by_any_relay(run, serve, network, new_key):
    _, addresses, _ = serve
    other = new_key()
    assert request(f"{addresses['http']}/{other.name}", "PUT", other.payload())[0] == 204
    assert run("pkarr-resolve", "--no-relays", "--bootstrap", network[2]["dht"], other.name).objects[0]["timestamp"] == NOW
    assert request(f"{addresses['http']}/{other.name}") == (200, other.payload())


def test_its_node_names_nobody_and_looks_up_what_it_is_asked_for(run, serve, network, new_key):
    one, addresses, key = serve
    host, port = addresses["dht"].rsplit(":", 1)
    node, client, other = (host, int(port)), DHT([(host, int(port))]), new_key()
    user = new_key()
    published = {"public_key": user.name, "payload": base64.b64encode(user.payload()).decode()}
    assert run("pkarr-publish", "--no-relays", "--bootstrap", network[1]["dht"], input=json.dumps(published).encode()).status == 0
    # A look-up that takes long is answered without, and the next question finds it.
    found = {}
    while b"v" not in found:
        found = client.ask([(node, b"get", {b"target": sha1(user.bytes).digest()})])[node][b"r"]
        assert not found.get(b"nodes")
    assert (found[b"seq"], found[b"v"]) == (NOW, user.payload()[72:])
    # A put of another key goes on to the network, one of the key itself does not.
    for one_key in (other, key):
        payload = one_key.payload()
        asked, answers = client.put(sha1(one_key.bytes).digest(), {b"k": one_key.bytes, b"seq": NOW, b"sig": payload[:64], b"v": payload[72:]})
        assert asked == 1 and answers[node][b"y"] == b"r"
    assert one.next()["public_key"] == key.name
    resolve = lambda name: run("pkarr-resolve", "--no-relays", "--bootstrap", network[2]["dht"], name)  # noqa: E731
    while resolve(other.name).status == 68:
        pass
    assert resolve(key.name).status == 68


def test_a_homeserver_starts_with_it_alone(serve, tmp_path):
    one, addresses, key = serve
    secret = tmp_path / "secret"
    secret.write_text(key.secret.private_bytes_raw().hex())
    server = Service([sys.executable, str(ROOT / "Tests" / "homeserver.py"), "--key", str(secret), "--bootstrap", addresses["dht"],
                      "--relay", addresses["http"]])
    try:
        started = server.next()
        assert (started["ok"], started["asked"], started["stored"], started["relays"]) == (True, 1, 1, [204])
        assert one.next()["payload"] == started["payload"]
        server.process.stdin.write(b"put\n")
        server.process.stdin.flush()
        assert server.next()["ok"]
    finally:
        server.process.stdin.close()
        server.process.wait(PATIENCE)
        server.process.stdout.close()
        server.process.stderr.close()


def test_it_ends_when_nobody_reads_what_it_hands_out(serve):
    one, _, _ = serve
    one.process.stdout.close()
    assert one.process.wait(PATIENCE) == 0


def test_its_lines_are_what_pkarr_build_reads(run, serve, tmp_path):
    one, addresses, key = serve
    request(f"{addresses['http']}/{key.name}", "PUT", key.payload())
    secret = tmp_path / "secret"
    secret.write_text(key.secret.private_bytes_raw().hex())
    secret.chmod(0o600)
    line = one.process.stdout.readline()
    assert run("pkarr-build", "--key", secret, input=line).objects[0]["previous"] == NOW
