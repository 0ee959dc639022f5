"""homeserver-config as a process: what a homeserver's configuration publishes, and how a gateway in front of it is set up."""
import json
import os

import pytest

from conftest import ROOT

DEFAULTS = [
    {"name": "@", "type": "HTTPS", "ttl": 3600, "priority": 1, "target": ".", "params": {"port": 6287, "ipv4hint": ["127.0.0.1"]}},
    {"name": "@", "type": "HTTPS", "ttl": 3600, "priority": 10, "target": "localhost", "params": {"65280": "hex:188e"}},
    {"name": "@", "type": "A", "ttl": 3600, "address": "127.0.0.1"},
]


@pytest.fixture
def configured(run, tmp_path):
    """configured("settings", text) -> Finished"""

    def configured(what, text, *options):
        (tmp_path / "config.toml").write_text(text)
        return run("homeserver-config", what, *options, tmp_path)

    return configured


def test_an_empty_configuration_publishes_the_defaults(configured):
    done = configured("records", "")
    assert (done.status, done.err, done.objects) == (0, "", [{"records": DEFAULTS}])


def test_the_records_make_the_packet_that_a_homeserver_signs(configured, run, tmp_path):
    [vector] = [packet for packet in json.loads((ROOT / "Tests" / "Vectors" / "packets.json").read_text())["packets"]
                if packet["name"] == "homeserver-testnet"]
    (tmp_path / "secret").write_text(vector["secret_key"])
    (tmp_path / "secret").chmod(0o600)
    done = run("pkarr-build", "--key", tmp_path / "secret", "--at", vector["timestamp"], input=configured("records", "").bytes)
    assert done.objects[0]["payload"] == vector["payload"]


def test_settings_are_lines_of_a_gateways_configuration(configured, tmp_path):
    done = configured("settings", '[discovery.iroh]\ntxt_ttl_seconds = 60\n')
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [f'key="{tmp_path}/secret"', "target=127.0.0.1:6286", "http=yes", "tls-target=127.0.0.1:6287", "ttl=60s"]


def test_all_that_is_wrong_is_told_with_its_place(configured, tmp_path):
    done = configured("records", '[pkdns]\npublic_ip = "x"\nicann_domain = 5\n')
    assert (done.status, done.out) == (78, "")
    assert done.err.splitlines() == [
        f'homeserver-config: {tmp_path}/config.toml, line 2, column 1: pkdns.public_ip: expected an IP address, found "x"',
        f"homeserver-config: {tmp_path}/config.toml, line 3, column 1: pkdns.icann_domain: expected a domain, found 5"]


def test_a_file_that_is_no_toml_is_refused_and_not_quoted(configured):
    done = configured("records", "[admin]\nadmin_password = truhunter\n")
    assert done.status == 78 and "line 2, column" in done.err and "truh" not in done.err


def test_a_warning_leaves_the_status_as_it_is(configured):
    done = configured("settings", "[pkdns]\npublik_ip = 1\n")
    assert done.status == 0 and "warning: " in done.err and "line 2, column 1: pkdns.publik_ip is not known, and ignored" in done.err


def test_a_gateway_that_is_switched_off_has_no_settings(configured):
    done = configured("settings", "[discovery.iroh]\nenabled = false\n")
    assert (done.status, done.out) == (78, "")
    assert "line 2, column 1: discovery.iroh.enabled is false" in done.err


def test_the_secret_is_not_read(configured, tmp_path):
    # Reading a pipe without a writer would wait for ever.
    os.mkfifo(tmp_path / "secret")
    assert configured("settings", "").status == 0


def test_a_missing_file_and_a_huge_one_are_refused(configured, run, tmp_path):
    done = run("homeserver-config", "records", tmp_path / "nowhere")
    assert done.status == 78 and "No such file" in done.err and "hint: " in done.err
    assert configured("records", "#" * 100_000).status == 78


@pytest.mark.parametrize("arguments", [[], ["records"], ["settings"], ["other", "."]])
def test_a_wrong_call_is_a_usage_error(run, arguments):
    assert run("homeserver-config", *arguments).status == 64
