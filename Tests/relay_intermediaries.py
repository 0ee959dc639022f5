"""What may stand between an endpoint and its relay: a proxy, somebody else's TLS, a captive portal."""
import contextlib
import datetime
import ipaddress
import subprocess
import sys
import textwrap
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from conftest import PATIENCE

USER, PASSWORD = "alice", "open-sesame"
# Answers every request with where to log in, as the router of a hotel does.
PORTAL = """
import http.server, sys

class Portal(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", "http://login.hotel.test/?room=7")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Portal)
print("ready", flush=True)
server.serve_forever()
"""


def certificates(folder, name, *addresses):
    """An authority of our own and a certificate that it gives to the name: paths of the authority's, the chain and the key."""
    folder.mkdir(exist_ok=True)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    authority, subject = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("A private authority", name))
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.timezone.utc)

    def certificate(subject, key, *extensions):
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(authority).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    root, chain, key = folder / "root.pem", folder / "chain.pem", folder / "key.pem"
    root.write_bytes(certificate(authority, keys[0], x509.BasicConstraints(ca=True, path_length=None)))
    names = [x509.DNSName(name), *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses)]
    chain.write_bytes(certificate(subject, keys[1], x509.SubjectAlternativeName(names)))
    key.touch(mode=0o600)
    key.write_bytes(keys[1].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return root, chain, key


def wait_until_accepting(where, address, port, process, told):
    """Until it takes connections there; the test fails with what it told if it ends instead."""
    probe = f"import socket; socket.create_connection(('{address}', {port}), 5)"
    deadline = time.monotonic() + PATIENCE
    while subprocess.run(where(sys.executable, "-c", probe), capture_output=True).returncode != 0:
        assert process.poll() is None, told()
        assert time.monotonic() < deadline


@contextlib.contextmanager
def ended(process):
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)
        if process.stdout:
            process.stdout.close()


@contextlib.contextmanager
def http_proxy(where, address, port, folder):
    """tinyproxy, which connects whoever knows the password; yields its log."""
    folder.mkdir(exist_ok=True)
    log, configuration = folder / "tinyproxy.log", folder / "tinyproxy.conf"
    configuration.write_text(textwrap.dedent(f"""\
        Listen {address}
        Port {port}
        Timeout 600
        MaxClients 50
        LogFile "{log}"
        LogLevel Connect
        BasicAuth {USER} {PASSWORD}
        """))
    with ended(subprocess.Popen(where("tinyproxy", "-d", "-c", configuration), stdout=subprocess.DEVNULL)) as process:
        wait_until_accepting(where, address, port, process, lambda: log.read_text())
        yield log


@contextlib.contextmanager
def nginx(where, address, port, upstream, chain, key, folder):
    """nginx that ends TLS in front of a relay, as the relay's manual says."""
    folder.mkdir(exist_ok=True)
    log = folder / "error.log"
    (folder / "nginx.conf").write_text(textwrap.dedent(f"""
        daemon off; pid {folder}/pid; error_log {log}; user root;
        events {{}}
        http {{
            access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
            server {{
                listen {address}:{port} ssl; ssl_certificate {chain}; ssl_certificate_key {key};
                location / {{
                    proxy_pass {upstream};
                    proxy_http_version 1.1;
                    proxy_set_header Host $host;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Connection upgrade;
                    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                    proxy_read_timeout 60s;
                }}
            }}
        }}
        """))
    with ended(subprocess.Popen(where("nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", log))) as process:
        wait_until_accepting(where, address, port, process, lambda: log.read_text())
        yield process
        # Its workers go with it only when it is told to stop.
        process.terminate()
        process.wait(PATIENCE)


@contextlib.contextmanager
def captive_portal(where, address, port):
    with ended(subprocess.Popen(where(sys.executable, "-c", PORTAL, address, port), stdout=subprocess.PIPE)) as process:
        assert process.stdout.readline() == b"ready\n"
        yield process
