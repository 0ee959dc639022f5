"""The listeners of a homeserver, as far as a client can tell, and ways to them that are no good."""
import contextlib
import http.server
import random
import socket
import ssl
import subprocess
import threading

from cryptography.hazmat.primitives import serialization

from packets import Key
from quic_commands import wait_for

# Raw public keys and nothing else (spec/pkarr-wire.md, 5.2).
RAW_KEYS = "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CTYPE-ALL:+CTYPE-SRV-RAWPK:+CTYPE-CLI-X509"


def free_port():
    """A port for a server that takes only one that it is told: of none that the kernel gives to clients meanwhile."""
    while True:
        port = random.randrange(10_000, 32_768)
        with contextlib.suppress(OSError), socket.create_server(("0.0.0.0", port)):
            return port


def listens(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def pubky_tls_command(number, folder, port):
    """GnuTLS with the raw public key of a number and a page of its own."""
    secret = Key(number).secret
    files = [folder / f"{kind}-{number}.pem" for kind in ("secret", "public")]
    files[0].write_bytes(secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    files[1].write_bytes(secret.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return ["gnutls-serv", "--http", "--rawpkkeyfile", files[0], "--rawpkfile", files[1], "--priority", RAW_KEYS, "--port", str(port)]


@contextlib.contextmanager
def pubky_tls(number, folder):
    """The port of a Pubky TLS listener with the key of a number."""
    port = free_port()
    server = subprocess.Popen(
        pubky_tls_command(number, folder, port), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: listens(port))
        yield port
    finally:
        server.kill()
        server.wait()


class Listener:
    """A plain HTTP server, or one with a certificate, that remembers what it was asked."""

    def __init__(self, chain=None, key=None):
        self.requests = []
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                listener.requests.append((self.path, dict(self.headers)))
                body = b"a page\n"
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # A client that breaks off has its reasons.

        self.server = Server(("127.0.0.1", 0), Handler)
        if chain:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(chain, key)
            # The handshake is the client's thread's business.
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def black_hole():
    """A port that answers nobody: its queue is full, and the kernel drops who would come then."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        while True:
            one = stack.enter_context(socket.socket())
            one.settimeout(0.2)
            try:
                one.connect(full.getsockname())
            except TimeoutError:
                break
        yield full.getsockname()[1]
