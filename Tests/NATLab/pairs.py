"""Two of our commands, each behind a network of its own, and what becomes of them."""
import hashlib
import json
import socket
import threading
import time

from NATLab.expectations import expected
from NATLab.internet import Internet
from NATLab.kinds import KINDS
from NATLab.namespaces import Refused
from NATLab.probe import check
from NATLab.services import PATIENCE, RELAY, Service, environment, start_relay

# More than what fits into one flight of packets, so that acknowledgements have to come back.
SIZE = 256 << 10


def content(*names):
    """Bytes that belong to one pair."""
    return hashlib.shake_128(" ".join(names).encode()).digest(SIZE)


class Sites:
    """Sites of the kinds, each checked, one that listens and one that dials; as a context gone at its end."""

    def __init__(self, listeners, diallers):
        self.internet = Internet()
        try:
            self.listeners = {name: self.site(name) for name in listeners}
            shared = {name: site for name, site in self.listeners.items() if site.kind.together}
            self.diallers = {name: shared.get(name) or self.site(name) for name in diallers}
            self.start()
        except BaseException:
            self.internet.remove()
            raise

    def start(self):
        """What else there is to be."""

    def site(self, name):
        site = self.internet.site(KINDS[name])
        check(site)
        return site

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.internet.remove()


class Matrix(Sites):
    """With a relay in between."""

    def start(self):
        start_relay(self.internet)

    def run(self, listener, dialler):
        """What happens between the two, as an object to be printed."""
        result = {"listener": listener, "dialler": dialler, "expected": expected(KINDS[listener], KINDS[dialler]), "path": None,
                  "remote": None, "first_byte_ms": None, "bytes": 0, "failed": [], "error": None}
        try:
            self.transfer(self.listeners[listener], self.diallers[dialler], content(listener, dialler), result)
        except (Refused, OSError, ValueError) as error:
            result["error"] = str(error)
        result["ok"] = result["error"] is None and result["path"] == result["expected"]
        return result

    def transfer(self, home, away, data, result):
        tag = f"-{result['listener']}-{result['dialler']}"
        secret = self.internet.path(f"secret{tag}")
        secret.touch(0o600)
        secret.write_text(hashlib.sha256(tag.encode()).hexdigest() + "\n")
        options = [option.format(public=home.public[4]) for option in home.kind.options]
        service = Service(self.internet, home.hosts[0], "quic-listen", "--key", secret, "--relay", RELAY, *options, "--", "cat", tag=tag,
                          env=environment(home))
        try:
            endpoint = service.next()
            # Without its relay it would be known by its addresses only.
            while not endpoint["relay_urls"]:
                endpoint = service.next()
            file = self.internet.path(f"endpoint{tag}")
            file.write_text(json.dumps(endpoint) + "\n")
            self.dial(away, file, data, result)
        finally:
            service.stop()

    def dial(self, away, file, data, result):
        """Through a local port of the dialling host, as a browser would, so that stream lines tell which ways were tried."""
        host, path = away.hosts[-1], file.with_suffix(".sock")
        bridge = Service(self.internet, host, "tunnel-bridge", "connect", "--socket", path, "--listen", "127.0.0.1:0", tag=file.name)
        address, port = bridge.next()["listening"].rsplit(":", 1)
        dialler = Service(self.internet, host, "quic-dial", "--endpoint", file, "--bridge", path, tag=file.name, env=environment(away))
        try:
            with host.inside():
                client = socket.socket()
            with client:
                answer = ask(client, (address, int(port)), data, result)
        finally:
            lines = dialler.rest()
            bridge.stop()
        for line in lines:
            result["path"], result["remote"] = line["path"], line["remote"]
            result["failed"] += line["failed"]
        result["bytes"] = len(answer)
        if not answer:
            raise Refused(f"no way to the peer: {dialler.said()}")
        if answer != data:
            raise Refused(f"what came back is not what was sent, from byte {differs(answer, data)}")


def ask(client, address, data, result):
    """What comes back for the data, to its end."""
    client.settimeout(PATIENCE)
    start = time.monotonic()
    client.connect(address)
    writer = threading.Thread(target=write, args=(client, data), daemon=True)
    writer.start()
    answer = bytearray()
    try:
        while piece := client.recv(1 << 16):
            if not answer:
                result["first_byte_ms"] = round((time.monotonic() - start) * 1000, 1)
            answer += piece
    except ConnectionResetError:
        pass  # as a bridge does that has no way to the peer
    writer.join()
    return bytes(answer)


def differs(one, other):
    """Where two strings of bytes cease to be the same."""
    return next((at for at, pair in enumerate(zip(one, other)) if pair[0] != pair[1]), min(len(one), len(other)))


def write(client, data):
    try:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # whoever reads the answer finds out
