"""The real iroh as a peer of the tests.

    iroh_echo.py serve                                   prints its endpoint id and address; echoes each stream; tells what it got
    iroh_echo.py dial ID ADDRESS STREAMS BYTES           sends BYTES random bytes on each of STREAMS streams at once, expects them back
"""
import argparse
import asyncio
import contextlib
import ctypes
import json
import os

import iroh
from iroh import iroh_ffi

ALPN = b"pubky/iroh-homeserver/0"
LIMIT = 1 << 26
PATIENCE = 60


def write_at_once(self, value):
    """The binding hands bytes over one by one in Python: minutes for what is sent here."""
    with self._reserve(len(value)):
        ctypes.memmove(ctypes.addressof(self.rbuf.data.contents) + self.rbuf.len, value, len(value))


iroh_ffi._UniffiRustBufferBuilder.write = write_at_once


def tell(**values):
    print(json.dumps(values), flush=True)


async def endpoint():
    iroh_ffi.uniffi_set_event_loop(asyncio.get_running_loop())
    builder = iroh.EndpointBuilder()
    builder.apply_minimal()
    builder.alpns([ALPN])
    builder.relay_mode(iroh.RelayMode.disabled())
    builder.bind_addr("127.0.0.1:0")
    return await builder.bind()


async def echo(stream):
    data = await stream.recv().read_to_end(LIMIT)
    await stream.send().write_all(data)
    await stream.send().finish()
    tell(echoed=len(data))


async def answer(incoming):
    try:
        connection = await (await incoming.accept()).connect()
    except iroh.IrohError as error:
        tell(refused=error.message())
        return
    tell(peer=str(connection.remote_id()), alpn=connection.alpn().decode())
    streams = set()
    with contextlib.suppress(iroh.IrohError):
        while True:
            streams.add(asyncio.create_task(echo(await connection.accept_bi())))


async def serve():
    server = await endpoint()
    tell(id=str(server.id()), address=next(one for one in server.bound_sockets() if one.startswith("127.0.0.1")))
    connections = set()
    while True:
        connections.add(asyncio.create_task(answer(await server.accept_next())))


async def dial(key, address, streams, size):
    client = await endpoint()
    target = iroh.EndpointAddr(iroh.EndpointId.from_string(key), None, [address])
    try:
        connection = await asyncio.wait_for(client.connect(target, ALPN), PATIENCE)
    except iroh.IrohError as error:
        tell(refused=error.message())
        return
    tell(me=str(client.id()), peer=str(connection.remote_id()))

    async def there_and_back():
        data = os.urandom(size)
        stream = await connection.open_bi()
        back = asyncio.create_task(stream.recv().read_to_end(LIMIT))
        await stream.send().write_all(data)
        await stream.send().finish()
        return await back == data

    same = await asyncio.wait_for(asyncio.gather(*(there_and_back() for _ in range(streams))), PATIENCE)
    tell(same=sum(same))
    connection.close(0, b"done")
    await client.close()


parser = argparse.ArgumentParser()
modes = parser.add_subparsers(dest="mode", required=True)
modes.add_parser("serve")
dialling = modes.add_parser("dial")
dialling.add_argument("key")
dialling.add_argument("address")
dialling.add_argument("streams", type=int)
dialling.add_argument("size", type=int)
options = vars(parser.parse_args())
asyncio.run({"serve": serve, "dial": dial}[options.pop("mode")](**options))
