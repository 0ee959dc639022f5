"""The commands' side of the hand-over protocol, spoken by hand: what quic-listen and quic-dial do at a bridge's socket."""
import array
import json
import os
import socket

from conftest import PATIENCE


class Handover:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(path))

    def send(self, message, *descriptors):
        """One message, or raw bytes, with descriptors beside it."""
        data = message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        sent = self.socket.sendmsg([data], control)
        if sent < len(data):
            self.socket.sendall(data[sent:])

    def receive(self):
        """The next message and its descriptor as a socket, or None. Raises EOFError when the bridge has closed."""
        line, descriptors = b"", []
        while not line.endswith(b"\n"):
            waiting = self.socket.recv(65536, socket.MSG_PEEK)
            # One line at a time, so that a descriptor is known to be this line's.
            data, received, _, _ = socket.recv_fds(self.socket, waiting.find(b"\n") + 1 or len(waiting) or 1, 8)
            if not data:
                raise EOFError
            line += data
            descriptors += received
        assert len(descriptors) <= 1
        return json.loads(line), socket.socket(fileno=descriptors[0]) if descriptors else None

    def is_closed(self):
        """Waits until the bridge closes the channel."""
        try:
            return self.socket.recv(65536) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()


class Listen(Handover):
    """quic-listen: asks for connections."""

    def request(self, number, peer, **fields):
        self.send({"open": {"id": number, "peer": peer, "alpn": "pubky/iroh-homeserver/0", "path": "direct", **fields}})

    def open(self, number, peer, **fields):
        self.request(number, peer, **fields)
        return self.receive()


class Dial(Handover):
    """quic-dial: is asked for streams."""

    def is_known(self):
        """Waits until the bridge has accepted this dialler: it answers what a dialler never asks."""
        self.send({"open": {"id": 0, "peer": None}})
        return "error" in self.receive()[0]

    def accept(self, number, path="direct"):
        self.send({"id": number, "ok": True, "path": path})

    def refuse(self, number, reason):
        self.send({"id": number, "error": reason})


def descriptors_of(process, path):
    """How many descriptors a bridge has open once it has dealt with all that was said to it."""
    for _ in range(2):
        last = Handover(path)
        last.send(b"goodbye\n")
        last.is_closed()
        last.close()
    return len(os.listdir(f"/proc/{process.pid}/fd"))


class ClientBridge:
    """A bridge beside a client, to which quic-dial connects: asks for streams."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.settimeout(PATIENCE)
        self.listener.bind(str(path))
        self.listener.listen()

    def accept(self):
        """The dialler that connects next, as a Handover."""
        dialler = Handover.__new__(Handover)
        dialler.socket, _ = self.listener.accept()
        dialler.socket.settimeout(PATIENCE)
        return dialler

    @staticmethod
    def ask(dialler, number, peer, **fields):
        """Asks for a stream to a peer; the near end of its socket."""
        near, far = socket.socketpair()
        dialler.send({"open": {"id": number, "peer": peer, **fields}}, far.fileno())
        far.close()
        near.settimeout(PATIENCE)
        return near

    def close(self):
        self.listener.close()
