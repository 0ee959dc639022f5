"""What the guide for operators tells people to type and to put into files, as it stands in the page, is taken by the programs it is for."""
import grp
import os
import re
import shlex
import socket
import ssl
import subprocess
import sys
import time
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from conftest import PATIENCE, ROOT, Service, command
from islands import MAINLAND
from operator_guide import BLOCKS, PAGE
from relay_islands import inhabited

# A file begins with its path, and after "#!" in the second line.
FILES = {match[1]: block for block in BLOCKS if (match := re.match(r"(?:#!.*\n)?# (/\S+)", block))}
SHELL = [block for block in BLOCKS if block not in FILES.values() and " IN " not in block]
UNITS = {path.name for path in (ROOT / "systemd").iterdir()} | {"nginx", "nftables"}


def checked(*arguments, **options):
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, timeout=PATIENCE, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def certificate(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    checked("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-addext", f"subjectAltName=DNS:{name}", "-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem")


def test_every_block_is_of_a_kind_that_is_tested_here():
    assert set(FILES) == {"/etc/nginx/sites-enabled/keyhole", "/etc/nginx/nginx.conf,", "/etc/caddy/Caddyfile", "/etc/nftables.conf",
                          "/etc/letsencrypt/renewal-hooks/deploy/quic-relay", "/etc/prometheus/prometheus.yml", "/etc/prometheus/keyhole.yml"}
    assert len(BLOCKS) == len(FILES) + len(SHELL) + 1  # and one with DNS records


def test_the_commands_are_shell_and_name_what_there_is():
    for block in SHELL:
        checked("sh", "-n", "-c", block)
        for line in block.splitlines():
            for words in (shlex.split(part) for part in re.split(r"&&|\|", line) if part.strip().startswith("systemctl ")):
                # Of a unit with instances the file has none.
                verb, names = words[1], [re.sub(r"@.*?(\.service|\.timer|)$", r"@\1", word) for word in words[2:] if not word.startswith("-")]
                assert verb in {"daemon-reload", "enable", "restart", "reload", "edit", "start", "status", "stop"}
                assert all(name in UNITS or f"{name}.service" in UNITS for name in names), line


def test_the_dns_records_are_in_the_form_of_a_master_file():
    records = next(block for block in BLOCKS if " IN " in block)
    import dns.zone
    zone = dns.zone.from_text(f"$ORIGIN example.\n@ 60 IN SOA ns a 1 1 1 1 1\n@ 60 IN NS ns\n{records}", origin="example.")
    assert {str(name) for name in zone} == {"@", "relay", "pkarr"}


def with_options(name):
    """The options that the guide puts into /etc/default/NAME, each time that it does."""
    return [shlex.split(found) for found in re.findall(rf"cat > /etc/default/{name} <<EOF\nOPTIONS=(.*)\nEOF", "\n".join(BLOCKS))]


def managed(name, sockets, options):
    """A service with the sockets of its units, at ports of their own."""
    given = [f"{socket_name}={kind}:127.0.0.1:0" for socket_name, kind in sockets]
    return Service([sys.executable, str(ROOT / "Tests" / "service_manager.py"), *given, "--", *command(name, *options)])


@pytest.fixture
def running():
    """A list of services that are stopped at the end."""
    services = []
    yield services
    for one in services:
        one.stop()
        for pipe in (one.process.stdin, one.process.stdout, one.process.stderr):
            pipe.close()


def fetch(url):
    with urllib.request.urlopen(url, timeout=PATIENCE) as response:
        return response.read().decode()


def test_what_the_alerts_ask_for_is_among_the_figures_of_the_services(running, tmp_path):
    [options], relay_options = with_options("pkarr-serve"), with_options("quic-relay")
    running.append(managed("pkarr-serve", [("http", "tcp"), ("dht", "udp")], ["--store", tmp_path / "store", *options]))
    running.append(managed("quic-relay", [("http", "tcp"), ("stun", "udp")], relay_options[0]))
    urls = (running[0].next()["http"], running[1].next()["http"][0])
    known = {"up"}
    for url in urls:
        assert '"ok"' in fetch(f"{url}/healthz") or fetch(f"{url}/healthz") == "ok\n"
        known |= {sample.name for family in text_string_to_metric_families(fetch(f"{url}/metrics")) for sample in family.samples}
    rules = re.findall(r"\{alert: (\w+), expr: '(.*?)'(?:, for: \d+m)?\}", FILES["/etc/prometheus/keyhole.yml"])
    assert len(rules) == FILES["/etc/prometheus/keyhole.yml"].count("alert:") > 5
    for alert, expression in rules:
        names = set(re.findall(r"\b(?:up|quic_relay_\w+|pkarr_serve_\w+)\b", expression))
        assert names and names <= known, alert
        # What it means is told below.
        assert alert == "Down" or re.search(rf"^\.It .*\b{alert}\b", PAGE, re.MULTILINE), alert


# Proxies

@pytest.fixture
def at_hand(tmp_path):
    """at_hand(text) -> the text with the certificates' paths at hand"""
    certificate(tmp_path / "live" / "relay.example", "relay.example")
    return lambda text: text.replace("/etc/letsencrypt/live", str(tmp_path / "live"))


def test_nginx_takes_its_files(tmp_path, at_hand):
    site, main = FILES["/etc/nginx/sites-enabled/keyhole"], FILES["/etc/nginx/nginx.conf,"]
    main = main.replace("worker_rlimit_nofile", "worker_shutdown_timeout 1h; worker_rlimit_nofile", 1)
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n{main}\nhttp {{\n{at_hand(site)}\n}}\n")
    checked("nginx", "-t", "-q", "-e", tmp_path / "error.log", "-c", tmp_path / "nginx.conf")


def test_caddy_takes_its_file(tmp_path):
    (tmp_path / "Caddyfile").write_text(FILES["/etc/caddy/Caddyfile"])
    environment = {**os.environ, "HOME": str(tmp_path)}
    checked("caddy", "validate", "--adapter", "caddyfile", "--config", tmp_path / "Caddyfile", env=environment)


# Certificates

def served(address):
    host, port = address.split("//")[1].split(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, int(port)), PATIENCE) as plain, context.wrap_socket(plain) as tls:
        return ssl.DER_cert_to_PEM_cert(tls.getpeercert(True))


