#!/usr/bin/env python3
"""A Mainline DHT of real libtorrent sessions on 127.0.0.1 or ::1, driven by JSON lines.

    libtorrent_dht.py [--nodes 12] [--ipv6] [--bootstrap HOST:PORT]

Prints {"nodes": ["127.0.0.1:PORT", ...]} when every node knows others, then answers each line on standard input with one on
standard output, until end of input:

    {"get": KEY_HEX, "node": 3}                   -> {"seq", "value", "signature", "first_ms", "ms"}, or {"seq": null}
    {"newcomer": KEY_HEX, "node": 3}              -> the same, asked by a new read-only node that knows only that one
    {"client": KEY_HEX, "node": 3}                -> the same and "sent", by one read-only node that stays and has begun at that one
    {"kill": [4, 5]}                              -> {}: these nodes are gone for good, and their ports silent
    {"put": SEED_HEX, "value": HEX, "node": 0}    -> {"stored", "seq"}: libtorrent signs with the sequence it has seen plus one

With --bootstrap the nodes join a network that is there already.
"""
import argparse
import hashlib
import json
import socket
import sys
import time

import libtorrent as lt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# Longest wait for one answer. It decides nothing: who waits so long has failed.
PATIENCE = 60

SETTINGS = {
    "listen_interfaces": "127.0.0.1:0",
    "enable_dht": True,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "dht_bootstrap_nodes": "",               # never the public network
    # All nodes share one address, which libtorrent takes for an attack unless told.
    "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False,
    "dht_prefer_verified_node_ids": False,
    "dht_enforce_node_id": False,
    "dht_ignore_dark_internet": False,
    "dht_block_ratelimit": 1_000_000,
    "dht_upload_rate_limit": 100_000_000,
    "allow_multiple_connections_per_ip": True,
    "alert_mask": lt.alert.category_t.dht_notification,
}


class Node:
    def __init__(self, **settings):
        self.session = lt.session(SETTINGS | settings)
        self.port = next(port for port in self.until(self.session.listen_port))

    @staticmethod
    def until(ask, pause=0.01):
        """Yields what `ask` says once it says something."""
        end = time.monotonic() + PATIENCE
        while not (answer := ask()):
            if time.monotonic() > end:
                sys.exit("libtorrent_dht: a node did not get ready")
            time.sleep(pause)
        yield answer

    def alerts(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.session.wait_for_alert(1000)
            yield from self.session.pop_alerts()

    def known(self):
        self.session.post_dht_stats()
        for alert in self.alerts():
            if isinstance(alert, lt.dht_stats_alert):
                return sum(bucket["num_nodes"] for bucket in alert.routing_table)
        return 0

    def get(self, key):
        self.session.pop_alerts()
        start = time.perf_counter()
        self.session.dht_get_mutable_item(key, b"")
        best = {"seq": None}
        for alert in self.alerts():
            if not isinstance(alert, lt.dht_mutable_item_alert) or bytes(alert.key) != key:
                continue
            elapsed = (time.perf_counter() - start) * 1000
            value = alert.item.get("v", alert.item.get(b"v")) if isinstance(alert.item, dict) else alert.item
            if isinstance(value, (bytes, str)) and (best["seq"] is None or alert.seq >= best["seq"]):
                value = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
                best |= {"seq": alert.seq, "value": value.hex(), "signature": bytes(alert.signature).hex()}
                best.setdefault("first_ms", elapsed)
            # The look-up has come to its end.
            if alert.authoritative:
                return best | {"ms": elapsed}
        return best

    def enter(self, entrance, key):
        """Finds an item from nothing but one address: asks until the answer has it, for libtorrent does not wait to know somebody."""
        start = time.perf_counter()
        self.session.add_dht_node(entrance)
        while time.perf_counter() - start < PATIENCE:
            answer = self.get(key)
            if answer["seq"]:
                return answer | {"ms": (time.perf_counter() - start) * 1000}
        return {"seq": None}

    def sent(self):
        """Messages that the session has sent."""
        self.session.post_session_stats()
        for alert in self.alerts():
            if isinstance(alert, lt.session_stats_alert):
                return alert.values["dht.dht_messages_out"]

    def kill(self):
        """Ends the session and leaves a port that swallows what comes: a closed one would have the kernel tell that it is closed."""
        self.session = None
        self.silence = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for _ in Node.until(self.take_port):
            pass

    def take_port(self):
        try:
            self.silence.bind(("127.0.0.1", self.port))
            return True
        except OSError:
            return False

    def put(self, seed, value):
        self.session.pop_alerts()
        # libtorrent's secret key is the expanded one (RFC 8032, 5.1.5).
        expanded = bytearray(hashlib.sha512(seed).digest())
        expanded[0] &= 248
        expanded[31] = expanded[31] & 63 | 64
        key = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.session.dht_put_mutable_item(bytes(expanded), key, value, b"")
        for alert in self.alerts():
            if isinstance(alert, lt.dht_put_alert) and bytes(alert.public_key) == key:
                return {"stored": alert.num_success, "seq": alert.seq}
        return {"stored": 0}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--nodes", type=int, default=12)
    arguments.add_argument("--ipv6", action="store_true")
    arguments.add_argument("--bootstrap")
    arguments = arguments.parse_args()

    host = "::1" if arguments.ipv6 else "127.0.0.1"
    shown = f"[{host}]" if arguments.ipv6 else host
    if arguments.ipv6:
        SETTINGS["listen_interfaces"] = "[::1]:0"
    nodes = [Node() for _ in range(arguments.nodes)]
    if arguments.bootstrap:
        at, port = arguments.bootstrap.rsplit(":", 1)
        entrances = [(at.strip("[]"), int(port))]
    else:
        entrances = [(host, node.port) for node in nodes[:3]]
    for index, node in enumerate(nodes):
        # Neighbours in a ring spare libtorrent the minutes it takes to find out by itself.
        neighbours = [(host, nodes[index - step].port) for step in range(1, min(12, len(nodes)))]
        for entrance in entrances + neighbours:
            if entrance[1] != node.port:
                node.session.add_dht_node(entrance)
    wanted = min(8, len(nodes) - 1) if not arguments.bootstrap else 1
    for node in nodes:
        next(Node.until(lambda: node.known() >= wanted, pause=0.1))
    print(json.dumps({"nodes": [f"{shown}:{node.port}" for node in nodes]}), flush=True)

    client = None
    for line in sys.stdin:
        order = json.loads(line)
        node = nodes[order.get("node", 0)]
        if "get" in order:
            answer = node.get(bytes.fromhex(order["get"]))
        elif "newcomer" in order:
            answer = Node(dht_read_only=True).enter((host, node.port), bytes.fromhex(order["newcomer"]))
        elif "client" in order:
            key = bytes.fromhex(order["client"])
            if client is None:
                client = Node(dht_read_only=True)
                client.enter((host, node.port), key)
            before = client.sent()
            answer = client.get(key)
            answer["sent"] = client.sent() - before
        elif "kill" in order:
            for index in order["kill"]:
                nodes[index].kill()
            answer = {}
        else:
            answer = node.put(bytes.fromhex(order["put"]), bytes.fromhex(order["value"]))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
