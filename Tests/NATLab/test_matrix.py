"""Connections between networks of different kinds take the path that is to be had. `make natlab-full` tries all pairs."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from NATLab import drawing
from NATLab.internet import SERVICES
from NATLab.kinds import KINDS
from NATLab.namespaces import MOUNTED, PREFIX
from NATLab.pairs import Matrix
from NATLab.probe import Probe
from NATLab.services import command, environment, start_dht

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make network namespaces")
MATRIX = [sys.executable, str(Path(__file__).parent / "matrix")]
SVG = "{http://www.w3.org/2000/svg}"
# Who listens and who dials: each way to be reachable, each way not to be, and each obstacle on the dialling side.
PAIRS = [
    ("none", "home"), ("none", "ipv6-only"), ("none", "udp-blocked"), ("none", "proxy"), ("none", "nptv6"), ("forwarded", "symmetric"),
    ("forwarded", "ipv6-only"), ("same-lan", "same-lan"), ("same-lan", "home"), ("home", "home"), ("firewall", "none"),
    ("full-cone", "carrier"), ("ipv6-only", "none"), ("ipv6-only", "home"), ("proxy", "none"), ("udp-blocked", "proxy"), ("nptv6", "none"),
    ("upnp", "symmetric"), ("symmetric", "upnp"),
]


@pytest.fixture(scope="module")
def matrix():
    with Matrix({listener for listener, _ in PAIRS}, {dialler for _, dialler in PAIRS}) as matrix:
        yield matrix


@needs_root
@pytest.mark.parametrize(("listener", "dialler"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_a_pair_takes_its_path(matrix, listener, dialler):
    result = matrix.run(listener, dialler)
    assert result["ok"], drawing.story(result)
    assert result["bytes"] >= 256 << 10
    assert (result["direct_ms"] is not None) == (result["path"] == "direct")


@needs_root
def test_the_internet_has_a_stun_server_that_tells_what_a_probe_sees(matrix):
    """RFC 8489: a Binding request, and the XOR-MAPPED-ADDRESS in the answer."""
    with Probe(matrix.listeners["full-cone"], 4) as probe:
        host = probe.host()
        seen, cookie = probe.seen(host), bytes.fromhex("2112a442")
        host.settimeout(60)
        host.sendto(b"\0\1\0\0" + cookie + bytes(12), (SERVICES[4], 3478))
        answer = host.recv(1500)
        start = answer.index(b"\0\x20\0\x08\0\1") + 6
        port, address = answer[start:start + 2], answer[start + 2:start + 6]
        plain = bytes(one ^ other for one, other in zip(port + address, cookie[:2] + cookie))
        assert (socket.inet_ntoa(plain[2:]), int.from_bytes(plain[:2], "big")) == seen


@needs_root
def test_the_internet_has_a_dht_for_what_is_published_behind_any_router(matrix):
    start_dht(matrix.internet)
    home, away = matrix.listeners["home"], matrix.diallers["symmetric"]
    secret = matrix.internet.path("published")
    made = subprocess.run([command("pkarr-build"), "--generate-key", secret], check=True, capture_output=True)
    key = json.loads(made.stdout)["public_key"]
    records = {"records": [{"name": "@", "type": "TXT", "ttl": 300, "strings": ["found"]}]}
    packet = subprocess.run([command("pkarr-build"), "--key", secret], input=json.dumps(records).encode(), check=True, capture_output=True)

    def at(site, name, *arguments, **options):
        return subprocess.run(site.hosts[0].arguments(command(name), "--no-relays", *arguments), env=environment(site), check=True,
                              capture_output=True, timeout=60, **options).stdout

    at(home, "pkarr-publish", input=packet.stdout)
    assert json.loads(at(away, "pkarr-resolve", key))["records"] == records["records"]


@needs_root
def test_into_a_pipe_the_matrix_is_lines_and_its_picture_is_whole(tmp_path):
    picture = tmp_path / "matrix.svg"
    done = subprocess.run([*MATRIX, "--listen", "none", "--svg", picture, "none", "home"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["listener"], one["dialler"], one["path"], one["ok"]) for one in results] == [
        ("none", "none", "direct", True), ("none", "home", "direct", True)]
    cells = ElementTree.parse(picture).findall(f".//{SVG}g")
    assert len(cells) == 2


@needs_root
def test_two_iroh_endpoints_are_put_between_the_same_networks():
    arguments = ("--iroh", "--delay", "5", "--listen", "home", "home", "symmetric", "proxy")
    done = subprocess.run([*MATRIX, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    results = {one["dialler"]: one["iroh"] for one in lines}
    # Nobody is quicker than two round trips, one for a connection and one for the first byte.
    assert min(one["first_byte_ms"] for one in (*lines, *results.values()) if one["first_byte_ms"]) > 40
    assert {name: one["path"] for name, one in results.items()} == {"home": "direct", "symmetric": "relay", "proxy": None}
    assert results["home"]["direct_ms"] and results["home"]["bytes"] >= 256 << 10
    assert results["symmetric"]["error"] is None and "proxy" in results["proxy"]["error"]


@needs_root
def test_a_matrix_that_is_told_to_end_leaves_nothing_behind():
    process = subprocess.Popen([*MATRIX, "home", "none"], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert not list(MOUNTED.glob(f"{PREFIX}{process.pid}-*"))


def found(listener, dialler, path, expected="relay", iroh=None):
    return {"listener": listener, "dialler": dialler, "expected": expected, "path": path, "first_byte_ms": 12.3,
            "direct_ms": 8.1 if path == "direct" else None, "ok": path == expected, "failed": [], "error": None,
            **({"iroh": found(listener, dialler, iroh)} if iroh else {})}


def test_the_table_fits_the_terminal_and_marks_what_is_not_as_expected():
    kinds = ["home", "proxy"]
    results = [found("home", "home", "relay"), found("home", "proxy", "direct"), found("proxy", "home", "relay"),
               found("proxy", "proxy", "relay")]
    assert drawing.table(kinds, kinds, results, 80, False) == [
        "listens/dials          home         proxy", "home               relay 12  !direct 12/8", "proxy              relay 12      relay 12", ""]
    narrow = drawing.table(kinds, kinds, results, 30, True)
    assert len(narrow) == 8
    assert max(len(re.sub("\x1b\\[[0-9]+m", "", line)) for line in narrow) <= 30
    assert drawing.story(results[1]) == "home dialled from proxy: expected relay, got direct"


def test_what_iroh_reaches_stands_below_what_we_reach():
    results = [found("home", "home", "relay", iroh="direct"), found("home", "none", "direct", "direct", iroh="relay")]
    assert drawing.table(["home"], ["home", "none"], results, 80, False) == [
        "listens/dials          home          none", "home               relay 12   direct 12/8", "  iroh          direct 12/8      relay 12", ""]
    assert drawing.summary(results) == [
        "keyhole: 2 of 2 connected, 1 directly, the median after 8 ms", "iroh: 2 of 2 connected, 1 directly, the median after 8 ms"]
    texts = [text.text for text in ElementTree.fromstring(drawing.svg(["home"], ["home", "none"], results)).iter(f"{SVG}text")]
    assert [text for text in texts if text[:1].isdigit() or text[-1:].isdigit()] == ["12", "iroh 12/8", "12/8", "iroh 12"]


def test_every_kind_is_described():
    done = subprocess.run([*MATRIX, "--list"], capture_output=True, text=True)
    assert done.returncode == 0
    for name, kind in KINDS.items():
        assert f"\n{name}: " in "\n" + done.stdout
        assert len(kind.about) > 80


def test_a_kind_that_is_none_is_named():
    done = subprocess.run([*MATRIX, "starlink"], capture_output=True, text=True)
    assert done.returncode == 64
    assert done.stderr.startswith("matrix: there is no kind 'starlink'; there are none, full-cone, home")
