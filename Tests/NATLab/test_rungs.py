"""A homeserver is reached by each rung of the ladder, where that is the first that works; how soon the first byte comes is told."""
import json
import os
import shutil
import subprocess
import sys

import pytest

from homeserver_listeners import pubky_tls_command
from NATLab.internet import names
from NATLab.kinds import FORWARDED_PORT, KINDS
from NATLab.namespaces import wait_for
from NATLab.services import RELAY, Service, environment, run, wait_until_reachable, whole_internet
from NATLab.test_end_to_end import PAGE, web_server
from packets import Key
from relay_intermediaries import certificates

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("gnutls-serv") is None, reason="no network namespaces or no gnutls-serv")
DOMAIN = "homeserver.example"
HTTPS_SERVER = """
import http.server, os, ssl, sys
os.chdir(sys.argv[3])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server = http.server.ThreadingHTTPServer(("", 443), http.server.SimpleHTTPRequestHandler)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def internet():
    with whole_internet() as internet:
        yield internet


def classical(address, *more):
    """What a homeserver publishes by itself."""
    return [{"name": "@", "type": "HTTPS", "ttl": 3600, "priority": 1, "target": ".", "params": {"port": 6287, "ipv4hint": [address]}},
            *more, {"name": "@", "type": "A", "ttl": 3600, "address": address}]


def files_of(folder, number, records):
    secret, file = folder / "secret", folder / "records.json"
    secret.touch(mode=0o600)
    secret.write_text(f"{number:064x}\n")
    file.write_text(json.dumps({"records": records}))
    return secret, file


def publish(site, folder, number, records):
    secret, file = files_of(folder, number, records)
    packet = run(site, "pkarr-build", "--key", secret, "--records", file, input=b"").stdout
    assert json.loads(run(site, "pkarr-publish", "--no-relays", input=packet).stdout)["stored"]
    return Key(number).name


def start_listener(host, port, *arguments):
    host.start(*arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: subprocess.run(host.arguments("ss", "-Hltn", f"sport = :{port}"), capture_output=True).stdout, f"port {port}")


def fetch(internet, kind, key, folder, *settings, domain=None):
    """The page and the stream line of the second time, from a network of that kind."""
    site, file = internet.site(KINDS[kind]), folder / "fetch.conf"
    if domain:
        site.hosts[-1].names([*names(), (DOMAIN, domain)])
    file.write_text("\n".join(["relays=no", *settings, ""]))
    done = run(site, "pubky-fetch", "-c", file, f"pubky://{key}/", "-w", "%{stderr}first byte: %{time_starttransfer}\n")
    assert done.returncode == 0, done.stderr.decode()
    said = done.stderr.decode().splitlines()
    line = json.loads(said[-1].removeprefix("pubky-fetch: "))
    first = next(float(one.split(": ")[1]) for one in said if one.startswith("first byte: "))
    failed = "; ".join(f"{one['path']} {one['remote']}: {one['reason']} after {one['after_ms']} ms" for one in line["failed"])
    print(f"{line['path']}: first byte after {first * 1000:.0f} ms, a way after {line['after_ms']} ms, before it: {failed or 'nothing'}")
    return done.stdout, line


def test_pubky_tls_of_a_public_homeserver(internet, tmp_path):
    server, number = internet.site(KINDS["none"]), 8_100_001
    start_listener(server.hosts[0], 6287, *pubky_tls_command(number, tmp_path, 6287))
    key = publish(server, tmp_path, number, classical(server.public[4]))
    page, line = fetch(internet, "home", key, tmp_path)
    assert b"GnuTLS" in page
    assert (line["peer"], line["path"], line["remote"], line["failed"]) == (key, "pubky-tls", f"{server.public[4]}:6287", [])


def test_a_domain_whose_homeserver_answers_at_no_other_port(internet, tmp_path):
    server, number = internet.site(KINDS["none"]), 8_100_002
    root, chain, secret = certificates(tmp_path / "tls", DOMAIN)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_bytes(PAGE)
    start_listener(server.hosts[0], 443, sys.executable, "-c", HTTPS_SERVER, chain, secret, tmp_path / "site")
    domain = {"name": "@", "type": "HTTPS", "ttl": 3600, "priority": 10, "target": DOMAIN, "params": {}}
    key = publish(server, tmp_path, number, classical(server.public[4], domain))
    page, line = fetch(internet, "home", key, tmp_path, f"authorities={root}", domain=server.public[4])
    assert (page, line["path"]) == (PAGE, "icann")
    assert [one["path"] for one in line["failed"]] == ["pubky-tls"]


@pytest.mark.parametrize("at, path", [("forwarded", "direct"), ("symmetric", "relay")])
def test_a_tunnel_to_a_homeserver_whose_router_answers_nobody(internet, tmp_path, at, path):
    """What it publishes by itself is its router's address: nothing comes back from there, and that costs one head start."""
    home, number = internet.site(KINDS[at]), {"forwarded": 8_100_003, "symmetric": 8_100_004}[at]
    web_server(home.hosts[0], tmp_path)
    home.routers[0].namespace.rules("table ip silent {\nchain input {\ntype filter hook input priority -10\ntcp dport 6287 drop\n}\n}")
    secret, records = files_of(tmp_path, number, classical(home.public[4]))
    forwarded = [f"bind=0.0.0.0:{FORWARDED_PORT}", f"address={home.public[4]}:{FORWARDED_PORT}"] if at == "forwarded" else []
    (tmp_path / "gateway.conf").write_text("\n".join(forwarded) +
        f"\nkey={secret}\ntarget=127.0.0.1:8080\nrecords={records}\niroh-relay={RELAY}\nrelays=no\nstate={tmp_path / 'state'}\n")
    gateway, key = Service(internet, home.hosts[0], "homeserver-gateway", tmp_path / "gateway.conf", env=environment(home)), Key(number).name

    wait_until_reachable(gateway, home, key)
    page, line = fetch(internet, "symmetric", key, tmp_path)
    assert (page, line["path"]) == (PAGE, path)
    assert line["failed"][0]["path"] == "pubky-tls" and line["failed"][0]["reason"] == "no answer"
    gateway.stop()
