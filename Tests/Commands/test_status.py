"""What a long-running command tells of itself: a line at SIGUSR1, and figures in a file."""
import os
import re
import signal
import socket

import pytest
from prometheus_client.parser import text_string_to_metric_families

from conftest import PATIENCE, ROOT, lines
from quic_commands import LISTENER, ask, id_of, wait_for

AMOUNT = 300_000


def status(service):
    """The line that a command writes when it is asked."""
    service.process.send_signal(signal.SIGUSR1)
    while b": status: " not in (line := service.process.stderr.readline()):
        assert line, "it has ended"
    return line.decode().strip().split(": status: ", 1)[1]


def figures(path):
    """The samples of a file, by name and labels."""
    return {(sample.name, *sorted(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(path.read_text()) for sample in family.samples}


def test_both_ends_tell_of_connections_streams_and_bytes(listen_for, tunnel, echo, tmp_path):
    home, away = tmp_path / "listen.prom", tmp_path / "dial.prom"
    listener = listen_for(echo, "--metrics", home)
    address = tunnel(listener.address, options=("--metrics", away))
    # There from the start, so that whoever looks at it sees zeros rather than nothing.
    assert figures(home)["quic_listen_connections_total",] == 0
    assert ask(address, b"x" * AMOUNT, PATIENCE) == b"x" * AMOUNT
    # The node exporter is another user, and nothing else is left for it to find.
    assert home.stat().st_mode & 0o777 == 0o644 and {path.name for path in tmp_path.glob("*.prom*")} == {"listen.prom", "dial.prom"}
    with socket.create_connection(address, PATIENCE) as open_one:
        open_one.sendall(b"y")
        assert open_one.recv(1) == b"y"
        for service, file, prefix in ((listener, home, "quic_listen"), (tunnel.dialler, away, "quic_dial")):
            # The stream before is gone when its last byte is acknowledged.
            wait_for(lambda: status(service).startswith("1 connections (1 direct, 0 relayed), 1 streams, "))
            said = status(service)
            assert re.search(r"\d+\.\d kB received, \d+\.\d kB sent, 0 handshakes failed, 0 path changes", said)
            told = figures(file)
            assert told[f"{prefix}_connections", "direct"] == 1 and told[f"{prefix}_connections", "relay"] == 0 and told[f"{prefix}_streams",] == 1
            assert AMOUNT < told[f"{prefix}_received_bytes_total", "direct"] < 2 * AMOUNT
            assert AMOUNT < told[f"{prefix}_sent_bytes_total", "direct"] < 2 * AMOUNT
            assert told[f"{prefix}_sent_bytes_total", "relay"] == 0
        assert "bridge connected, no home relay, announced " in status(listener)
        assert status(tunnel.dialler).endswith("1 peers known, 0 dials failed")


@pytest.fixture
def prepared(key_file, tmp_path):
    """The arguments of each command that writes figures, ready to run, and the manual page about them."""
    key, path, place = key_file(), tmp_path / "socket", "127.0.0.1:0"
    return {"quic_listen": ("quic-listen", "quic-listen", "--key", key, "--bind", place, "--bridge", path),
            "quic_dial": ("quic-dial", "quic-dial", "--bridge", path),
            "tunnel_bridge_serve": ("tunnel-bridge", "tunnel-bridge", "serve", "--http", "--socket", path, "--to", "127.0.0.1:9"),
            "tunnel_bridge_connect": ("tunnel-bridge", "tunnel-bridge", "connect", "--socket", path, "--listen", place),
            "tunnel_bridge_proxy": ("tunnel-bridge-proxy", "tunnel-bridge", "proxy", "--socket", path, "--listen", place)}


@pytest.mark.parametrize("prefix", ["quic_listen", "quic_dial", "tunnel_bridge_serve", "tunnel_bridge_connect", "tunnel_bridge_proxy"])
def test_the_manual_page_explains_each_figure(service, prepared, tmp_path, prefix):
    page, *arguments = prepared[prefix]
    file = tmp_path / "figures.prom"
    service(*arguments, "--metrics", file)
    wait_for(file.exists)
    text = (ROOT / "man" / f"{page}.1").read_text()
    names = re.findall(r"^# TYPE (\S+) ", file.read_text(), re.MULTILINE)
    assert len(names) > 1
    for name in names:
        assert name.startswith(f"{prefix}_") and re.search(rf"\b({prefix}_)?{name.removeprefix(prefix + '_')}\b", text), name


def test_a_dialler_counts_what_it_could_not_reach(service, tunnel, dead_port):
    with socket.create_connection(tunnel(dead_port, options=("--timeout", "1s")), PATIENCE) as client:
        client.settimeout(PATIENCE)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert status(tunnel.dialler).endswith(", 1 peers known, 1 dials failed")


def test_a_listener_counts_refused_streams_and_failed_handshakes(listen, dial, dead_port, tmp_path):
    file = tmp_path / "listen.prom"
    listener = listen("--bridge", tmp_path / "nobody.sock", "--metrics", file)
    dial(listener.address)
    dial(listener.address, key=LISTENER + 1)
    # The last word of a client that does not want us comes after the client has gone.
    wait_for(lambda: "1 handshakes failed" in status(listener))
    assert "1 streams refused (1 no-bridge), no bridge" in status(listener)
    # The last figures are those of the end.
    assert listener.stop() == 0
    told = figures(file)
    assert told["quic_listen_streams_refused_total", "no-bridge"] == 1 and told["quic_listen_handshakes_failed_total",] == 1
    assert told["quic_listen_connections_total",] == 1 and told["quic_listen_connections", "direct"] == 0


def test_a_bridge_counts_what_it_refuses_and_why(service, listen, dial, key_file, echo, tmp_path):
    file, access, path = tmp_path / "serve.prom", tmp_path / "access", tmp_path / "serve.sock"
    access.write_text(f"{id_of(5)}\n{id_of(6)} permitopen=127.0.0.1:9\n")
    bridge = service("tunnel-bridge", "serve", "--socket", path, "--to", echo, "--access", access, "--metrics", file)
    bridge.next()
    listener = listen("--bridge", path)
    assert dial(listener.address, "--key", key_file(5), input=b"hello").out == "hello"
    dial(listener.address, "--key", key_file(6))
    for _ in range(2):
        dial(listener.address)
    assert status(bridge) == "1 streams served, 3 streams refused (1 port, 2 unknown-key)"
    assert bridge.stop() == 0
    assert figures(file) == {("tunnel_bridge_serve_streams_served_total",): 1, ("tunnel_bridge_serve_streams_refused_total", "port"): 1,
                             ("tunnel_bridge_serve_streams_refused_total", "unknown-key"): 2}
    assert "3 streams refused (3 refused)" in status(listener)


def test_a_bridge_of_clients_tells_who_waits(service, tmp_path):
    bridge = service("tunnel-bridge", "connect", "--socket", tmp_path / "dial.sock", "--listen", "127.0.0.1:0")
    host, port = bridge.next()["listening"].rsplit(":", 1)
    assert status(bridge) == "0 streams opened, 0 connections refused, 0 held"
    with socket.create_connection((host, int(port)), PATIENCE):
        while (said := status(bridge)) != "0 streams opened, 0 connections refused, 1 held":
            assert said == "0 streams opened, 0 connections refused, 0 held"


@pytest.mark.parametrize("name, arguments", [("quic-listen", ["--key", "KEY", "--", "cat"]), ("quic-dial", ["--bridge", "SOCKET"]),
                                             ("tunnel-bridge", ["serve", "--socket", "SOCKET", "--to", "127.0.0.1:9"]),
                                             ("tunnel-bridge", ["connect", "--socket", "SOCKET", "--listen", "127.0.0.1:0"])])
def test_a_file_that_can_not_be_written_is_a_mistake_of_the_call(run, key_file, tmp_path, name, arguments):
    arguments = [{"KEY": str(key_file()), "SOCKET": str(tmp_path / "socket")}.get(word, word) for word in arguments]
    place = arguments.index("--") if "--" in arguments else len(arguments)
    done = run(name, *arguments[:place], "--metrics", tmp_path / "nowhere" / "file.prom", *arguments[place:])
    assert done.status == 78 and re.search(rf"^{name}: metrics file .*/file.prom: No such file or directory$", done.err, re.MULTILINE)
    assert os.listdir(tmp_path) in ([], [f"secret-{LISTENER}"])


def test_a_relay_tells_of_its_clients(service):
    relay = service("quic-relay", "--http", "127.0.0.1:0")
    relay.next()
    assert status(relay) == "0 clients, 0 connections, 0 B passed on, 0 frames dropped, 0 clients denied, 0 connections refused"


def test_a_dht_node_tells_of_the_network_and_a_publisher_of_its_last_packet(service, new_key):
    node = service("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0")
    addresses = node.next()
    publisher = service("pkarr-publish", "--no-relays", "--bootstrap", addresses["dht"], "--refresh", "1h")
    publisher.process.stdin.write(lines(new_key().packet()))
    publisher.process.stdin.flush()
    assert publisher.next()["stored"]
    assert re.fullmatch(r"1 packets done, 0 of them not stored, last stored \d+ s ago", status(publisher))
    assert re.fullmatch(r"0 HTTP connections open of 0, \d+ DHT nodes known, 1 items for others in \d+(\.\d k| )B", status(node))
