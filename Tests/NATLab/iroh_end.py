"""One of two real iroh endpoints behind networks of the laboratory; it takes an object on standard input and prints others.

The listener's is {"address": where the user has forwarded a port to, or null}, and it prints {"id", "relay", "addresses"}. The dialler's
is that line, and it prints what came of a flow of pieces to the listener and back: {"path", "first_byte_ms", "direct_ms", "bytes", "error"}.

An iroh endpoint learns its public address by QUIC address discovery from a relay whose certificate one of the authorities has signed that
are compiled into it, and the Python package has no other way to trust a certificate. Here it is given what it would learn: the address
that a STUN server has seen of the same port a moment before. That takes it no time, so that the comparison is in its favour.
"""
import asyncio
import json
import os
import socket
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "Interop" / "peers")]

import iroh  # noqa: E402
from iroh import iroh_ffi  # noqa: E402
from iroh_peer import ALPN, out  # noqa: E402

from NATLab.flows import PIECE, content  # noqa: E402
from NATLab.internet import SERVICES  # noqa: E402
from NATLab.pairs import LONGEST_MOVE, PIECES, TICK  # noqa: E402
from NATLab.services import WITHOUT_TLS  # noqa: E402

COOKIE = bytes.fromhex("2112a442")
FAMILIES = {4: (socket.AF_INET, "0.0.0.0"), 6: (socket.AF_INET6, "::")}
# A STUN server that has not answered after so many seconds can't be reached; it is asked so often.
PATIENCE, TRIES = 0.2, 3


def seen(family, port=0):
    """A free port, and the address that a STUN server sees of it (RFC 8489), if there is a way to one."""
    kind, anywhere = FAMILIES[family]
    with socket.socket(kind, socket.SOCK_DGRAM) as one:
        one.bind((anywhere, port))
        one.settimeout(PATIENCE)
        for _ in range(TRIES):
            transaction = os.urandom(12)
            try:
                one.sendto(b"\0\1\0\0" + COOKIE + transaction, (SERVICES[family], 3478))
                answer = one.recv(1500)
            except OSError:
                continue
            length = 4 if family == 4 else 16
            at = answer.index(b"\0\x20" + (4 + length).to_bytes(2, "big")) + 6
            plain = bytes(a ^ b for a, b in zip(answer[at + 2:at + 2 + length], COOKIE + transaction))
            number = int.from_bytes(answer[at:at + 2], "big") ^ 0x2112
            host = socket.inet_ntop(kind, plain)
            return one.getsockname()[1], f"{host}:{number}" if family == 4 else f"[{host}]:{number}"
        return one.getsockname()[1], None


class Start:
    """What an endpoint is started with; made before the clock runs."""

    def __init__(self, address=None):
        wanted = int(address.rsplit(":", 1)[1]) if address else 0
        (four, seen_four), (six, seen_six) = seen(4, wanted), seen(6)
        self.bind = [f"0.0.0.0:{four}", f"[::]:{six}"]
        self.external = {one for one in (address, seen_four, seen_six) if one}

    async def endpoint(self):
        builder = iroh.EndpointBuilder()
        builder.apply_minimal()
        builder.alpns([ALPN])
        relays = iroh.RelayMap.empty()
        relays.insert(iroh.RelayConfig(url=WITHOUT_TLS))
        builder.relay_mode(iroh.RelayMode.custom(relays))
        for one in self.bind:
            builder.bind_addr(one)
        endpoint = await builder.bind()
        for one in self.external:
            await endpoint.add_external_addr(one)
        return endpoint


async def listen(given):
    endpoint = await Start(given["address"]).endpoint()
    await asyncio.wait_for(endpoint.online(), LONGEST_MOVE)
    out(id=str(endpoint.id()), relay=WITHOUT_TLS, addresses=endpoint.addr().direct_addresses())
    connection = await (await (await endpoint.accept_next()).accept()).connect()
    stream = await connection.accept_bi()
    while piece := await stream.recv().read(1 << 16):
        await stream.send().write_all(piece)
    await stream.send().finish()
    await connection.closed()


class Dialler:
    def __init__(self):
        self.result = {"path": None, "first_byte_ms": None, "direct_ms": None, "bytes": 0, "error": None}
        self.ending = False
        self.start = self.connection = None

    def since(self):
        return round((time.monotonic() - self.start) * 1000, 1)

    def look(self):
        """Which path the connection is on, and since when it has been the direct one."""
        selected = [path for path in self.connection.paths() if path.is_selected]
        path = None if not selected else "relay" if selected[0].is_relay else "direct"
        if path != "direct":
            self.result["direct_ms"] = None
        elif self.result["direct_ms"] is None:
            self.result["direct_ms"] = self.since()
        self.result["path"] = path

    async def write(self, sender):
        number = 0
        while not self.ending:
            await sender.write_all(content(number))
            self.look()
            number += 1
            await asyncio.sleep(TICK)
        await sender.finish()
        return number

    async def read(self, receiver, deadline):
        """Until the path is direct and more has come on it, or it is too late for that."""
        number, goal = 0, None
        while True:
            first = await receiver.read_exact(1)
            self.result["first_byte_ms"] = self.result["first_byte_ms"] or self.since()
            if first + await receiver.read_exact(PIECE - 1) != content(number):
                raise ValueError(f"piece {number} is not what was sent")
            number += 1
            self.result["bytes"] = number * PIECE
            if goal is None and number >= PIECES and (self.result["path"] == "direct" or time.monotonic() > deadline):
                goal = number + PIECES
            if number == goal:
                return

    async def run(self, peer, patience):
        start = Start()
        self.start = time.monotonic()
        try:
            endpoint = await start.endpoint()
            target = iroh.EndpointAddr(iroh.EndpointId.from_string(peer["id"]), peer["relay"], peer["addresses"])
            self.connection = await asyncio.wait_for(endpoint.connect(target, ALPN), LONGEST_MOVE)
            self.look()
            stream = await self.connection.open_bi()
            writing = asyncio.create_task(self.write(stream.send()))
            await asyncio.wait_for(self.read(stream.recv(), self.start + patience), 2 * LONGEST_MOVE)
            self.ending = True
            await writing
            self.look()
            self.connection.close(0, b"done")
            await endpoint.close()
        except Exception as error:
            self.result["error"] = str(error) or type(error).__name__
        out(**self.result)


async def main():
    iroh_ffi.uniffi_set_event_loop(asyncio.get_running_loop())
    out(ready=True)
    given = json.loads(sys.stdin.readline())
    await (listen(given) if sys.argv[1] == "listen" else Dialler().run(given["peer"], given["patience"]))


asyncio.run(main())
