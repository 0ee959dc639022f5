"""The DHT against real libtorrent nodes: what one side stores the other finds, byte for byte."""
import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import PATIENCE, lines
from packets import NOW, Key

PEER = Path(__file__).parent / "peers" / "libtorrent_dht.py"
RECORDS = {"records": [{"name": "@", "type": "A", "ttl": 300, "address": "203.0.113.7"},
                       {"name": "_iroh", "type": "TXT", "ttl": 30, "strings": ["relay=https://relay.example/"]}]}


class Network:
    """A libtorrent_dht.py process."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, PEER, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.nodes = self.read()["nodes"]

    def read(self):
        line = self.process.stdout.readline()
        assert line, "the libtorrent network has ended"
        return json.loads(line)

    def order(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def network():
    network = Network("--nodes", 24)
    yield network
    network.close()


@pytest.fixture
def key(run, tmp_path):
    path = tmp_path / "secret"
    run("pkarr-build", "--generate-key", path)
    return path


def build(run, key, timestamp, records=RECORDS):
    done = run("pkarr-build", "--key", key, "--at", timestamp, input=lines(records))
    assert done.status == 0, done.err
    return done.objects[0]


def parts(packet):
    """Signature and DNS message of a packet line, in hexadecimal."""
    payload = base64.b64decode(packet["payload"])
    return payload[:64].hex(), payload[72:].hex()


def public_key_hex(key):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key.read_text().strip())).public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()


def on_dht(*bootstraps):
    return ["--no-relays", *(word for node in bootstraps for word in ("--bootstrap", node))]


def test_what_pkarr_publish_stores_libtorrent_finds_byte_for_byte(run, network, key):
    packet = build(run, key, 1764000000000000)
    done = run("pkarr-publish", *on_dht(network.nodes[3]), input=lines(packet))
    assert done.status == 0, done.err
    signature, message = parts(packet)
    for node in (0, 7, 23):
        found = network.order(get=public_key_hex(key), node=node)
        assert (found["seq"], found["signature"], found["value"]) == (1764000000000000, signature, message)


def test_the_packets_of_many_keys_reach_libtorrent_unchanged(run, network):
    keys = [Key(7_000_000 + number) for number in range(300)]
    done = run("pkarr-publish", *on_dht(network.nodes[6]), "--rate", "unlimited", input=lines(*(key.packet() for key in keys)))
    assert (done.status, done.err) == (0, "pkarr-publish: 300 packets: 300 stored\n")
    assert [receipt["public_key"] for receipt in done.objects] == [key.name for key in keys]
    for number in (0, 123, 299):
        found = network.order(get=keys[number].bytes.hex(), node=number % 24)
        assert (found["seq"], found["value"], found["signature"]) == (NOW, keys[number].text("hello").hex(), keys[number].payload()[:64].hex())


def test_what_libtorrent_stores_pkarr_resolve_finds_byte_for_byte(run, network, key):
    packet = build(run, key, 1764000000000000)
    _, message = parts(packet)
    stored = network.order(put=key.read_text().strip(), value=message, node=5)
    assert stored["stored"] > 0
    done = run("pkarr-resolve", *on_dht(network.nodes[11]), packet["public_key"])
    assert done.status == 0, done.err
    found = done.objects[0]
    assert found["public_key"] == packet["public_key"] and found["timestamp"] == stored["seq"]
    assert parts(found)[1] == message


def test_libtorrent_and_pkarr_publish_take_turns(run, network, key):
    """libtorrent's put counts on from our timestamp, and ours replaces libtorrent's in turn."""
    first = build(run, key, 1764000000000000)
    run("pkarr-publish", *on_dht(network.nodes[0]), input=lines(first))
    second = network.order(put=key.read_text().strip(), value=parts(first)[1], node=9)
    assert second["seq"] == 1764000000000001
    third = build(run, key, 1764000000000002)
    # It is not built on libtorrent's, so it would not replace it without being told to.
    run("pkarr-publish", "--overwrite", *on_dht(network.nodes[0]), input=lines(third))
    done = run("pkarr-resolve", *on_dht(network.nodes[20]), third["public_key"])
    assert [packet["timestamp"] for packet in done.objects] == [1764000000000002]
    assert network.order(get=public_key_hex(key), node=13)["seq"] == 1764000000000002


def test_an_older_packet_is_not_stored_over_a_newer_one(run, network, key):
    newer, older = build(run, key, 1764000000000009), build(run, key, 1764000000000001)
    run("pkarr-publish", *on_dht(network.nodes[0]), input=lines(newer))
    done = run("pkarr-publish", *on_dht(network.nodes[8]), input=lines(older))
    assert done.objects, done.err
    assert network.order(get=public_key_hex(key), node=2)["seq"] == 1764000000000009


def test_996_bytes_are_stored_by_libtorrent_and_997_are_not(run, network, key):
    """libtorrent counts the bencoded value: 1000 bytes are 996 of DNS message."""
    def packet(size):
        probe = {"records": [{"name": "@", "type": "TXT", "ttl": 1, "strings": ["x" * 200] * 4 + ["x"]}]}
        base = len(parts(build(run, key, 1, probe))[1]) // 2
        probe["records"][0]["strings"][-1] = "x" * (1 + size - base)
        return build(run, key, 1764000000000000 + size, probe)

    largest = packet(996)
    assert run("pkarr-publish", *on_dht(network.nodes[1]), input=lines(largest)).status == 0
    assert network.order(get=public_key_hex(key), node=4)["value"] == parts(largest)[1]
    refused = run("pkarr-publish", *on_dht(network.nodes[1]), input=lines(packet(997)))
    assert refused.status != 0
    assert network.order(get=public_key_hex(key), node=4)["seq"] == 1764000000000996


def test_pkarr_serve_answers_libtorrents_put_and_get(run, service, key):
    """In a network of pkarr-serve nodes which two libtorrent nodes join: one puts, the other gets."""
    first = service("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0").next()["dht"]
    others = [service("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--bootstrap", first).next()["dht"]
              for _ in range(3)]
    packet = build(run, key, 1764000000000000)
    signature, message = parts(packet)
    # Both stay to the end: libtorrent waits long for a node that has gone.
    publisher, reader = Network("--nodes", 1, "--bootstrap", first), Network("--nodes", 1, "--bootstrap", others[1])
    try:
        stored = publisher.order(put=key.read_text().strip(), value=message)
        assert stored["stored"] > 0
        done = run("pkarr-resolve", *on_dht(*others), packet["public_key"])
        assert done.status == 0, done.err
        assert parts(done.objects[0])[1] == message

        assert run("pkarr-publish", "--overwrite", *on_dht(others[0]), input=lines(packet)).status == 0
        found = reader.order(get=public_key_hex(key))
        assert (found["seq"], found["signature"], found["value"]) == (1764000000000000, signature, message)
    finally:
        publisher.close()
        reader.close()


def test_an_audit_tells_what_each_libtorrent_node_has(run, network, key):
    """libtorrent stores at 8 nodes; pkarr-publish then finds the old packets there and replaces them. How many of the others a look-up
    meets is up to libtorrent, which names only the closest it knows."""
    def audit(entrance):
        done = run("pkarr-resolve", "--audit", *on_dht(network.nodes[entrance]), packet["public_key"])
        *nodes, verdict = done.objects
        assert {node["address"] for node in nodes} <= set(network.nodes) and all(node["round_trip_ms"] > 0 for node in nodes)
        assert verdict["well_stored"] == (verdict["nodes"]["newest"] >= 10)
        assert (done.status == 0) == (verdict["outcome"] in ("well-stored", "agreed"))
        return {node["address"]: node for node in nodes}, verdict

    packet = build(run, key, 1764000000000000)
    stored = network.order(put=key.read_text().strip(), value=parts(packet)[1], node=5)
    nodes, verdict = audit(11)
    holders = {address for address, node in nodes.items() if node["outcome"] == "newest"}
    assert holders and len(holders) <= stored["stored"] and {node["outcome"] for node in nodes.values()} <= {"newest", "nothing"}
    assert {(nodes[address]["timestamp"], nodes[address]["hash"]) for address in holders} == {
        (stored["seq"], hashlib.sha256(bytes.fromhex(parts(packet)[1])).hexdigest())}
    assert not verdict["well_stored"]

    newer = build(run, key, stored["seq"] + 1)
    published = run("pkarr-publish", "--overwrite", *on_dht(network.nodes[2]), input=lines(newer))
    receipt = {node["address"]: node for node in published.objects[0]["dht"]["nodes"]}
    assert published.status == 0 and {node["outcome"] for node in receipt.values()} == {"stored"}
    assert {node["had"] and node["had"]["timestamp"] for node in receipt.values()} <= {None, stored["seq"]}
    for address in holders & receipt.keys():
        assert receipt[address]["had"]["timestamp"] == stored["seq"]

    nodes, verdict = audit(20)
    assert verdict["timestamp"] == stored["seq"] + 1 and nodes.keys() & receipt.keys()
    for address in nodes.keys() & receipt.keys():
        assert (nodes[address]["outcome"], nodes[address]["timestamp"]) == ("newest", stored["seq"] + 1)


def test_over_ipv6_both_find_what_the_other_stores(run, service, key, tmp_path):
    """A network of libtorrent's IPv6 nodes (BEP 32), which a pkarr-serve joins."""
    network = Network("--nodes", 8, "--ipv6")
    try:
        packet = build(run, key, 1764000000000000)
        signature, message = parts(packet)
        done = run("pkarr-publish", *on_dht(network.nodes[3]), input=lines(packet))
        assert done.status == 0, done.err
        found = network.order(get=public_key_hex(key), node=5)
        assert (found["seq"], found["signature"], found["value"]) == (1764000000000000, signature, message)

        assert network.order(put=key.read_text().strip(), value=message, node=1)["seq"] == 1764000000000001
        joined = service("pkarr-serve", "--dht-bind", "[::1]:0", "--http", "127.0.0.1:0", "--bootstrap", network.nodes[0]).next()
        assert joined["dht"].startswith("[::1]:")
        for entrance in (network.nodes[6], joined["dht"]):
            done = run("pkarr-resolve", *on_dht(entrance), packet["public_key"])
            assert done.status == 0, done.err
            assert [packet["timestamp"] for packet in done.objects] == [1764000000000001]
    finally:
        network.close()
