"""Signed packets made without our own code, and a stand-in for relays of all kinds."""
import base64
import http.server
import threading
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"
# A DNS message without records: only the header of a response (spec/pkarr-wire.md, 1.5).
EMPTY = bytes.fromhex("000080000000000000000000")
NOW = 1_764_000_000_000_000


def zbase32(data):
    number, letters = int.from_bytes(data) << (-len(data) * 8 % 5), -(-len(data) * 8 // 5)
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(letters)))


class Key:
    """A secret key, from a number so that tests are the same each time."""

    def __init__(self, number):
        self.secret = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32))
        self.bytes = self.secret.public_key().public_bytes_raw()
        self.name = zbase32(self.bytes)

    def text(self, *strings, ttl=300):
        """A DNS message with one TXT record at the apex."""
        label = self.name.encode()
        data = b"".join(bytes([len(string)]) + string.encode() for string in strings)
        name = bytes([len(label)]) + label + b"\0"
        return (bytes.fromhex("000080000000000100000000") + name + bytes.fromhex("00100001") + ttl.to_bytes(4)
                + len(data).to_bytes(2) + data)

    def item(self, value, seq):
        """BEP 44's signature over any bencoded value."""
        return self.secret.sign(b"3:seqi%de1:v%s" % (seq, value))

    def payload(self, message=None, timestamp=NOW):
        """What a relay takes and gives."""
        message = self.text("hello") if message is None else message
        signature = self.item(b"%d:%s" % (len(message), message), timestamp)
        return signature + timestamp.to_bytes(8) + message

    def packet(self, message=None, timestamp=NOW):
        """The packet object of the commands, reduced to what counts."""
        return packet(self.name, self.payload(message, timestamp))


def packet(name, payload):
    return {"public_key": name, "payload": base64.b64encode(payload).decode()}


def timestamp_of(payload):
    return int.from_bytes(payload[64:72])


class Relay:
    """A relay whose answers the test decides: answer(method, key, headers, body, query) -> (status, headers, body).

    requests holds (method, key, headers, body, query) of all it was asked.
    """

    def __init__(self, answer):
        self.requests = []
        relay = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                url = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = self.command, url.path.rsplit("/", 1)[1], self.headers, body, url.query
                relay.requests.append(request)
                try:
                    status, headers, body = answer(*request)
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    if status not in (204, 304) and "Content-Length" not in headers:
                        self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True

            do_GET = do_PUT = serve

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def count(self, method):
        return sum(request[0] == method for request in self.requests)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class OldRelay:
    """As pkarr-relay 0.11 answers (spec/pkarr-wire.md, 2.6): compare and swap, no policy, no count of nodes, and a 200 without a body
    to any If-Modified-Since."""

    def __init__(self):
        self.packets = {}

    def __call__(self, method, key, headers, body, query):
        present = self.packets.get(key)
        if method == "GET":
            if present is None:
                return 404, {}, b""
            return 200, {}, b"" if headers.get("If-Modified-Since") else present
        if present is not None:
            expected = headers.get("If-Match")
            if expected is not None and int(expected) != timestamp_of(present):
                return 412, {}, b""
            if timestamp_of(present) > timestamp_of(body):
                return 409, {}, b""
        self.packets[key] = body
        return 204, {}, b""
