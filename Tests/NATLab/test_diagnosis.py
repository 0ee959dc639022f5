"""What keyhole-diagnose finds out from behind networks of several kinds, about them and about a key at a home."""
import json
import os
import subprocess

import pytest

from NATLab.internet import PROBES, SERVICES, Internet
from NATLab.kinds import KINDS
from NATLab.services import PATIENCE, RELAY, Service, command, environment, start_dht, start_relay

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make network namespaces")
# Two STUN servers of each family, which tell the kind of a NAT.
STUN = [part for family in PROBES.values() for address in family for part in ("--stun", f"[{address}]:3478" if ":" in address else f"{address}:3478")]
SOURCES = ("--relay", f"http://{SERVICES[4]}:6880")
WHERE = ("--iroh-relay", RELAY, *STUN)
# A server that takes its time as long as a file is there.
HTTP = "read -r line; while [ -e {} ]; do sleep 0.1; done; echo HTTP/1.0 200 OK; echo"


@pytest.fixture(scope="module")
def internet():
    with Internet() as internet:
        start_relay(internet)
        start_dht(internet)
        Service(internet, internet.core, "quic-relay", "--http", "127.0.0.1:8080", *STUN, tag="stun").next()
        yield internet


@pytest.fixture(scope="module")
def key(internet):
    """Of a listener in a home that can be reached through a relay only, to begin with."""
    home, secret = internet.site(KINDS["home"]), internet.path("secret")
    made = subprocess.run([command("pkarr-build"), "--generate-key", secret], check=True, capture_output=True)
    listener = Service(internet, home.hosts[0], "quic-listen", "--key", secret, "--relay", RELAY, "--no-port-map", *STUN, "--", "sh", "-c", HTTP.format(internet.path("slow")),
                       env=environment(home))
    line = json.dumps(listener.next()).encode()
    for stage in (("iroh-txt", "encode"), ("pkarr-build", "--key", secret), ("pkarr-publish", *SOURCES)):
        line = subprocess.run(home.hosts[0].arguments(command(stage[0]), *stage[1:]), input=line, env=environment(home), check=True,
                              capture_output=True, timeout=PATIENCE).stdout
    yield json.loads(made.stdout)["public_key"]
    listener.stop()


class Diagnosis:
    """What it printed: .steps by their names, the .verdict, and the exit .status."""

    def __init__(self, site, *arguments):
        done = subprocess.run(site.hosts[-1].arguments(command("keyhole-diagnose"), *arguments), env=environment(site),
                              capture_output=True, timeout=PATIENCE)
        *steps, self.verdict = map(json.loads, done.stdout.splitlines())
        self.steps = {}
        for step in steps:
            self.steps.setdefault(step["step"], []).append(step)
        self.status = done.returncode

    def of_family(self, step, family):
        return next((one for one in self.steps.get(step, []) if one["family"] == family), None)

    @property
    def mappings(self):
        return {one["family"]: one["mapping"] for one in self.steps.get("nat", [])}


# The kind; how its NAT maps, by family; the path to a key at a home; what is told to be wrong.
VIEWS = [
    ("none", {"ipv4": "none", "ipv6": "none"}, "direct", []),
    ("home", {"ipv4": "independent"}, "direct", []),
    ("full-cone", {"ipv4": "independent"}, "direct", []),
    ("symmetric", {"ipv4": "dependent"}, "relayed", ["symmetric-nat", "stays-relayed"]),
    ("udp-blocked", {}, "relayed", ["udp-blocked", "stays-relayed"]),
    ("ipv6-only", {"ipv6": "none"}, "relayed", ["stays-relayed"]),
]
# Why no direct path is found.
WITHOUT = {"udp-blocked": "UDP does not get out of this network"} | {
    kind: "no direct path was found within 8 s" for kind in ("symmetric", "ipv6-only")}


