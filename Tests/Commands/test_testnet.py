"""With one option the commands leave the public network for the testnet that pubky-testnet runs on this machine."""
import json
import os
import subprocess

import pytest

from conftest import BIN, PATIENCE, ROOT
from packets import Key

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a network of its own, where the ports are free")

# What pubky-testnet offers, with its ports (spec/pkarr-wire.md, section 7), and nothing else that could be reached.
TESTNET = """
set -eu
ip link set lo up
mkfifo serve
exec 3<>serve
pkarr-serve --dht-bind 127.0.0.1:6881 --http 127.0.0.1:15411 >serve 3<&- &
serve=$!
trap 'kill $serve; wait $serve' EXIT
read -r listening <&3
"""


@pytest.fixture
def testnet(tmp_path):
    """testnet(script) -> what it prints, in a session that the environment points at a network that is not there"""

    def testnet(script):
        environment = {**os.environ, "PATH": f"{BIN}:{ROOT}/examples:{os.environ['PATH']}", "PKARR_BOOTSTRAP": "127.0.0.1:1",
                       "PKARR_RELAYS": "http://127.0.0.1:1", "XDG_RUNTIME_DIR": str(tmp_path)}
        done = subprocess.run(["unshare", "--net", "sh", "-c", TESTNET + script], cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return testnet


@pytest.fixture
def homeserver(tmp_path):
    """The key of the testnet's homeserver."""
    (tmp_path / "secret").write_text("00" * 32)
    (tmp_path / "secret").chmod(0o600)
    return Key(0).name


def test_an_endpoint_is_published_and_found_in_the_testnet(testnet, homeserver):
    assert homeserver == "8pinxxgqs41n4aididenw5apqp1urfmzdztr8jt4abrkdn435ewo"
    receipt, endpoint = map(json.loads, testnet(f"""
echo '{{"endpoint_id":"{homeserver}","addresses":["203.0.113.7:4433"]}}' |
    iroh-txt encode | pkarr-build --key secret | pkarr-publish --testnet
pkarr-resolve --testnet {homeserver} | iroh-txt decode
""").splitlines())
    assert receipt["dht"]["stored"] == ["127.0.0.1:6881"]
    assert [(relay["url"].rstrip("/"), relay["outcome"]) for relay in receipt["relays"]] == [("http://localhost:15411", "stored")]
    assert endpoint["addresses"] == ["203.0.113.7:4433"]


def test_what_is_given_counts_before_the_testnet(testnet, homeserver):
    shown = testnet(f"""
pkarr-resolve --testnet --no-dht --relay http://127.0.0.1:2 {homeserver} || echo $?
pkarr-resolve --testnet --no-relays {homeserver} || echo $?
""")
    # Nobody has answered there; the testnet has, and knows no packet.
    assert shown.split() == ["69", "68"]


def test_a_page_is_fetched_in_the_testnet(testnet, homeserver, tmp_path):
    (tmp_path / "index.html").write_text("testnet")
    (tmp_path / "gateway.conf").write_text("key=secret\ntarget=127.0.0.1:8080\nbind=127.0.0.1:4433\ntestnet=yes\nstate=state\n")
    (tmp_path / "fetch.conf").write_text("testnet=yes\n")
    assert testnet(f"""
python3 -m http.server --bind 127.0.0.1 8080 >log 2>&1 3<&- &
web=$!
mkfifo receipts
exec 4<>receipts
homeserver-gateway gateway.conf >receipts 2>>log 3<&- 4<&- &
gateway=$!
trap 'kill $gateway $web $serve; wait $gateway $web $serve || :' EXIT
read -r receipt <&4
pubky-fetch -c fetch.conf pubky://{homeserver}/index.html
""") == "testnet"
