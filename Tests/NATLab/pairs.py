"""Two of our commands, each behind a network of its own, and what becomes of them."""
import contextlib
import hashlib
import json
import socket
import threading
import time

from NATLab.expectations import DIRECT, expected
from NATLab.flows import PIECE, Flow
from NATLab.internet import SERVICES, Internet
from NATLab.kinds import KINDS
from NATLab.links import Link
from NATLab.namespaces import Refused
from NATLab.probe import check
from NATLab.services import RELAY, Service, environment, start_relay

# The pieces of a flow before and after a move, and the seconds between one and the next: 256 KiB, more than what fits into one flight of
# packets, so that acknowledgements have to come back.
PIECES, TICK = 64, 0.002
# Whoever has not got through to the relay after so many seconds is kept from it.
MEETING = 0.2
# A connection that has not moved after so many seconds will not.
LONGEST_MOVE = 15


class Sites:
    """Sites of the kinds, each checked, one that listens and one that dials; as a context gone at its end."""

    def __init__(self, listeners, diallers, link=Link()):
        self.internet, self.link = Internet(), link
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
        # A probe takes what has not come at once for lost.
        return site if self.link.is_plain else self.internet.site(KINDS[name], self.link)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.internet.remove()


class Matrix(Sites):
    """With a relay in between, by whose URL it is known."""

    def __init__(self, listeners, diallers, link=Link(), relay=RELAY):
        self.relay = relay
        super().__init__(listeners, diallers, link)

    def start(self):
        start_relay(self.internet)

    def run(self, listener, dialler):
        """What happens between the two, as an object to be printed."""
        result = {"listener": listener, "dialler": dialler, "expected": expected(KINDS[listener], KINDS[dialler]),
                  "announced": [], "path": None, "remote": None, "first_byte_ms": None, "direct_ms": None, "bytes": 0, "failed": [], "error": None}
        try:
            self.transfer(self.listeners[listener], self.diallers[dialler], result)
        except (Refused, OSError, ValueError, AssertionError) as error:
            result["error"] = str(error)
        result["ok"] = result["error"] is None and result["path"] == result["expected"]
        return result

    def transfer(self, home, away, result):
        tag = f"-{result['listener']}-{result['dialler']}"
        secret = self.internet.path(f"secret{tag}")
        secret.touch(0o600)
        secret.write_text(hashlib.sha256(tag.encode()).hexdigest() + "\n")
        options = [option.format(public=home.public[4]) for option in home.kind.options]
        service = Service(self.internet, home.hosts[0], "quic-listen", "--key", secret, "--relay", self.relay, *options, "--", "cat", tag=tag,
                          env=environment(home))
        try:
            endpoint = service.next()
            # Without its relay it would be known by its addresses only.
            while not endpoint["relay_urls"]:
                endpoint = service.next()
            result["announced"] = endpoint["addresses"]
            file = self.internet.path(f"endpoint{tag}")
            file.write_text(json.dumps(endpoint) + "\n")
            self.dial(away, file, result)
        finally:
            service.stop()

    def dial(self, away, file, result):
        """Through a local port of the dialling host, as a browser would, so that stream lines tell which ways were tried."""
        host, path = away.hosts[-1], file.with_suffix(".sock")
        bridge = Service(self.internet, host, "tunnel-bridge", "connect", "--socket", path, "--listen", "127.0.0.1:0", tag=file.name)
        address, port = bridge.next()["listening"].rsplit(":", 1)
        dialler = Service(self.internet, host, "quic-dial", "--endpoint", file, "--bridge", path, tag=file.name, env=environment(away))
        lines, start = StreamLines(dialler), None
        try:
            # What is measured is a connection's time, and no program's start, nor how link addresses are found out.
            meet_neighbours(host)
            dialler.wait_until_said("is there")
            start = time.monotonic()
            flow = Flow(host, (address, int(port)), TICK)
            try:
                self.converse(flow, lines, result["expected"])
            except (OSError, AssertionError) as error:
                raise Refused(f"the stream broke: {error}" if flow.come else f"no way to the peer: {dialler.said()}") from None
            finally:
                flow.abandon()
                result |= {"first_byte_ms": milliseconds(start, flow.first_byte), "bytes": len(flow.come) * PIECE}
        finally:
            dialler.process.terminate()
            lines.join()
            dialler.stop()
            bridge.stop()
            result["direct_ms"] = milliseconds(start, lines.direct_since())
            for _, line in lines.all:
                result["path"], result["remote"] = line["path"], line["remote"]
                result["failed"] += line["failed"]

    @staticmethod
    def converse(flow, lines, goal):
        """Data flows before, during and after a move to the path that has to be."""
        flow.flows(PIECES)
        if goal == DIRECT and lines.are_direct_within(LONGEST_MOVE):
            flow.flows(PIECES)
        flow.finish()


def meet_neighbours(host):
    """Has a packet go from a host to the relay and back, if one may."""
    for family, address in SERVICES.items():
        with host.inside():
            one = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
        with one:
            one.settimeout(MEETING)
            with contextlib.suppress(OSError):
                one.connect((address, 80))


def milliseconds(start, end):
    return None if end is None else round((end - start) * 1000, 1)


class StreamLines(threading.Thread):
    """What quic-dial prints, and when."""

    def __init__(self, dialler):
        super().__init__(daemon=True)
        self.stream, self.all = dialler.process.stdout, []
        self.come = threading.Condition()
        self.start()

    def run(self):
        for line in self.stream:
            with self.come:
                self.all.append((time.monotonic(), json.loads(line)))
                self.come.notify_all()

    def direct_since(self):
        """When the path became direct that it is on now; None for a relay's."""
        since = None
        for at, line in self.all:
            since = None if line["path"] != DIRECT else since or at
        return since

    def are_direct_within(self, seconds):
        with self.come:
            return self.come.wait_for(self.direct_since, seconds)
