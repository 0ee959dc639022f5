"""port-map as a process; what it gets from routers is tried in the laboratory (Tests/NATLab/test_port_mapping.py)."""
import json
import os
import signal
import subprocess

import pytest

from conftest import command


@pytest.mark.parametrize("wrong", [[], ["--udp", "0"], ["--udp", "65536"], ["--udp", "4433", "--protocol", "igd"],
                                   ["--udp", "4433", "--every", "500ms"], ["--look", "--udp", "4433"], [part for port in range(1, 18) for part in ("--udp", port)]])
def test_a_wrong_command_line_is_told(run, wrong):
    done = run("port-map", *wrong)
    assert done.status == 64 and not done.out and done.err


@pytest.fixture
def apart():
    """What runs a command where there is no network at all."""
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    return ["unshare", "--net"]


@pytest.fixture
def mapper(service, apart, monkeypatch):
    """port-map in a network of its own, after its first line."""
    import conftest

    monkeypatch.setattr(conftest, "command", lambda name, *arguments, whole=conftest.command: apart + whole(name, *arguments))
    started = service("port-map", "--udp", 4433)
    assert started.next() == {"unmapped": {"port": 4433, "external": None}, "reason": "there is no router"}
    return started


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(mapper, number):
    mapper.process.send_signal(number)
    assert mapper.process.wait(60) == 0


def test_the_end_of_its_input_ends_it(mapper):
    mapper.process.stdin.close()
    assert mapper.process.wait(60) == 0


def test_without_a_router_a_look_finds_none(apart):
    done = subprocess.run(apart + command("port-map", "--look", "--protocol", "pcp"), capture_output=True, timeout=60)
    assert done.returncode == 69 and json.loads(done.stdout) == {
        "router": None, "protocol": "pcp", "spoken": False, "external": None, "reason": "there is no router"}
