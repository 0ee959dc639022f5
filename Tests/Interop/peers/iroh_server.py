"""Echoes each stream when it has ended, or as it comes. Prints its id and address, then what happens, as objects.

    iroh_server.py [--bind ADDRESS] [--relay URL [--token TOKEN]] [--secret HEX] [--as-it-comes]
"""
import argparse
import asyncio

from iroh_peer import LIMIT, endpoint, out


PIECE = 1 << 18


async def echo_as_it_comes(stream):
    while piece := await stream.recv().read(PIECE):
        await stream.send().write_all(piece)
    await stream.send().finish()


async def echo(stream):
    data = await stream.recv().read_to_end(LIMIT)
    await stream.send().write_all(data)
    await stream.send().finish()
    out(event="echoed", bytes=len(data))


async def serve(incoming, echo):
    try:
        connection = await (await incoming.accept()).connect()
    except Exception as error:
        out(event="refused", reason=str(error))
        return
    out(event="accepted", peer=str(connection.remote_id()))
    tasks = set()
    try:
        while True:
            tasks.add(asyncio.create_task(echo(await connection.accept_bi())))
    except Exception as error:
        out(event="ended", reason=str(error))


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bind", default="127.0.0.1:0")
    parser.add_argument("--relay")
    parser.add_argument("--token")
    parser.add_argument("--secret")
    parser.add_argument("--as-it-comes", action="store_true")
    arguments = parser.parse_args()
    server = await endpoint(arguments.bind, arguments.relay, arguments.token, arguments.secret)
    if arguments.relay:
        await server.online()
    out(id=str(server.id()), address=server.bound_sockets()[0])
    tasks = set()
    while (incoming := await server.accept_next()) is not None:
        tasks.add(asyncio.create_task(serve(incoming, echo_as_it_comes if arguments.as_it_comes else echo)))


asyncio.run(main())
