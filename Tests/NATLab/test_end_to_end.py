"""A page behind one network is fetched from behind another by nothing but its key: the examples, the DHT, STUN and the relay together."""
import json
import os
import socket
import subprocess
import sys

import pytest

from NATLab.kinds import KINDS
from NATLab.namespaces import wait_for
from NATLab.services import RELAY, Service, command, environment, run, wait_until_reachable, whole_internet

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make network namespaces")
PAGE = b"<p>behind a household's router</p>\n"


def web_server(host, folder):
    """One that takes connections of its own machine only."""
    (folder / "index.html").write_bytes(PAGE)
    host.start(sys.executable, "-m", "http.server", "8080", "--bind", "127.0.0.1", "--directory", folder, stderr=subprocess.DEVNULL)

    def listens():
        with host.inside(), socket.socket() as one:
            return one.connect_ex(("127.0.0.1", 8080)) == 0

    wait_for(listens, "the web server")


@pytest.fixture(scope="module")
def internet():
    with whole_internet() as internet:
        yield internet


@pytest.fixture(scope="module")
def key(internet, tmp_path_factory):
    """Of a gateway in a home that the DHT knows a way to."""
    home, folder = internet.site(KINDS["home"]), tmp_path_factory.mktemp("home")
    web_server(home.hosts[0], folder)
    secret, state, settings = folder / "secret", folder / "state", folder / "gateway.conf"
    made = subprocess.run([command("pkarr-build"), "--generate-key", secret], check=True, capture_output=True)
    key = json.loads(made.stdout)["public_key"]
    settings.write_text(f"key={secret}\ntarget=127.0.0.1:8080\niroh-relay={RELAY}\nrelays=no\nstate={state}\n")
    gateway = Service(internet, home.hosts[0], "homeserver-gateway", settings, env=environment(home))

    wait_until_reachable(gateway, home, key)
    yield key
    gateway.stop()
    assert gateway.process.returncode == 0


@pytest.mark.parametrize("kind", ["none", "symmetric", "carrier", "firewall", "ipv6-only"])
def test_a_page_is_fetched_by_its_key(internet, key, tmp_path, kind):
    settings = tmp_path / "fetch.conf"
    settings.write_text("relays=no\n")
    done = run(internet.site(KINDS[kind]), "pubky-fetch", "-c", settings, f"pubky://{key}/")
    assert (done.returncode, done.stdout) == (0, PAGE), done.stderr.decode()
    line = json.loads(done.stderr.decode().splitlines()[-1].removeprefix("pubky-fetch: "))
    assert line["peer"] == key and line["path"] in ("direct", "relay")
