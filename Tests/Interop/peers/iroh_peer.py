"""What the two iroh peers share."""
import asyncio
import ctypes
import json

import iroh
from iroh import iroh_ffi

ALPN = b"pubky/iroh-homeserver/0"
# The most that one stream may bring.
LIMIT = 1 << 26


def write_at_once(self, value):
    """The binding hands bytes over one by one in Python: seconds for a few MiB."""
    with self._reserve(len(value)):
        ctypes.memmove(ctypes.addressof(self.rbuf.data.contents) + self.rbuf.len, bytes(value), len(value))


iroh_ffi._UniffiRustBufferBuilder.write = write_at_once


def out(**fields):
    print(json.dumps(fields), flush=True)


async def endpoint(bind, relay=None, token=None, secret=None):
    """An endpoint without discovery: what it reaches, it reaches by key and address, or by key through the relay."""
    iroh_ffi.uniffi_set_event_loop(asyncio.get_running_loop())
    builder = iroh.EndpointBuilder()
    builder.apply_minimal()
    builder.alpns([ALPN])
    if relay:
        map = iroh.RelayMap.empty()
        map.insert(iroh.RelayConfig(url=relay, quic_port=None, auth_token=token))
        builder.relay_mode(iroh.RelayMode.custom(map))
    else:
        builder.relay_mode(iroh.RelayMode.disabled())
    builder.bind_addr(bind)
    if secret:
        builder.secret_key(bytes.fromhex(secret))
    return await builder.bind()
