"""A connection of our commands between two sites with data flowing both ways, and what becomes of it when something happens."""
import contextlib
import hashlib
import json
import socket
import threading
import time

from NATLab.internet import Internet
from NATLab.kinds import KINDS
from NATLab.links import Link
from NATLab.namespaces import Refused
from NATLab.services import PATIENCE, RELAY, Service, environment, start_relay

# So many bytes so often, each with its place in the flow in it: 400 KB/s, a video's rate, that any pause can be seen in.
TICK, PIECE = 0.01, 4096


def content(number):
    """The bytes of the n-th piece."""
    return hashlib.shake_128(b"%d" % number).digest(PIECE)


class Flow:
    """Pieces that go to an echo at the listener and come back, one each `tick` seconds; each byte is compared when it does."""

    def __init__(self, host, address, tick=TICK):
        with host.inside():
            self.client = socket.socket()
        self.client.settimeout(4 * PATIENCE)
        self.tick = tick
        self.client.connect(address)
        self.first_byte = None
        self.sent, self.come = [], []  # when each piece was
        self.error = None
        self.ending = threading.Event()
        self.changed = threading.Condition()
        self.threads = [threading.Thread(target=self.guard, args=(body,), daemon=True) for body in (self.write, self.read)]
        for thread in self.threads:
            thread.start()

    def guard(self, body):
        try:
            body()
        except (OSError, AssertionError) as error:
            self.fail(error)

    def fail(self, error):
        with self.changed:
            self.error = self.error or error
            self.changed.notify_all()

    def write(self):
        due = time.monotonic()
        while not self.ending.is_set():
            self.sent.append(time.monotonic())
            self.client.sendall(content(len(self.sent) - 1))
            # One that was held up does not hurry after.
            due = max(due + self.tick, time.monotonic())
            self.ending.wait(due - time.monotonic())
        self.client.shutdown(socket.SHUT_WR)

    def read(self):
        rest = bytearray()
        while data := self.client.recv(1 << 16):
            self.first_byte = self.first_byte or time.monotonic()
            rest += data
            while len(rest) >= PIECE:
                assert rest[:PIECE] == content(len(self.come)), f"piece {len(self.come)} is not what was sent"
                del rest[:PIECE]
                with self.changed:
                    self.come.append(time.monotonic())
                    self.changed.notify_all()
        assert self.ending.is_set() and not rest, "the stream has ended"

    def wait(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(lambda: self.error or condition(), 4 * PATIENCE):
                raise Refused(f"still waiting for {what}")
        if self.error:
            raise self.error

    def flows(self, pieces=50):
        """Until so many more have come."""
        goal = len(self.come) + pieces
        self.wait(lambda: len(self.come) >= goal, "data")

    def resumes(self, since):
        """Seconds from then until the first piece was back that had been sent later."""
        def first():
            number = next((number for number, sent in enumerate(self.sent) if sent > since), None)
            return number if number is not None and number < len(self.come) else None
        self.wait(lambda: first() is not None, "what was sent since then")
        took = self.come[first()] - since
        # For whoever reads what pytest -rP shows.
        print(f"resumed after {took:.3f} s")
        return took

    def longest_gap(self, since):
        """The longest time between one piece and the next that came after then."""
        times = [time for time in self.come if time >= since]
        return max((later - earlier for earlier, later in zip(times, times[1:])), default=0)

    def finish(self):
        """Ends in order: everything that was sent has come back."""
        self.ending.set()
        for thread in self.threads:
            thread.join(4 * PATIENCE)
        self.client.close()
        if self.error:
            raise self.error
        assert len(self.come) == len(self.sent)

    def abandon(self):
        """Ends it as it is."""
        self.ending.set()
        with contextlib.suppress(OSError):
            self.client.shutdown(socket.SHUT_RDWR)
        self.client.close()


class Pair:
    """quic-listen with an echo at one site, tunnel-bridge and quic-dial at the other; as a context gone at its end.

    `link` is the dialling site's. `with_addresses`: whether the dialler knows the addresses that the listener announces.
    """

    def __init__(self, listener, dialler, link=Link(), with_addresses=True):
        self.internet = Internet()
        try:
            self.home, self.away = (self.internet.site(one if hasattr(one, "name") else KINDS[one], how)
                                    for one, how in ((listener, Link()), (dialler, link)))
            self.relay = start_relay(self.internet)
            self.start(with_addresses)
        except BaseException:
            self.internet.remove()
            raise

    def start(self, with_addresses):
        secret = self.internet.path("secret")
        secret.touch(0o600)
        secret.write_text("17" * 32 + "\n")
        options = [option.format(public=self.home.public[4]) for option in self.home.kind.options]
        self.listener = Service(self.internet, self.home.hosts[0], "quic-listen", "--key", secret, "--relay", RELAY, *options, "--", "cat",
                                env=environment(self.home))
        endpoint = self.listener.next()
        while not endpoint["relay_urls"]:
            endpoint = self.listener.next()
        if not with_addresses:
            endpoint["addresses"] = []
        self.endpoint = endpoint
        file, path = self.internet.path("endpoint"), self.internet.path("bridge")
        file.write_text(json.dumps(endpoint) + "\n")
        self.host = self.away.hosts[-1]
        self.bridge = Service(self.internet, self.host, "tunnel-bridge", "connect", "--socket", path, "--listen", "127.0.0.1:0")
        address, port = self.bridge.next()["listening"].rsplit(":", 1)
        self.address = address, int(port)
        self.dialler = Service(self.internet, self.host, "quic-dial", "--endpoint", file, "--bridge", path, env=environment(self.away))
        self.flow = Flow(self.host, self.address)
        self.flow.flows()

    def path(self, *words):
        """Reads stream lines until the connection is on one of these paths; that line."""
        while (line := self.dialler.next())["path"] not in words:
            pass
        return line

    def stays(self):
        """Ends everything in order; it was one connection from beginning to end, and every byte was right."""
        self.flow.finish()
        self.dialler.rest()
        said = self.dialler.log.read_text(errors="replace")
        ended = [line for line in said.splitlines() if " ended: " in line]
        assert [line.split(" ended: ")[1] for line in ended] == ["closed by us with code 0"], said

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.flow.abandon()
        self.internet.remove()