def test_a_renewed_certificate_is_served_after_its_hook(running, tmp_path):
    lineage, to, tools = tmp_path / "live" / "relay.example", tmp_path / "quic-relay", tmp_path / "tools"
    group = grp.getgrgid(os.getegid()).gr_name
    hook = FILES["/etc/letsencrypt/renewal-hooks/deploy/quic-relay"].replace("/etc/quic-relay", str(to)).replace("-g ssl-cert", f"-g {group}")
    (tmp_path / "hook").write_text(hook)
    checked("shellcheck", tmp_path / "hook")
    tools.mkdir()
    # The unit's ExecReload=, to a process without a unit.
    (tools / "systemctl").write_text('#!/bin/sh\n[ "$*" = "try-reload-or-restart quic-relay" ] && { [ ! -s "$PIDFILE" ] || kill -HUP "$(cat "$PIDFILE")"; }\n')
    (tools / "systemctl").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "RENEWED_LINEAGE": str(lineage), "PIDFILE": str(tmp_path / "pid")}

    def renew():
        certificate(lineage, "relay.example")
        checked("sh", tmp_path / "hook", env=environment)
        return (lineage / "fullchain.pem").read_text()

    first = renew()
    assert (to / "key.pem").stat().st_mode & 0o777 == 0o640
    options = [word.replace("/etc/quic-relay", str(to)) for word in with_options("quic-relay")[1]]
    running.append(Service(command("quic-relay", "--https", "127.0.0.1:0", *options)))
    address = running[0].next()["https"][0]
    assert served(address) == first
    (tmp_path / "pid").write_text(str(running[0].process.pid))
    second = renew()
    assert second != first and b"read again" in running[0].process.stderr.readline()
    assert served(address) == second


