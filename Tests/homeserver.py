#!/usr/bin/env python3
"""What a stock Pubky homeserver does with its own key, and nothing else of it (spec/pkarr-wire.md, 4.1).

    homeserver.py --key FILE [--port PORT] [--bootstrap HOST:PORT]... [--relay URL]... [--every SECONDS]

It signs one packet at its start, with the present time, and puts it on the DHT and on relays. If that fails it does not start: exit
status 1. Then it puts the identical bytes again each hour, or as often as it is told, and for each line on standard input. It never looks
at what is there. Each put gives a line on standard output:

    {"timestamp": T, "payload": BASE64, "asked": 20, "stored": 20, "conflicts": 0, "relays": [204], "ok": true}
"""
import argparse
import base64
import json
import os
import secrets
import select
import socket
import struct
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha1

from packets import Key

# The mainline library's: a request that takes longer is given up, and so many nodes get an item.
TIMEOUT, WIDTH = 2, 20
RECORD_TTL = 3600
PATIENCE = 30


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


def bdecode(data, start=0):
    """The value and where it ends."""
    mark = data[start:start + 1]
    if mark == b"i":
        end = data.index(b"e", start)
        return int(data[start + 1:end]), end + 1
    if mark in (b"d", b"l"):
        items, place = [], start + 1
        while data[place:place + 1] != b"e":
            item, place = bdecode(data, place)
            items.append(item)
        return (items if mark == b"l" else dict(zip(items[::2], items[1::2]))), place + 1
    colon = data.index(b":", start)
    end = colon + 1 + int(data[start:colon])
    return data[colon + 1:end], end


class DHT:
    """A read-only client: looks for the closest nodes as the mainline library does, asking all it has heard of, and puts."""

    def __init__(self, bootstraps, port=0):
        self.bootstraps = bootstraps
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("", port))
        self.id = secrets.token_bytes(20)

    def ask(self, queries):
        """queries: [(address, method, arguments)] -> {address: message}, when all have answered or the time is over."""
        waiting = {}
        for address, method, arguments in queries:
            transaction = secrets.token_bytes(4)
            waiting[transaction] = address
            message = {b"t": transaction, b"y": b"q", b"q": method, b"ro": 1, b"a": {b"id": self.id, **arguments}}
            self.socket.sendto(bencode(message), address)
        answers, end = {}, time.monotonic() + TIMEOUT
        while waiting and (left := end - time.monotonic()) > 0:
            if not select.select([self.socket], [], [], left)[0]:
                break
            data, address = self.socket.recvfrom(4096)
            message = bdecode(data)[0]
            if waiting.get(message.get(b"t")) == address:
                answers[waiting.pop(message[b"t"])] = message
        return answers

    def put(self, target, item):
        """(nodes asked, answers): the look-up, then the put at the closest that have answered."""
        known, asked, tokens = {}, set(), {}
        todo = list(self.bootstraps)
        while todo:
            asked.update(todo)
            for address, message in self.ask([(address, b"get", {b"target": target}) for address in todo]).items():
                answer = message.get(b"r", {})
                if b"token" in answer:
                    known[address], tokens[address] = answer[b"id"], answer[b"token"]
                nodes = answer.get(b"nodes", b"")
                for place in range(0, len(nodes) - 25, 26):
                    port, = struct.unpack(">H", nodes[place + 24:place + 26])
                    known.setdefault((socket.inet_ntoa(nodes[place + 20:place + 24]), port), nodes[place:place + 20])
            todo = [address for address in self.closest(known, target) if address not in asked]
        closest = self.closest({address: known[address] for address in tokens}, target)
        return len(closest), self.ask([(address, b"put", {**item, b"token": tokens[address]}) for address in closest])

    @staticmethod
    def closest(known, target):
        distance = lambda address: int.from_bytes(known[address]) ^ int.from_bytes(target)  # noqa: E731
        return sorted(known, key=distance)[:WIDTH]


def message(key):
    """The records of a fresh homeserver: HTTPS for its port, HTTPS for its domain "localhost", A; all at the apex."""
    apex = bytes([52]) + key.name.encode() + b"\0"

    def record(kind, data):
        return apex + struct.pack(">HHIH", kind, 1, RECORD_TTL, len(data)) + data

    direct = struct.pack(">H", 1) + b"\0" + struct.pack(">HHH", 3, 2, 6287) + struct.pack(">HH", 4, 4) + bytes([127, 0, 0, 1])
    domain = struct.pack(">H", 10) + b"\x09localhost\0" + struct.pack(">HHH", 65280, 2, 6286)
    return bytes.fromhex("000080000000000300000000") + record(65, direct) + record(65, domain) + record(1, bytes([127, 0, 0, 1]))


def put_to_relay(url, key, payload):
    try:
        request = urllib.request.Request(f"{url}/{key.name}", payload, method="PUT")
        # A put is a put on the relay's side too.
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def publish(key, payload, dht, relays):
    timestamp, value = int.from_bytes(payload[64:72]), payload[72:]
    item = {b"k": key.bytes, b"seq": timestamp, b"sig": payload[:64], b"v": value}
    with ThreadPoolExecutor() as pool:
        statuses = pool.map(lambda url: put_to_relay(url, key, payload), relays)
        asked, answers = dht.put(sha1(key.bytes).digest(), item) if dht.bootstraps else (0, {})
        statuses = list(statuses)
    stored = sum(answer[b"y"] == b"r" for answer in answers.values())
    conflicts = sum(answer[b"y"] == b"e" and answer[b"e"][0] in (301, 302) for answer in answers.values())
    # The DHT: a conflict if most say so, an error if nobody stores it (3.4). Relays: a conflict if as many say so as store it (2.4).
    successes = (stored > 0 and conflicts * 2 <= asked) + statuses.count(204)
    failures = (conflicts * 2 > asked > 0) + statuses.count(409)
    ok = successes > failures
    print(json.dumps({"timestamp": timestamp, "payload": base64.b64encode(payload).decode(), "asked": asked, "stored": stored,
                      "conflicts": conflicts, "relays": statuses, "ok": ok}), flush=True)
    return ok


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--key", required=True)
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--bootstrap", action="append", default=[])
    arguments.add_argument("--relay", action="append", default=[])
    arguments.add_argument("--every", type=float, default=3600)
    arguments = arguments.parse_args()

    with open(arguments.key) as file:
        key = Key(int(file.read(), 16))
    dht = DHT([(host, int(port)) for host, port in (text.rsplit(":", 1) for text in arguments.bootstrap)], arguments.port)
    # pkarr's clock: the low byte is the process's own (1.3).
    now = time.time_ns() // 1000 | os.getpid() & 0xff
    payload = key.payload(message(key), now)
    if not publish(key, payload, dht, arguments.relay):
        sys.exit(1)
    while True:
        if select.select([sys.stdin], [], [], arguments.every)[0] and not sys.stdin.readline():
            return
        publish(key, payload, dht, arguments.relay)


if __name__ == "__main__":
    main()
