"""HTTP servers for the proxy's tests that do exactly what a test says, and tell what they were asked."""
import base64
import hashlib
import socket
import struct
import threading

from conftest import PATIENCE


class Request:
    """A request as a server gets it; the body is read when it is asked for."""

    def __init__(self, line, headers, connection):
        self.method, self.target, self.version = line.split(" ")
        self.headers, self.connection = headers, connection

    def __getitem__(self, name):
        """The one value of a header, None without it."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, self.headers
        return values[0] if values else None

    def pieces(self):
        """The body, piece by piece, and what stood behind its last chunk in `trailers`."""
        self.trailers = []
        if self["Transfer-Encoding"] == "chunked":
            while size := int(self.connection.line().split(";")[0], 16):
                yield self.connection.exactly(size)
                assert self.connection.line() == ""
            while line := self.connection.line():
                self.trailers.append(line)
        else:
            left = int(self["Content-Length"] or 0)
            while left:
                piece = self.connection.reader.read1(min(left, 1 << 16))
                if not piece:
                    raise EOFError
                left -= len(piece)
                yield piece

    def body(self):
        return b"".join(self.pieces())


class Connection:
    """A client's connection at a server."""

    def __init__(self, connection):
        self.socket, self.reader = connection, connection.makefile("rb")

    def line(self):
        line = self.reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return line.decode("latin-1").removesuffix("\n").removesuffix("\r")

    def exactly(self, count):
        data = self.reader.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def request(self):
        """The next request, None when there is none."""
        try:
            line = self.line()
        except (EOFError, OSError):
            return None
        headers = []
        while field := self.line():
            name, value = field.split(":", 1)
            headers.append((name, value.strip()))
        return Request(line, headers, self)

    def send(self, *lines, body=b""):
        self.socket.sendall("".join(line + "\r\n" for line in lines).encode("latin-1") + b"\r\n" + body)

    def answer(self, body=b"", *fields, status="200 OK"):
        self.send(f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, body=body)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.reader.close()
        self.socket.close()


class Backend:
    """A server whose connections are each dealt with by `serve(connection)`, in a thread of its own."""

    def __init__(self, serve):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.serve, self.connections = serve, 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.settimeout(PATIENCE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.deal_with, args=(Connection(connection),), daemon=True).start()

    def deal_with(self, connection):
        try:
            self.serve(connection)
        except (EOFError, OSError):
            pass
        finally:
            connection.close()

    def close(self):
        # Closing alone would leave accept waiting.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Pages(Backend):
    """Answers every request with `answer(connection, request)`, on kept connections, and keeps all requests."""

    def __init__(self, answer):
        self.requests = []
        self.answer = answer
        super().__init__(self.converse)

    def converse(self, connection):
        while request := connection.request():
            self.requests.append(request)
            if self.answer(connection, request) is False:
                return


def echo_websocket(connection, request):
    """Takes a WebSocket (RFC 6455) and sends back its messages, short ones, until it is closed."""
    accept = base64.b64encode(hashlib.sha1((request["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    connection.send("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}")
    while True:
        first, second = connection.exactly(2)
        assert second & 0x80 and second & 0x7f < 126
        mask, payload = connection.exactly(4), connection.exactly(second & 0x7f)
        plain = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        connection.socket.sendall(bytes([first, len(plain)]) + plain)
        if first & 0x0f == 8:
            return False