# Firewall

@pytest.fixture
def islands():
    with inhabited() as islands:
        yield islands


@pytest.fixture
def firewall(tmp_path):
    path = tmp_path / "nftables.conf"
    path.write_text(FILES["/etc/nftables.conf"])
    return path


CROWD = """
import select, socket, sys
crowd = []
for _ in range(1000):
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex((sys.argv[1], 80))
    crowd.append(one)
# Those that the firewall lets in are connected when the one that came first has been answered, on the same wire.
crowd[0].setblocking(True)
crowd[0].sendall(b"GET /ping HTTP/1.1\\r\\nHost: relay.example\\r\\n\\r\\n")
assert crowd[0].recv(100).startswith(b"HTTP/1.1 200 ")
print(len([one for one in crowd if select.select([], [one], [], 0)[1]]), flush=True)
sys.stdin.read()
"""
STUN = """
import os, socket, sys
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.settimeout(60)
one.sendto(bytes.fromhex("000100002112a442") + os.urandom(12), (sys.argv[1], 3478))
print(one.recv(100)[:2].hex())
"""


def test_the_firewall_lets_in_what_it_should_and_holds_back_a_crowd(islands, firewall, running):
    checked(*islands.on("main", "nft", "-c", "-f", firewall))
    checked(*islands.on("main", "nft", "-f", firewall))
    running.append(Service(islands.on("main", *command("quic-relay", "--http", f"{MAINLAND}:80", "--http", f"{MAINLAND}:3340",
                                                       "--stun", f"{MAINLAND}:3478", "--connections-per-address", 2000))))
    running[0].next()
    assert checked(*islands.on("east", sys.executable, "-c", STUN, MAINLAND)) == "0101\n"
    crowd = subprocess.Popen(islands.on("east", sys.executable, "-c", CROWD, MAINLAND), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    began = time.monotonic()
    let_in = int(crowd.stdout.readline())
    # 300 at once, and 50 a second.
    assert 100 < let_in <= 300 + 50 * (time.monotonic() - began + 1)
    assert '"ok"' in checked(*islands.on("west", "curl", "-sf", "-m", PATIENCE, f"http://{MAINLAND}/healthz"))
    crowd.communicate()
    # What is not for others they don't reach: 28 is the time that is up.
    closed = subprocess.run(islands.on("west", "curl", "-s", "-m", "1", f"http://{MAINLAND}:3340/healthz"), capture_output=True)
    assert closed.returncode == 28
    assert '"ok"' in checked(*islands.on("main", "curl", "-sf", "-m", PATIENCE, f"http://{MAINLAND}:3340/healthz"))


def test_the_store_is_copied_and_comes_back_as_the_guide_says(running, tmp_path):
    tar = shlex.split(next(line for block in SHELL for line in block.splitlines() if line.startswith("tar ")))
    from packets import Key
    key = Key(3000)
    store = tmp_path / "private" / "pkarr-serve"
    store.parent.mkdir()

    def serve():
        running.append(managed("pkarr-serve", [("http", "tcp"), ("dht", "udp")], ["--store", store]))
        return f"{running[-1].next()['http']}/{key.name}"

    urllib.request.urlopen(urllib.request.Request(serve(), key.payload(key.text("kept")), method="PUT"), timeout=PATIENCE).close()
    assert running[-1].stop() == 0
    checked(*(word.replace("/var/lib/private", str(store.parent)).replace("/root", str(tmp_path)) for word in tar))
    checked("rm", "-r", store)
    checked("tar", "-C", store.parent, "-xzf", tmp_path / "pkarr-serve.tar.gz")
    with urllib.request.urlopen(serve(), timeout=PATIENCE) as response:
        assert response.read() == key.payload(key.text("kept"))
