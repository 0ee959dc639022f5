"""A small HTTP server that reads a request as a homeserver does, header by header, and answers with a page: prints its port."""
import asyncio

PAGE = b"a page of thirty-two characters\n"


async def converse(reader, writer):
    try:
        while request := await reader.readline():
            method, _, version = request.split()
            headers = {}
            while (row := (await reader.readline()).strip()):
                name, _, value = row.partition(b":")
                headers[name.lower()] = value.strip()
            assert method == b"GET" and version == b"HTTP/1.1" and b"host" in headers, request
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(PAGE), PAGE))
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def serve():
    server = await asyncio.start_server(converse, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(serve())
