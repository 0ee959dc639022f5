"""HTTP servers behind a bridge, and a client's side of a stream to one."""
import contextlib
import json
import socket
import subprocess
import textwrap
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from conftest import PATIENCE

PIECE = b"0123456789abcdef" * 4096


class Backend(ThreadingHTTPServer):
    """Python's server. It answers with the request as it has seen it, in JSON, and remembers all of them.

    /count answers with the length of the body, /big/N with N bytes, /ws goes over to an echo; with `reads` false bodies are left unread,
    as careless servers do."""
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, reads=True):
        self.seen, self.reads = [], reads
        super().__init__(("127.0.0.1", 0), Handler)
        self.target = "127.0.0.1:%d" % self.server_address[1]

    def handle_error(self, request, client_address):
        pass  # a connection that was cut off is what some tests do


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        """Length and first bytes of the body."""
        count, start = 0, b""
        while piece := self.piece():
            count += len(piece)
            start = (start + piece)[:100]
        return count, start

    def piece(self):
        if self.headers.get("transfer-encoding") == "chunked":
            size = int(self.rfile.readline().split(b";")[0], 16)
            piece = self.rfile.read(size)
            while self.rfile.readline().strip() and size == 0:
                pass
            return piece
        piece = self.rfile.read(min(65536, self.left))
        self.left -= len(piece)
        return piece

    def answer(self):
        self.left = int(self.headers.get("content-length") or 0)
        fields = [[name, value] for name, value in self.headers.items()]
        request = {"method": self.command, "path": self.path, "fields": fields, "from": self.client_address[0]}
        self.server.seen.append(request)
        if self.headers.get("upgrade") == "websocket" and self.path == "/ws":
            self.send_response(101)
            self.send_header("Connection", "Upgrade")
            self.send_header("Upgrade", "websocket")
            self.end_headers()
            self.close_connection = True
            while data := self.rfile.read1(65536):
                self.wfile.write(data)
            return
        count, start = self.body() if self.server.reads else (0, b"")
        if self.path.startswith("/big/"):
            return self.big(int(self.path[5:]))
        status = int(self.path[8:]) if self.path.startswith("/status/") else 200
        text = json.dumps({**request, "body": count, "start": start.decode("latin-1")}).encode()
        self.send_response(status)
        self.send_header("Content-Length", len(text))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(text)

    def big(self, count):
        self.send_response(200)
        self.send_header("Content-Length", count)
        self.end_headers()
        while count:
            count -= self.wfile.write(PIECE[:count])

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = answer


@contextlib.contextmanager
def backend(**options):
    with Backend(**options) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@contextlib.contextmanager
def nginx(folder, port, listen="", example=None):
    """nginx that tells the fields it got, as its variables and so as CGI programs have them: `-` and `_` are one there.

    `example` is a configuration of servers in place of that."""
    names = ["http_x_forwarded_for", "http_x_forwarded_proto", "http_x_real_ip", "http_forwarded", "http_pubky_client_key", "http_host", "remote_addr",
             "proxy_protocol_addr"]
    shown = " ".join(f"{name}=${name}" for name in names)
    server = example or f"""
            server {{
                listen 127.0.0.1:{port} {listen};
                location / {{ return 200 "{shown}\\n"; }}
            }}"""
    (folder / "nginx.conf").write_text(textwrap.dedent(f"""
        daemon off;
        pid {folder}/nginx.pid;
        error_log {folder}/error.log;
        events {{}}
        http {{
            access_log off;
            underscores_in_headers on;
            ignore_invalid_headers off;
            client_body_temp_path {folder}/body;
            proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi;
            uwsgi_temp_path {folder}/uwsgi;
            scgi_temp_path {folder}/scgi;
            {server}
        }}
        """))
    process = subprocess.Popen(["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"])
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), PATIENCE).close()
                break
            except ConnectionRefusedError:
                assert process.poll() is None, (folder / "error.log").read_text()
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


def read_head(connection):
    """The next head, byte by byte so that nothing behind it is taken."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise EOFError(head)
        head += byte
    return head.decode("latin-1")


def read_response(connection, method="GET"):
    """(status, fields in lower case, body) of the next response."""
    head = read_head(connection)
    status = int(head.split()[1])
    fields = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in head.split("\r\n")[1:] if line)}
    count = 0 if method == "HEAD" or status in (204, 304) or status < 200 else int(fields.get("content-length", 0))
    body = b""
    while len(body) < count:
        piece = connection.recv(count - len(body))
        assert piece, "the body is cut off"
        body += piece
    return status, fields, body


def read_all(connection):
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 20):
            data += piece
    return data
