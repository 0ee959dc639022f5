"""Ends of the throughput run with the real iroh.

    iroh_bytes.py serve BYTES                    prints its endpoint id and address, gives BYTES to each stream
    iroh_bytes.py fetch BYTES ID ADDRESS         reads one stream and prints MB/s, from the request to the last byte
    iroh_bytes.py serve BYTES --relay URL        the same through a relay
    iroh_bytes.py fetch BYTES ID --relay URL
"""
import asyncio
import ctypes
import sys
import time

import iroh
from iroh import iroh_ffi

ALPN = b"keyhole/benchmark"
CHUNK = 1 << 20


def write_at_once(self, value):
    """The binding hands bytes over one by one in Python, which would be all that is measured."""
    with self._reserve(len(value)):
        start = ctypes.addressof(self.rbuf.data.contents) + self.rbuf.len
        ctypes.memmove(start, value, len(value))


iroh_ffi._UniffiRustBufferBuilder.write = write_at_once


async def endpoint(relay):
    iroh_ffi.uniffi_set_event_loop(asyncio.get_running_loop())
    builder = iroh.EndpointBuilder()
    builder.apply_minimal()
    builder.alpns([ALPN])
    builder.relay_mode(iroh.RelayMode.custom_from_urls([relay]) if relay else iroh.RelayMode.disabled())
    builder.bind_addr("0.0.0.0:0" if relay else "127.0.0.1:0")
    bound = await builder.bind()
    if relay:
        await bound.online()
    return bound


async def give(incoming, count):
    connection = await (await incoming.accept()).connect()
    stream = await connection.accept_bi()
    await stream.recv().read_to_end(16)
    sender, chunk, left = stream.send(), bytes(CHUNK), count
    while left > 0:
        await sender.write_all(chunk if left >= CHUNK else chunk[:left])
        left -= CHUNK
    await sender.finish()
    await connection.closed()


async def serve(count, relay=None):
    server = await endpoint(relay)
    address = server.bound_sockets()[0]
    print(server.id(), address, flush=True)
    tasks = set()
    while True:
        tasks.add(asyncio.create_task(give(await server.accept_next(), count)))


async def fetch(count, name, address, relay=None):
    client = await endpoint(relay)
    connection = await client.connect(iroh.EndpointAddr(iroh.EndpointId.from_string(name), relay, [address] if address else []), ALPN)
    start = time.perf_counter()
    stream = await connection.open_bi()
    await stream.send().write_all(b"bytes")
    await stream.send().finish()
    receiver, total = stream.recv(), 0
    while piece := await receiver.read(CHUNK):
        total += len(piece)
    assert total == count, f"{total} bytes of {count} came"
    print(total / (time.perf_counter() - start) / 1e6, flush=True)
    connection.close(0, b"")
    await client.close()


arguments = sys.argv[1:]
relay = arguments.pop() if "--relay" in arguments else None
if relay:
    arguments.remove("--relay")
if arguments[0] == "serve":
    asyncio.run(serve(int(arguments[1]), relay))
else:
    asyncio.run(fetch(int(arguments[1]), arguments[2], *(arguments[3:] or [None]), relay))
