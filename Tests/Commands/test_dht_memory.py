"""What pkarr-publish, pkarr-resolve and pkarr-serve remember of the DHT between runs, and the DHT over IPv6."""
import stat

import pytest

from conftest import lines
from packets import NOW
from quic_commands import wait_for


def on(*bootstraps):
    return "--no-relays", *(word for node in bootstraps for word in ("--bootstrap", node))


def dht(network):
    return [node["dht"] for node in network]


@pytest.fixture
def published(run, network, new_key):
    """A key whose packet is in the DHT."""
    key = new_key()
    assert run("pkarr-publish", *on(dht(network)[0]), input=lines(key.packet(timestamp=NOW))).status == 0
    return key


def test_a_run_that_remembers_needs_no_bootstrap_node(run, network, published, dead_port, tmp_path):
    state = tmp_path / "made" / "state"
    assert run("pkarr-resolve", *on(dht(network)[1]), "--state", state, published.name).status == 0
    file = state / "nodes4"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(state.stat().st_mode) == 0o700
    known = [line.split()[2] for line in file.read_text().splitlines() if line.startswith("node ")]
    assert set(known) <= set(dht(network)) and known
    done = run("pkarr-resolve", *on(dead_port), "--state", state, published.name)
    assert (done.status, done.err) == (0, "")
    assert [packet["timestamp"] for packet in done.objects] == [NOW]


def test_what_is_remembered_may_be_long_gone(run, network, published, dead_port, tmp_path):
    gone = "".join(f"node {number:040x} {dead_port}\n" for number in range(1, 2))
    (tmp_path / "nodes4").write_text(f"keyhole DHT nodes, format 1\nid {'5' * 40}\n{gone}")
    done = run("pkarr-resolve", *on(dht(network)[2]), "--state", tmp_path, published.name)
    assert (done.status, done.err) == (0, "")


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"keyhole DHT nodes, format 1\nid 5\n", b"x" * 100_000])
def test_a_broken_file_is_told_of_once_and_written_anew(run, network, published, tmp_path, content):
    (tmp_path / "nodes4").write_bytes(content)
    done = run("pkarr-resolve", *on(dht(network)[2]), "--state", tmp_path, published.name)
    assert done.status == 0 and done.err.count("\n") == 1 and str(tmp_path / "nodes4") in done.err
    again = run("pkarr-resolve", *on(dht(network)[2]), "--state", tmp_path, published.name)
    assert (again.status, again.err) == (0, "")


def test_a_run_in_which_nobody_answers_forgets_nothing(run, network, published, dead_port, tmp_path):
    assert run("pkarr-resolve", *on(dht(network)[1]), "--state", tmp_path, published.name).status == 0
    before = (tmp_path / "nodes4").read_text()
    (tmp_path / "nodes4").write_text(before.replace("node ", "other "))
    known = (tmp_path / "nodes4").read_text()
    assert run("pkarr-resolve", *on(dead_port), "--state", tmp_path, published.name).status != 0
    assert (tmp_path / "nodes4").read_text() == known


def test_pkarr_serve_keeps_its_id_and_its_neighbours(run, service, network, published, dead_port, tmp_path):
    def start(bootstrap):
        started = service("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--bootstrap", bootstrap, "--store", tmp_path)
        address = started.next()["dht"]
        # It answers before it has met anybody, and then knows nobody who has the packet.
        wait_for(lambda: run("pkarr-resolve", *on(address), published.name).status == 0)
        return started

    first = start(dht(network)[0])
    first.stop()
    text = (tmp_path / "nodes4").read_text()
    second = start(dead_port)
    second.stop()
    assert (tmp_path / "nodes4").read_text().splitlines()[1] == text.splitlines()[1]


def test_over_ipv6_as_over_ipv4(run, service, new_key):
    """Three servers with both; what comes over the one is found over the other."""
    entrances = []
    for _ in range(3):
        bootstraps = [word for address in (entrances[0] if entrances else []) for word in ("--bootstrap", address)]
        started = service(
            "pkarr-serve", "--dht-bind", "127.0.0.1:0", "--dht-bind", "[::1]:0", "--http", "127.0.0.1:0", *bootstraps).next()
        assert started["dht"] == started["dht_addresses"][0]
        entrances.append(started["dht_addresses"])
    (v4, v6), key = entrances[0], new_key()
    done = run("pkarr-publish", *on(v6), input=lines(key.packet(timestamp=NOW)))
    assert done.status == 0, done.err
    assert all(node.startswith("[::1]:") for node in done.objects[0]["dht"]["stored"])
    for entrance in (v6, v4):
        done = run("pkarr-resolve", *on(entrance), key.name)
        assert [packet["timestamp"] for packet in done.objects] == [NOW], done.err
    # Both at once: every node stores twice, and both are told.
    done = run("pkarr-publish", *on(v4, v6), input=lines(key.packet(timestamp=NOW + 1)))
    assert done.status == 0, done.err
    assert {node[0] for node in done.objects[0]["dht"]["stored"]} == {"1", "["}


def test_a_network_of_ipv4_alone_is_not_held_up_by_ipv6(run, network, published, tmp_path):
    (tmp_path / "nodes6").write_text(f"keyhole DHT nodes, format 1\nid {'5' * 40}\nnode {'6' * 40} [::1]:9\n")
    done = run("pkarr-resolve", *on(dht(network)[1]), "--state", tmp_path, published.name)
    assert (done.status, done.err) == (0, "")


def test_two_addresses_of_one_family_are_refused(run):
    ended = run("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--dht-bind", "127.0.0.2:0")
    assert ended.status == 64 and "once for IPv4 and once for IPv6" in ended.err
