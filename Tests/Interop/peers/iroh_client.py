"""Knows a peer by key and address only, sends random bytes on several streams at once and prints what came back.

    iroh_client.py ID ADDRESS [--streams N] [--bytes N] [--text TEXT]
    iroh_client.py ID [ADDRESS] --relay URL [--token TOKEN] … [--tell-at N]
"""
import argparse
import asyncio
import os
import sys

import iroh

from iroh_peer import ALPN, LIMIT, endpoint, out


async def read(receiver, mark):
    """Everything; says so when `mark` bytes have come."""
    if mark is None:
        return await receiver.read_to_end(LIMIT)
    come = await receiver.read_exact(mark)
    out(event="come", bytes=mark)
    return come + await receiver.read_to_end(LIMIT)


async def ask(connection, data, mark=None):
    stream = await connection.open_bi()
    answer = asyncio.create_task(read(stream.recv(), mark))
    await stream.send().write_all(data)
    await stream.send().finish()
    return await answer


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("id")
    parser.add_argument("address", nargs="?")
    parser.add_argument("--relay")
    parser.add_argument("--token")
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--bytes", type=int, default=1000)
    parser.add_argument("--text")
    parser.add_argument("--tell-at", type=int)
    arguments = parser.parse_args()
    if arguments.relay:
        client = await endpoint("0.0.0.0:0", arguments.relay, arguments.token)
        await client.online()
    else:
        client = await endpoint("[::]:0" if arguments.address.startswith("[") else "127.0.0.1:0")
    try:
        addresses = [arguments.address] if arguments.address else []
        peer = iroh.EndpointAddr(iroh.EndpointId.from_string(arguments.id), arguments.relay, addresses)
        connection = await client.connect(peer, ALPN)
    except Exception as error:
        out(event="failed", reason=str(error))
        sys.exit(1)
    paths = sorted({"relay" if path.is_relay else "direct" for path in connection.paths()})
    out(event="connected", id=str(client.id()), peer=str(connection.remote_id()), paths=paths)
    if arguments.text is not None:
        out(event="answered", text=(await ask(connection, arguments.text.encode())).decode())
    else:
        questions = [os.urandom(arguments.bytes) for _ in range(arguments.streams)]
        answers = await asyncio.gather(*(ask(connection, data, arguments.tell_at) for data in questions))
        out(event="echoed", streams=sum(answer == data for answer, data in zip(answers, questions)))
    connection.close(0, b"done")
    await client.close()


asyncio.run(main())
