"""A running quic-relay for tests, clients of it, and what it tells of itself."""
import http.client
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from relay_client import RelayClient

PATIENCE = 60


@pytest.fixture
def relay(service):
    """relay(option…) -> a running quic-relay; .http, .https and .stun are its addresses"""

    def relay(*arguments, http=True, **options):
        one = service("quic-relay", *(["--http", "127.0.0.1:0"] if http else []), *arguments, **options)
        one.ready = one.next()
        for name in ("http", "https", "stun"):
            setattr(one, name, one.ready.get(name, [""])[0].split("//")[-1])
        return one

    return relay


@pytest.fixture
def connect():
    """connect(address, key, …) -> RelayClient, closed when the test ends"""
    clients = []

    def connect(*arguments, **options):
        clients.append(RelayClient(*arguments, **options))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def make_certificate(folder, name="relay.test"):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=DNS:{name}"], check=True, capture_output=True)
    (folder / "key.pem").chmod(0o600)
    return "--certificate", folder / "cert.pem", "--certificate-key", folder / "key.pem"


def get(address, path, headers={}, tls=None):
    host, port = address.split(":")
    connection = (http.client.HTTPSConnection(host, int(port), timeout=PATIENCE, context=tls) if tls
                  else http.client.HTTPConnection(host, int(port), timeout=PATIENCE))
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


def metrics(running):
    status, headers, text = get(running.http, "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {sample.name + "".join(sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text) for sample in family.samples}


def alive(running, connect, keys=(901, 902)):
    """Whether two fresh clients exchange a datagram."""
    first, second = (connect(running.http, key) for key in keys)
    first.datagram(second.key.bytes, b"hello")
    return second.received() == (first.key.bytes, b"hello")
