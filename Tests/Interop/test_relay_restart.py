"""quic-relay restarted by a service manager that holds its socket, while real iroh endpoints exchange something."""
import signal
import subprocess
import sys
import threading
import time

from conftest import PATIENCE, ROOT, Service, command
from islands import MAINLAND
from relay_islands import URL, apart, client, islands, placed, places, server, service, started  # noqa: F401, fixtures

RESTARTS, BYTES, RATE = 3, 24 << 20, "6M"
LONGEST_GAP = 5  # seconds


def relayed(islands):
    """Bytes that the present process has relayed; None when it has not said."""
    asked = subprocess.run(islands.on("main", "curl", "-sf", f"{URL}metrics"), capture_output=True, text=True, timeout=PATIENCE)
    return next((int(line.split()[1]) for line in asked.stdout.splitlines() if line.startswith("quic_relay_datagram_bytes_relayed_total ")), None)


def wait_for_bytes(islands, transfer, more_than):
    while (relayed(islands) or 0) <= more_than:
        assert transfer.is_alive(), "the transfer has ended too soon for a restart in the middle of it"
        time.sleep(0.01)


def test_a_transfer_goes_on_over_restarts_of_the_relay(islands, started, server, client, record_property):
    program = command("quic-relay", "-v", "--exempt", MAINLAND, "--client-rate", RATE)
    manager = [sys.executable, str(ROOT / "Tests" / "service_manager.py"), f"http=tcp:{MAINLAND}:3340", "--", *program]
    # Nobody reads what it says of who comes and goes.
    relay = Service(islands.on("main", *manager), stderr=subprocess.DEVNULL)
    started.append(relay)
    assert relay.next() == {"http": [URL.rstrip("/")]}
    echo = server()
    outcome = []
    transfer = threading.Thread(target=lambda: outcome.append(client(echo.id, "--bytes", BYTES)))
    transfer.start()
    gaps = []
    for _ in range(RESTARTS):
        wait_for_bytes(islands, transfer, 1 << 20)
        told = time.monotonic()
        relay.process.send_signal(signal.SIGHUP)
        assert relay.next() == {"http": [URL.rstrip("/")]}
        wait_for_bytes(islands, transfer, 0)
        gaps.append(time.monotonic() - told)
    transfer.join()
    # One connection from the first byte to the last, and each byte was right.
    status, (connected, echoed) = outcome[0]
    assert (status, connected["paths"], echoed) == (0, ["relay"], {"event": "echoed", "streams": 1})
    record_property("gaps", gaps)
    assert max(gaps) < LONGEST_GAP, gaps
    assert relay.stop() == 0