@pytest.mark.parametrize(("kind", "mappings", "path", "problems"), VIEWS, ids=[view[0] for view in VIEWS])
def test_what_a_network_does_is_told_and_how_far_a_key_is_reached(internet, key, kind, mappings, path, problems):
    site = internet.site(KINDS[kind])
    done = Diagnosis(site, *SOURCES, *WHERE, key)
    assert (done.verdict["outcome"], done.verdict["problems"], done.status) == (path, problems, 0)
    assert done.mappings == mappings
    assert done.steps["relay"][0]["ok"] and done.steps["request"][0]["answer"] == "HTTP/1.0 200 OK"
    assert done.steps["connection"][0]["path"] == "relay"
    [direct] = done.steps["direct"]
    assert (direct["ok"], direct["reason"]) == (path == "direct", WITHOUT.get(kind))
    assert not direct["ok"] or 0 < direct["rtt_ms"] < 1000 and 0 < direct["ms"] < 8000
    seen = [one["address"] for one in done.steps["address"] if one["source"] == "reflexive"]
    assert bool(seen) == ("independent" in mappings.values() or "dependent" in mappings.values())
    assert all(address.startswith(f"{site.public[4]}:") for address in seen)


def test_a_server_that_answers_only_when_the_direct_path_is_there(internet, key):
    slow = internet.path("slow")
    slow.touch()
    site = internet.site(KINDS["home"])
    running = Service(internet, site.hosts[0], "keyhole-diagnose", "--no-port-map", "--timeout", "10m", *SOURCES, *WHERE, key,
                      env=environment(site))
    while (line := running.next())["step"] != "direct":
        pass
    assert line["ok"]
    slow.unlink()
    while "verdict" not in (line := running.next()):
        pass
    assert (line["outcome"], line["status"], running.process.wait(PATIENCE)) == ("direct", 0, 0)


def test_where_udp_is_blocked_the_dht_is_silent_and_a_pkarr_relay_is_not(internet, key):
    done = Diagnosis(internet.site(KINDS["udp-blocked"]), *SOURCES, *WHERE, "--no-request", key)
    sources = {one["source"]: one["ok"] for one in done.steps["source"]}
    assert sources == {"dht": False, SOURCES[1]: True} or sources == {"dht": None, SOURCES[1]: True}
    udp = done.of_family("udp", "ipv4")
    assert (udp["ok"], udp["reason"]) == (False, "no STUN server answers")
    assert done.of_family("udp", "ipv6")["ok"] is None


def test_a_router_that_opens_ports_is_recognised_and_left_as_it_is(internet):
    done = Diagnosis(internet.site(KINDS["upnp"]), *SOURCES, *WHERE)
    found = {one["protocol"]: (one["ok"], one["router"], one["external"] is not None) for one in done.steps["port-mapping"]}
    assert found == {way: (True, "192.168.1.1", way != "pcp") for way in ("pcp", "natpmp", "upnp")}
    at_home = Diagnosis(internet.site(KINDS["home"]), *SOURCES, *WHERE)
    assert [one["ok"] for one in at_home.steps["port-mapping"]] == [None] * 3


def test_through_a_company_s_proxy_only_relays_are_reached(internet):
    site = internet.site(KINDS["proxy"])
    done = Diagnosis(site, "--no-dht", "--relay", RELAY, *WHERE)
    assert (done.verdict["outcome"], done.verdict["problems"], done.status) == ("well", ["udp-blocked"], 0)
    assert done.steps["relay"][0]["ok"] and done.of_family("udp", "ipv4")["ok"] is False


def test_a_machine_whose_router_is_cut_off(internet, key):
    site = internet.site(KINDS["home"])
    site.routers[0].namespace.ip("link set wan down")
    done = Diagnosis(site, *SOURCES, "--iroh-relay", f"http://{SERVICES[4]}/", *STUN, key)
    assert (done.verdict["outcome"], done.status) == ("no-way-out", 69)
