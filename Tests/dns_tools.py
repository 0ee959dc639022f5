"""DNS messages for the tests: packets with any records, and ways to ask as real clients do."""
import socket
import subprocess
import threading
import time
import urllib.request

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rdatatype
import dns.rrset

PATIENCE = 60


def zone_message(key, *records):
    """A pkarr DNS message: records are (name relative to the key or "@", TTL, type, text as in a master file)."""
    message = dns.message.Message(id=0)
    message.flags = dns.flags.QR
    for name, ttl, kind, text in records:
        owner = f"{key.name}." if name == "@" else f"{name}.{key.name}."
        message.answer.append(dns.rrset.from_text(owner, ttl, "IN", kind, text))
    return message.to_wire(max_size=65535)


def publish(addresses, key, *records, timestamp=None):
    """Puts a packet with these records through a relay."""
    payload = key.payload(zone_message(key, *records), timestamp or int(time.time() * 1_000_000))
    request = urllib.request.Request(f"{addresses['http']}/{key.name}", payload, method="PUT")
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        assert response.status == 204


def endpoint(address):
    host, port = address.rsplit(":", 1)
    return host.strip("[]"), int(port)


def dig(address, *arguments):
    """What dig prints, without retries: an answer has to come of the one question."""
    host, port = endpoint(address)
    finished = subprocess.run(
        ["dig", f"@{host}", "-p", str(port), "+tries=1", f"+timeout={PATIENCE}", *arguments], capture_output=True, text=True, timeout=2 * PATIENCE)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def short(address, *arguments):
    return sorted(dig(address, "+short", *arguments).split("\n")[:-1])


def ask(address, name, kind="A", tcp=False, **options):
    """The answer to a question, as dnspython reads it."""
    question = dns.message.make_query(name, kind, **{"use_edns": 0, "payload": 1232, **options})
    return exchange(address, question, tcp)


def exchange(address, question, tcp=False):
    host, port = endpoint(address)
    return (dns.query.tcp if tcp else dns.query.udp)(question, host, PATIENCE, port)


def reasons(answer):
    """The extended errors of an answer."""
    return [option.code for option in answer.options if option.otype == dns.edns.OptionType.EDE]


class LyingServer:
    """A DNS server on UDP whose answers the test decides: answer(bytes) -> list of datagrams."""

    def __init__(self, answer):
        self.queries = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"

        def serve():
            while True:
                try:
                    query, client = self.socket.recvfrom(4096)
                except OSError:
                    return
                self.queries.append((query, client))
                for datagram in answer(query):
                    self.socket.sendto(datagram, client)

        threading.Thread(target=serve, daemon=True).start()

    def stop(self):
        self.socket.close()
