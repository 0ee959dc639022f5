"""Memory of quic-listen for each idle connection, made by a real iroh endpoint."""
import asyncio
import sys
import tempfile

import iroh

from harness import Figure, PATIENCE, ROOT, listener

ALPN = b"pubky/iroh-homeserver/0"
CONNECTIONS = 1000
# The first ones pay for what is kept once.
WARM_UP = 20
AT_ONCE = 50
LIMIT_KB = 60

sys.path.insert(0, str(ROOT / "Tests"))
from peers import public_key  # noqa: E402


def resident(process):
    """Resident memory that is the process's own, in KiB."""
    with open(f"/proc/{process.pid}/smaps_rollup") as file:
        return sum(int(row.split()[1]) for row in file if row.startswith(("Private_Clean:", "Private_Dirty:")))


async def connect(process, target, key):
    iroh.iroh_ffi.uniffi_set_event_loop(asyncio.get_running_loop())
    builder = iroh.EndpointBuilder()
    builder.apply_minimal()
    builder.relay_mode(iroh.RelayMode.disabled())
    builder.bind_addr("127.0.0.1:0")
    endpoint = await builder.bind()
    address = iroh.EndpointAddr(iroh.EndpointId.from_string(key), None, [target])

    async def several(count):
        return await asyncio.wait_for(asyncio.gather(*(endpoint.connect(address, ALPN) for _ in range(count))), PATIENCE)

    held = await several(WARM_UP)
    before = resident(process)
    while len(held) < WARM_UP + CONNECTIONS:
        held += await several(AT_ONCE)
    after = resident(process)
    assert all(one.close_reason() is None for one in held), "a connection was lost"
    await endpoint.close()
    return before, after


def measure(results):
    with tempfile.TemporaryDirectory() as folder, listener(folder, "--", "cat") as (process, endpoint):
        before, after = asyncio.run(connect(process, endpoint["addresses"][0], public_key(endpoint["endpoint_id"])))
    results.record(before_kib=before, after_kib=after, connections=CONNECTIONS)
    return [Figure(f"memory for each of {CONNECTIONS} idle connections", (after - before) / CONNECTIONS * 1.024, LIMIT_KB, " KB")]
