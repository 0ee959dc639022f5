"""The example scripts end to end, on a little network of their own."""
import contextlib
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from conftest import BIN, PATIENCE, ROOT, Service, lines
from quic_commands import ask, wait_for

EXAMPLES = ROOT / "examples"
STAGES = ["quic-listen", "iroh-txt", "pkarr-resolve", "pkarr-build", "pkarr-publish", "tunnel-bridge"]
PAGE = os.urandom(3_000_000)


@pytest.fixture
def network(service, tmp_path):
    """The environment of a session pointed at a network of two nodes."""
    nodes = []
    for _ in range(2):
        bootstrap = ["--bootstrap", nodes[0]["dht"]] if nodes else []
        nodes.append(service("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", *bootstrap).next())
    (tmp_path / "run").mkdir()
    return {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "PKARR_BOOTSTRAP": nodes[0]["dht"], "PKARR_RELAYS": nodes[0]["http"],
            "XDG_RUNTIME_DIR": str(tmp_path / "run"), "XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.fixture
def homeserver():
    """A server of one page that remembers the Host headers it was sent."""
    hosts = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            hosts.append(self.headers["Host"])
            self.send_response(200)
            self.send_header("Content-Length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)

        def do_POST(self):
            self.send_response(201)
            self.end_headers()
            self.wfile.write(self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.target = "127.0.0.1:%d" % server.server_address[1]
        server.hosts = hosts
        yield server
        server.shutdown()


@pytest.fixture
def key(run, tmp_path):
    """The homeserver's public key; the secret is in the file `secret`."""
    return run("pkarr-build", "--generate-key", tmp_path / "secret").objects[0]["public_key"]


@pytest.fixture
def gateway(network, homeserver, key, tmp_path):
    """gateway("watch=1s") starts it; its objects are receipts."""
    started = []

    def gateway(*settings, env=network):
        config = tmp_path / "gateway.conf"
        config.write_text("\n".join([f"key={tmp_path}/secret", f"target={homeserver.target}", "bind=127.0.0.1:0", "settle=0s", *settings, ""]))
        # Messages go to a file: a pipe that nobody reads would fill.
        one = Service([str(EXAMPLES / "homeserver-gateway"), str(config)], env=env, stdin=subprocess.DEVNULL,
                      stderr=open(tmp_path / "gateway.log", "w"))
        started.append(one)
        return one

    yield gateway
    for one in started:
        one.stop()
        one.process.stdout.close()
    # Nothing of them is left, such as what waits for the ends of stages.
    config = str(tmp_path / "gateway.conf").encode()
    wait_for(lambda: not any(config in arguments for arguments in command_lines()))


def command_lines():
    """The arguments of all processes."""
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield place.read_bytes().split(b"\0")


def stages(gateway):
    """Process ids by the command that runs there."""
    children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text().split()
    found = {}
    for child in children:
        name = Path(Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[0].decode()).name
        if name in STAGES:
            found[name] = int(child)
    return found


def is_running(process_id):
    try:
        return "Z" not in Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def fetch(url, *options, env, settings=()):
    """Everything here is on this machine, which a client has to be told."""
    config = Path(env["XDG_RUNTIME_DIR"]).parent / "fetch.conf"
    config.write_text("\n".join(["allow-local=yes", *settings, ""]))
    return subprocess.run([str(EXAMPLES / "pubky-fetch"), "-c", str(config), url, *options], env=env,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)


def shell(script, env, **options):
    return subprocess.run(["sh", "-euc", script], env=env, capture_output=True, timeout=PATIENCE, check=True, **options).stdout


def records(key, env):
    """What the network holds: (name, type) and the strings or address of each record."""
    packet = json.loads(shell(f"pkarr-resolve {key}", env))
    return sorted((record["name"], record["type"], record.get("address") or ",".join(record.get("strings", []))) for record in packet["records"])


def receipt_of(gateway, key, env, wanted):
    """Reads receipts until the network holds what is wanted; a later one always comes as long as the gateway works."""
    while True:
        assert gateway.next()["stored"]
        found = records(key, env)
        if wanted(found):
            return found


def iroh(found):
    return [text for name, type, text in found if name == "_iroh"]


@pytest.fixture
def others(tmp_path):
    """Records that somebody else publishes under the key, as the homeserver itself does."""
    path = tmp_path / "others.json"
    path.write_text(json.dumps({"records": [
        {"name": "@", "type": "A", "ttl": 60, "address": "192.0.2.7"}, {"name": "_other", "type": "TXT", "ttl": 60, "strings": ["x=1"]}]}))
    return path


OTHERS = [("@", "A", "192.0.2.7"), ("_other", "TXT", "x=1")]


def publish_others(others, tmp_path, env):
    shell(f"pkarr-build --key {tmp_path}/secret --records {others} </dev/null | pkarr-publish --overwrite >/dev/null", env)


def test_a_page_is_fetched_by_key_with_the_key_as_host(gateway, homeserver, key, network):
    gateway().next()
    result = fetch(f"pubky://{key}/some/page?x=y", env=network)
    assert result.returncode == 0, result.stderr
    assert result.stdout == PAGE
    assert homeserver.hosts == [key]
    stream = json.loads(re.search(rb"^pubky-fetch: (\{.*)$", result.stderr, re.M)[1])
    assert stream["peer"] == key and stream["path"] == "direct"


def test_options_of_curl_are_passed_on_and_a_users_name_is_none_of_the_homeserver(gateway, homeserver, key, network):
    gateway().next()
    # The key is no user's: nothing says where a homeserver of that would be.
    assert fetch(f"http://_pubky.{key}/", env=network).returncode == 68
    assert fetch(f"http://{key.upper()}./", env=network).returncode == 64
    assert fetch(key, "--data-binary", "question", env=network).stdout == b"question"


@pytest.mark.parametrize("name", STAGES)
def test_any_stage_that_is_killed_ends_the_gateway_which_can_be_started_again(gateway, key, network, tmp_path, name):
    first = gateway()
    first.next()
    running = stages(first)
    assert sorted(running) == sorted(STAGES)
    os.kill(running[name], signal.SIGKILL)
    assert first.process.wait(PATIENCE) == 75
    assert f"homeserver-gateway: {name} ended with status 137" in (tmp_path / "gateway.log").read_text()
    assert not any(is_running(process_id) for process_id in running.values())
    assert os.listdir(tmp_path / "run") == []
    gateway().next()
    assert fetch(f"pubky://{key}/", env=network).stdout == PAGE


def test_with_a_fixed_port_clients_are_through_again_a_moment_after_the_listener_was_killed_and_all_was_started_again(
        gateway, tunnel, key):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    first = gateway(f"bind=127.0.0.1:{port}")
    first.next()
    address = tunnel(f"127.0.0.1:{port}", key=key)

    def is_served():
        try:
            return PAGE in ask(address, b"GET / HTTP/1.0\r\nHost: x\r\n\r\n", 10)
        except OSError:
            return False

    wait_for(is_served)
    listener = stages(first)["quic-listen"]
    killed = time.monotonic()
    os.kill(listener, signal.SIGKILL)
    assert first.process.wait(PATIENCE) == 75
    # What systemd does by Restart=on-failure. Look-ups and publishing go on meanwhile, nobody who is connected waits for them.
    gateway(f"bind=127.0.0.1:{port}")
    wait_for(is_served)
    # A third of a second, on a machine that is not busy.
    assert time.monotonic() - killed < 3


def life_reader(gateway, name):
    """The process of the script that tells when the stage has ended."""
    for child in Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text().split():
        # Those that hold a secret don't let others of their user look.
        if int(child) in stages(gateway).values():
            continue
        open_files = [os.readlink(link) for link in Path(f"/proc/{child}/fd").iterdir()]
        if any(file.endswith(f"/life.{name}") for file in open_files):
            return int(child)
    raise AssertionError(f"nobody reads life.{name}")


def test_the_stage_that_was_killed_is_named_even_if_its_neighbour_is_heard_of_first(gateway, tmp_path):
    one = gateway()
    one.next()
    reader = life_reader(one, "pkarr-publish")
    os.kill(reader, signal.SIGSTOP)
    try:
        os.kill(stages(one)["pkarr-publish"], signal.SIGKILL)
        # pkarr-build has nobody to write to any more and ends.
        assert one.process.wait(PATIENCE) == 75
    finally:
        os.kill(reader, signal.SIGCONT)
    assert "homeserver-gateway: pkarr-publish ended with status 137" in (tmp_path / "gateway.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_gateway_cleanly(gateway, tmp_path, number):
    one = gateway()
    one.next()
    running = stages(one)
    one.process.send_signal(number)
    assert one.process.wait(PATIENCE) == 0
    assert not any(is_running(process_id) for process_id in running.values())
    assert os.listdir(tmp_path / "run") == []


def test_a_gateway_whose_receipts_nobody_reads_ends(gateway, tmp_path):
    one = gateway()
    one.next()
    one.process.stdout.close()
    assert one.process.wait(PATIENCE) == 75
    # Both it and the stage that feeds it end in good order, and either may be heard of first.
    assert re.search("pkarr-(publish|build) ended with status 0", (tmp_path / "gateway.log").read_text())


def test_what_others_have_published_is_kept(gateway, key, network, others, tmp_path):
    publish_others(others, tmp_path, network)
    found = receipt_of(gateway(), key, network, iroh)
    assert [record for record in found if record[0] != "_iroh"] == OTHERS


def test_an_overwritten_packet_is_merged_again_within_a_refresh(gateway, key, network, others, tmp_path):
    one = gateway("watch=1s", "refresh=1h")
    announced = iroh(receipt_of(one, key, network, iroh))
    publish_others(others, tmp_path, network)
    assert records(key, network) == OTHERS or iroh(records(key, network)) == announced
    # The next receipt is that of the merged packet: nothing else makes one within the hour.
    assert one.next()["stored"]
    found = records(key, network)
    assert iroh(found) == announced
    assert [record for record in found if record[0] != "_iroh"] == OTHERS


def test_the_stun_server_that_is_set_is_asked(gateway):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE)
        gateway("port-map=no", f"stun=127.0.0.1:{server.getsockname()[1]}")
        # A Binding request with the magic cookie (RFC 8489, section 5).
        request = server.recv(1500)
        assert request[:2] == b"\0\1" and request[4:8] == bytes.fromhex("2112a442")


def test_the_packet_names_the_home_relay_and_another_one_when_that_is_gone(gateway, service, key, network, tmp_path):
    relays = {}
    for _ in range(2):
        relay = service("quic-relay", "--http", "127.0.0.1:0")
        relays[relay.next()["http"][0] + "/"] = relay
    first, second = relays
    listed = tmp_path / "relays"
    listed.write_text(second)
    one = gateway(f"iroh-relay={first}", f"iroh-relay-list={listed}")

    def relay_of(found):
        return [url for url in relays if any(f"relay={url}" in text for text in iroh(found))]

    [home] = relay_of(receipt_of(one, key, network, relay_of))
    relays[home].process.kill()
    other = second if home == first else first
    assert relay_of(receipt_of(one, key, network, lambda found: relay_of(found) != [home])) == [other]
    # Whoever has only the relay gets the page.
    assert fetch(f"pubky://{key}/", env=without_direct_ways(network, tmp_path)).stdout == PAGE


def without_direct_ways(network, tmp_path):
    """An environment in which a client has the relays only."""
    folder = tmp_path / "relayed"
    folder.mkdir()
    dial = folder / "quic-dial"
    dial.write_text(f'#!/bin/sh\nexec "{BIN}/quic-dial" --no-direct "$@"\n')
    dial.chmod(0o755)
    return {**network, "PATH": f"{folder}:{network['PATH']}"}


def test_a_relay_that_asks_for_a_token_gets_its_own_from_both_sides(gateway, service, key, network, tmp_path):
    access, token = tmp_path / "access", tmp_path / "token"
    for path, content in (access, "token sesame\n"), (token, "sesame\n"):
        path.write_text(content)
        path.chmod(0o600)
    url = service("quic-relay", "--http", "127.0.0.1:0", "--access", access).next()["http"][0] + "/"
    receipt_of(gateway(f"iroh-relay={url}", f"iroh-relay-token={token}"), key, network, lambda found: any(f"relay={url}" in text for text in iroh(found)))
    relayed = without_direct_ways(network, tmp_path)
    assert fetch(f"pubky://{key}/", env=relayed, settings=[f"iroh-relay-token={url}={token}"]).stdout == PAGE
    refused = fetch(f"pubky://{key}/", env=relayed, settings=[f"iroh-relay-token=http://127.0.0.1:9/={token}"])
    assert (refused.returncode, refused.stdout) == (77, b""), refused.stderr


def test_a_relay_that_refuses_the_gateway_ends_it_with_its_status(gateway, service, tmp_path):
    access, token = tmp_path / "access", tmp_path / "token"
    for path, content in (access, "token sesame"), (token, "open"):
        path.write_text(content)
        path.chmod(0o600)
    relay = service("quic-relay", "--http", "127.0.0.1:0", "--access", access).next()["http"][0]
    assert gateway(f"iroh-relay={relay}", f"iroh-relay-token={token}").process.wait(PATIENCE) == 77
    assert f"relay {relay}/ refuses this key or token" in (tmp_path / "gateway.log").read_text()


def test_configured_records_are_published_until_the_endpoint_is_known(gateway, key, network, tmp_path):
    # A quic-listen that takes its time.
    (tmp_path / "slow").mkdir()
    os.mkfifo(tmp_path / "go")
    slow = tmp_path / "slow" / "quic-listen"
    slow.write_text(f'#!/bin/sh\nread -r go <"{tmp_path}/go"\nexec "{BIN}/quic-listen" "$@"\n')
    slow.chmod(0o755)
    static = tmp_path / "static.json"
    static.write_text(json.dumps({"records": [
        {"name": "@", "type": "A", "ttl": 60, "address": "192.0.2.1"},
        {"name": "_iroh", "type": "TXT", "ttl": 60, "strings": ["addr=192.0.2.1:9"]}]}))
    one = gateway(f"records={static}", env={**network, "PATH": f"{tmp_path}/slow:{network['PATH']}"})
    assert one.next()["stored"]
    assert records(key, network) == [("@", "A", "192.0.2.1"), ("_iroh", "TXT", "addr=192.0.2.1:9")]
    (tmp_path / "go").write_text("go\n")
    found = receipt_of(one, key, network, lambda found: iroh(found) != ["addr=192.0.2.1:9"])
    assert found[0] == ("@", "A", "192.0.2.1")
    assert re.fullmatch(r"addr=127\.0\.0\.1:\d+", iroh(found)[0])
    assert fetch(f"pubky://{key}/", env=network).stdout == PAGE


def test_nothing_is_published_when_nobody_can_tell_what_is_there(gateway, network, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        one = gateway("bootstrap=127.0.0.1:%d" % silent.getsockname()[1], "relays=no")
        assert one.process.wait(PATIENCE) == 69
    assert one.process.stdout.read() == b""
    assert "nothing is published" in (tmp_path / "gateway.log").read_text()
    assert os.listdir(tmp_path / "run") == []


def test_a_stage_that_is_set_up_wrongly_gives_the_gateway_its_status(gateway, tmp_path):
    (tmp_path / "access").write_text("nobody\n")
    one = gateway(f"access={tmp_path}/access")
    assert one.process.wait(PATIENCE) == 78
    assert 'line 1: "nobody" is no key' in (tmp_path / "gateway.log").read_text()


def test_a_key_file_that_others_can_read_is_refused(gateway, tmp_path):
    (tmp_path / "secret").chmod(0o644)
    assert gateway().process.wait(PATIENCE) == 77


@pytest.mark.parametrize("text, expected", [
    ("key=secret\n\n# comment\ncolour=blue\n", 'line 4: unknown setting "colour"'),
    ("key=secret\nkey=secret\n", "line 2: key is given twice"),
    ("nonsense\n", "line 1: expected NAME=VALUE"),
    ("key=\n", "line 1: key has no value"),
    ("key=missing\n", "line 1: key=missing: no such file"),
    ("target=localhost\n", "line 1: target=localhost: expected HOST:PORT"),
    ("target=localhost:http\n", "expected HOST:PORT"),
    ("target=:80\n", "expected HOST:PORT"),
    ("lan=maybe\n", "line 1: lan=maybe: expected yes or no"),
    ("port-map=pcp\n", "line 1: port-map=pcp: expected yes or no"),
    ("stun=stun.example\n", "line 1: stun=stun.example: expected HOST:PORT"),
    ("watch=5\n", "line 1: watch=5: expected a duration"),
    ("watch=m\n", "expected a duration"),
    ("rebuild=1 h\n", "expected a duration"),
    ("dht=no\nrelays=yes\ndht=yes\n", "line 3: dht is given twice"),
    ("target=127.0.0.1:1\n", "key=FILE is missing"),
    ("key=secret", "target=HOST:PORT is missing"),
    ("target=$(touch pwned):1\n`touch pwned`=1\n", "line 2: unknown setting"),
])
def test_a_wrong_configuration_is_reported_with_its_line(network, key, tmp_path, text, expected):
    (tmp_path / "wrong.conf").write_text(text)
    result = subprocess.run([str(EXAMPLES / "homeserver-gateway"), "wrong.conf"], env=network, cwd=tmp_path, capture_output=True,
                            timeout=PATIENCE)
    assert result.returncode == 78
    assert expected in result.stderr.decode()
    assert result.stdout == b""
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("script, arguments, sample", [
    ("homeserver-gateway", [], "gateway.conf"), ("pubky-fetch", ["-c"], "fetch.conf"), ("pubky-proxy", [], "proxy.conf")])
def test_the_sample_configuration_names_the_settings_that_help_explains_and_they_are_known(network, tmp_path, script, arguments, sample):
    explained = re.findall(r"^    ([a-z-]+)=", subprocess.run(
        [str(EXAMPLES / script), "--help"], capture_output=True, text=True, timeout=PATIENCE).stdout, re.MULTILINE)
    settings = re.findall(r"^#?([a-z-]+)=(.*)$", (EXAMPLES / sample).read_text(), re.MULTILINE)
    assert {name for name, _ in settings} == set(explained)
    # All of them at once, then one that is wrong: that is the one complained about.
    lines = [f"{name}={'/etc/passwd' if value.startswith('/') else value}" for name, value in settings]
    (tmp_path / "all.conf").write_text("\n".join([*lines, "wrong=1"]))
    result = subprocess.run([str(EXAMPLES / script), *arguments, "all.conf", *(["KEY"] if arguments else [])], env=network, cwd=tmp_path,
                            capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 78
    assert f"all.conf, line {len(lines) + 1}: unknown setting" in result.stderr


def test_blanks_quotes_and_carriage_returns_of_a_configuration_do_not_count(gateway, homeserver, key, network, tmp_path):
    directory = tmp_path / "with blank * and $HOME"
    directory.mkdir()
    (tmp_path / "secret").rename(directory / "secret")
    (tmp_path / "gateway.conf").write_text(
        f'\t key = "{directory}/secret" \r\n# a comment\r\n\r\n  target=\'{homeserver.target}\'\nbind=127.0.0.1:0')
    one = Service([str(EXAMPLES / "homeserver-gateway"), str(tmp_path / "gateway.conf")], env=network, stderr=subprocess.DEVNULL)
    assert one.next()["public_key"] == key
    assert one.stop() == 0


@pytest.mark.parametrize("arguments", [[], ["--wrong"], ["a", "b"]])
def test_a_wrong_call_of_the_gateway_is_a_usage_error(network, arguments):
    result = subprocess.run([str(EXAMPLES / "homeserver-gateway"), *arguments], env=network, capture_output=True, timeout=PATIENCE)
    assert result.returncode == 64
    assert b"usage: homeserver-gateway [" in result.stderr


@pytest.mark.parametrize("url", ["", "-x", "https://{key}/", "pubky://{key}:6287/", "pubky://user@{key}/", "nobody"])
def test_a_url_that_can_not_be_fetched_is_a_usage_error(network, key, url):
    assert fetch(url.format(key=key), env=network).returncode == 64


def test_a_key_that_nobody_has_published_is_not_found(network, key):
    result = fetch(f"pubky://{key}/", env=network)
    assert result.returncode == 68
    assert result.stdout == b""


def test_a_key_without_an_endpoint_is_not_found(network, key, others, tmp_path):
    publish_others(others, tmp_path, network)
    assert fetch(f"pubky://{key}/", env=network).returncode == 68


def test_a_gateway_that_has_gone_is_unreachable(gateway, key, network, tmp_path):
    one = gateway()
    one.next()
    one.stop()
    result = fetch(f"pubky://{key}/", env=network, settings=["timeout=3s"])
    assert result.returncode == 69
    assert result.stdout == b""
    assert b"no way reached" in result.stderr
    assert os.listdir(tmp_path / "run") == []


def test_a_homeserver_that_has_gone_is_unreachable(gateway, homeserver, key, network):
    gateway().next()
    homeserver.shutdown()
    homeserver.server_close()
    assert fetch(f"pubky://{key}/", env=network).returncode == 69


def test_somebody_else_at_the_announced_address_is_told_from_an_unreachable_one(run, service, key, network, tmp_path):
    run("pkarr-build", "--generate-key", tmp_path / "somebody-else")
    address = service("quic-listen", "--key", tmp_path / "somebody-else", "--bind", "127.0.0.1:0", "--", "cat").next()["addresses"][0]
    records = {"records": [{"name": "_iroh", "type": "TXT", "ttl": 30, "strings": [f"addr={address}"]}]}
    packet = run("pkarr-build", "--key", tmp_path / "secret", input=lines(records)).out
    assert run("pkarr-publish", input=packet.encode(), env=network).status == 0
    result = fetch(f"pubky://{key}/", env=network)
    assert result.returncode == 76
    assert result.stdout == b""
    assert b"somebody else" in result.stderr


def test_only_keys_on_the_access_list_get_the_page(gateway, run, key, network, tmp_path):
    friend = run("pkarr-build", "--generate-key", tmp_path / "friend").objects[0]["public_key"]
    (tmp_path / "access").write_text(f"{friend} # a friend\n")
    gateway(f"access={tmp_path}/access").next()
    assert fetch(f"pubky://{key}/", env=network).returncode == 69
    assert fetch(f"pubky://{key}/", env=network, settings=[f"key={tmp_path}/friend"]).stdout == PAGE


def test_the_demo_shows_the_page_and_the_path(network):
    environment = {name: value for name, value in network.items() if not name.startswith("PKARR_")}
    result = subprocess.run([str(EXAMPLES / "demo")], env=environment, capture_output=True, timeout=PATIENCE)
    assert result.returncode == 0, result.stderr
    assert b"Hello from a server without an address." in result.stdout
    assert b'"path":"direct"' in result.stdout
    assert os.listdir(network["XDG_RUNTIME_DIR"]) == []


def test_a_gateway_writes_its_figures_where_systemd_has_made_a_folder_for_it(gateway, network, tmp_path):
    folder = tmp_path / "runtime"
    folder.mkdir()
    # As in the unit; the node exporter is another user.
    former = os.umask(0o077)
    try:
        gateway(env={**network, "RUNTIME_DIRECTORY": str(folder)}).next()
    finally:
        os.umask(former)
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {"quic-listen.prom": 0o644, "tunnel-bridge.prom": 0o644}


def test_a_gateway_that_is_asked_what_goes_on_has_its_stages_tell(gateway, tmp_path):
    one = gateway(f"metrics={tmp_path}")
    one.next()
    # There since each has begun.
    assert {path.name for path in tmp_path.glob("*.prom")} == {"quic-listen.prom", "tunnel-bridge.prom"}
    one.process.send_signal(signal.SIGUSR1)
    log = tmp_path / "gateway.log"
    wait_for(lambda: all(f"{name}: status: " in log.read_text() for name in ("quic-listen", "tunnel-bridge", "pkarr-publish")))
    # Those that have nothing to tell don't take it amiss, also when `systemctl kill` sends it to all there are.
    for child in Path(f"/proc/{one.process.pid}/task/{one.process.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGUSR1)
    wait_for(lambda: log.read_text().count("quic-listen: status: ") == 2)
    assert set(stages(one)) == set(STAGES) and one.stop() == 0


# pubky-proxy

@pytest.fixture
def proxy(network, tmp_path):
    """proxy(setting…) -> (the script as a Service, the proxy's URL)"""
    started = []

    def proxy(*settings, listen="127.0.0.1:0"):
        config = tmp_path / "proxy.conf"
        config.write_text("\n".join([f"listen={listen}", "allow-local=yes", *settings, ""]))
        one = Service([str(EXAMPLES / "pubky-proxy"), str(config)], env=network, stdin=subprocess.DEVNULL, text=True)
        started.append(one)
        for line in one.process.stderr:
            if found := re.search(r"(http://\S+) is a proxy for keys", line):
                return one, found[1]
        raise AssertionError(one.process.wait(PATIENCE))

    yield proxy
    for one in started:
        one.stop()
        one.remove()


def test_the_proxy_fetches_what_gateways_serve_by_their_keys(gateway, homeserver, key, network, proxy):
    gateway().next()
    script, url = proxy()
    for _ in range(2):
        fetched = subprocess.run(["curl", "-sS", f"http://{key}/"], env={**network, "http_proxy": url}, capture_output=True, timeout=PATIENCE)
        assert fetched.stdout == PAGE, fetched.stderr
    assert homeserver.hosts == [key, key]
    # One tunnel for both.
    stream = json.loads(script.process.stdout.readline())
    assert stream["peer"] == key and stream["path"] == "direct"
    assert script.stop() == 0


def test_the_proxy_tells_when_nobody_has_published_a_key(network, proxy):
    _, url = proxy()
    unknown = "8pinxxgqs41n4aididenw5apqp1urfmzdztr8jt4abrkdn435ewo"
    asked = subprocess.run(["curl", "-sSi", "-x", url, f"http://{unknown}/"], capture_output=True, text=True, timeout=PATIENCE)
    assert asked.stdout.startswith("HTTP/1.1 502 ") and "error=dns_error" in asked.stdout


@pytest.mark.parametrize("listen, status", [("192.0.2.1:0", 78), ("127.0.0.1", 78)])
def test_a_proxy_that_can_not_listen_ends_with_that_status(network, tmp_path, listen, status):
    (tmp_path / "proxy.conf").write_text(f"listen={listen}\n")
    ended = subprocess.run([str(EXAMPLES / "pubky-proxy"), "proxy.conf"], env=network, cwd=tmp_path, capture_output=True, timeout=PATIENCE)
    assert ended.returncode == status, ended.stderr
    assert os.listdir(tmp_path / "run") == []


@pytest.mark.parametrize("stage", ["tunnel-bridge", "quic-dial", "pkarr-resolve"])
def test_a_stage_of_the_proxy_that_ends_ends_all(proxy, stage, tmp_path):
    script, _ = proxy()
    children = subprocess.run(["pgrep", "-P", str(script.process.pid), "-x", stage], capture_output=True, text=True).stdout.split()
    assert len(children) == 1
    os.kill(int(children[0]), signal.SIGKILL)
    assert script.process.wait(PATIENCE) == 137
    assert f"{stage} ended with status 137" in script.process.stderr.read()
    assert os.listdir(tmp_path / "run") == []
