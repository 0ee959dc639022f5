"""quic-relay behind nginx, which ends TLS."""
import socket
import subprocess
import textwrap

import pytest

from conftest import PATIENCE, Service, command
from relay_client import GONE, PING, PONG, RelayClient


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


@pytest.fixture
def behind_nginx(tmp_path):
    """The address of an nginx with TLS in front of a relay that allows two connections for each address."""
    relay = Service(command("quic-relay", "--http", "127.0.0.1:0", "-v", "--behind-proxy", "127.0.0.1", "--connections-per-address", 2,
                            "--exempt", "none"))
    upstream, port = relay.next()["http"][0], free_port()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=x",
                    "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"], check=True, capture_output=True)
    (tmp_path / "nginx.conf").write_text(textwrap.dedent(f"""
        daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; user root;
        events {{}}
        http {{
            access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;
            fastcgi_temp_path {tmp_path}/fastcgi; uwsgi_temp_path {tmp_path}/uwsgi; scgi_temp_path {tmp_path}/scgi;
            server {{
                listen 127.0.0.1:{port} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;
                location / {{
                    proxy_pass {upstream};
                    proxy_http_version 1.1;
                    proxy_set_header Host $host;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Connection upgrade;
                    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                }}
            }}
        }}
        """))
    nginx = subprocess.Popen(["nginx", "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-e", tmp_path / "error.log"])
    address = f"127.0.0.1:{port}"
    while True:
        assert nginx.poll() is None, (tmp_path / "error.log").read_text()
        try:
            socket.create_connection(("127.0.0.1", port), PATIENCE).close()
            break
        except ConnectionRefusedError:
            pass
    yield address
    nginx.terminate()
    nginx.wait(PATIENCE)
    relay.stop()
    for pipe in (relay.process.stdin, relay.process.stdout, relay.process.stderr):
        pipe.close()


def test_clients_meet_behind_nginx_and_are_asked_for_a_proof_that_holds_there(behind_nginx):
    source = "127.0.0.9"
    first, second = (RelayClient(behind_nginx, key, secure=True, proof=True, source=source) for key in (1, 2))
    # What TLS exports at the client is not what it would at the relay.
    assert first.was_asked and second.was_asked
    content = bytes(range(256)) * 200
    first.datagram(second.key.bytes, content)
    assert second.received() == (first.key.bytes, content)
    second.send(PING, b"12345678")
    assert second.frame() == (PONG, b"12345678")
    # The third from one address is one too many, and is told so.
    with pytest.raises(AssertionError, match="HTTP/1.1 429"):
        RelayClient(behind_nginx, 3, secure=True, source=source)
    first.close()
    assert second.frame() == (GONE, first.key.bytes)
    second.close()
