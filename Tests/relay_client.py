"""A client of an iroh relay, as bare as can be, so that tests can be as rude as they like."""
import base64
import os
import socket
import struct

import blake3
from OpenSSL import SSL

from packets import Key

CHALLENGE, AUTH, CONFIRMED, DENIED, DATAGRAM, RELAYED, GONE, PING, PONG, RESTARTING, STATUS = 0, 1, 2, 3, 4, 6, 8, 9, 10, 12, 13
EXPORTER, HEADER = b"iroh-relay handshake v1", "X-Iroh-Relay-Client-Auth-V1"


class Closed(Exception):
    """The relay has closed the connection, with a WebSocket status or without."""

    def __init__(self, status=None):
        super().__init__(status)
        self.status = status


class TLSSocket:
    """What a socket does, over TLS and without checking whose certificate it is."""

    def __init__(self, plain):
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        self.plain, self.tls = plain, SSL.Connection(context, None)
        self.tls.set_tlsext_host_name(b"relay.test")
        self.tls.set_connect_state()
        while True:
            try:
                self.tls.do_handshake()
                break
            except SSL.WantReadError:
                self._push()
                self._pull()
        self._push()

    def _push(self):
        try:
            while data := self.tls.bio_read(1 << 16):
                self.plain.sendall(data)
        except SSL.WantReadError:
            pass

    def _pull(self):
        data = self.plain.recv(1 << 16)
        if not data:
            self.tls.bio_shutdown()
        else:
            self.tls.bio_write(data)

    def certificate(self):
        return self.tls.get_peer_certificate().to_cryptography()

    def sendall(self, data):
        self.tls.sendall(data)
        self._push()

    def recv(self, count):
        while True:
            try:
                return self.tls.recv(count)
            except SSL.WantReadError:
                self._pull()
            except (SSL.ZeroReturnError, SSL.SysCallError):
                return b""

    def close(self):
        self.plain.close()


class RelayClient:
    """Connects on construction: `key` is a number, `secure` speaks TLS, `proof` shows the key in the header."""

    def __init__(self, address, key=None, secure=False, proof=False, token=None, fields=(), target="/relay", patience=60, source=None):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), patience, (source, 0) if source else None)
        if secure:
            self.socket = TLSSocket(self.socket)
        self.pending = b""
        self.key = Key(key) if key else None
        if key is None:
            return
        self.upgrade(target, [*fields, *([f"Authorization: Bearer {token}"] if token else []),
                              *([f"{HEADER}: {self.proof()}"] if proof else [])])
        kind, body = self.frame()
        self.was_asked = kind == CHALLENGE
        if self.was_asked:
            self.send(AUTH, self.key.bytes + b"\x40" + self.key.secret.sign(self.digest(body)))
            kind, body = self.frame()
        self.denial = body[1:].decode() if kind == DENIED else None
        assert kind == CONFIRMED or self.denial

    @staticmethod
    def digest(challenge):
        return blake3.blake3(challenge, derive_key_context="iroh-relay handshake v1 challenge signature").digest()

    def proof(self):
        material = self.socket.tls.export_keying_material(EXPORTER, 32, self.key.bytes)
        signature = self.key.secret.sign(material[:16])
        return base64.urlsafe_b64encode(self.key.bytes + b"\x40" + signature + material[16:]).rstrip(b"=").decode()

    def upgrade(self, target="/relay", fields=()):
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {target} HTTP/1.1", "Host: relay.test", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}",
                 "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: iroh-relay-v2, iroh-relay-v1", *fields]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self.head = self.read_until(b"\r\n\r\n").decode()
        assert self.head.startswith("HTTP/1.1 101 "), self.head

    def more(self):
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            raise Closed from None
        if not data:
            raise Closed
        self.pending += data

    def read_until(self, end):
        while end not in self.pending:
            self.more()
        found, self.pending = self.pending.split(end, 1)
        return found + end

    def read(self, count):
        while len(self.pending) < count:
            self.more()
        found, self.pending = self.pending[:count], self.pending[count:]
        return found

    def send(self, kind, body):
        self.message(bytes([kind]) + body)

    def message(self, payload, first=0x82):
        """A masked frame; a mask of zeros leaves the payload as it is."""
        length = (bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
                  if len(payload) < 65536 else b"\xff" + struct.pack(">Q", len(payload)))
        self.socket.sendall(bytes([first]) + length + bytes(4) + payload)

    def frame(self):
        """Type and body of the next relay frame."""
        while True:
            first, length = self.read(2)
            if length >= 126:
                length = int.from_bytes(self.read(2 if length == 126 else 8), "big")
            payload = self.read(length)
            if first == 0x88:
                raise Closed(int.from_bytes(payload[:2], "big"))
            if first == 0x82:
                return payload[0], payload[1:]

    def datagram(self, destination, content):
        self.send(DATAGRAM, destination + b"\0" + content)

    def received(self):
        """Source and content of the next datagram."""
        while True:
            kind, body = self.frame()
            if kind == RELAYED:
                return body[:32], body[33:]

    def closing(self):
        """The WebSocket status with which the relay ends; None when it just closes."""
        try:
            while True:
                self.frame()
        except Closed as closed:
            return closed.status

    def close(self):
        self.socket.close()
