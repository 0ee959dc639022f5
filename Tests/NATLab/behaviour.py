"""What a network does to datagrams, in the terms of RFC 4787."""
from dataclasses import dataclass, fields, replace

# Mapping and filtering (RFC 4787, sections 4.1 and 5).
UNTRANSLATED = "none"
INDEPENDENT = "endpoint-independent"
ADDRESS = "address-dependent"
ADDRESS_AND_PORT = "address and port-dependent"
BLOCKED = "blocked"


@dataclass(frozen=True)
class Behaviour:
    """What a probe finds, or has to find.

    `unasked`: a datagram to the announced address arrives though nothing was sent before. `hairpin`: hosts inside reach each other's
    public address; None where nothing is translated or nothing passes. `neighbours`: they reach each other's own address; None where there
    is one host. `tcp`: connections to the Internet. `proxied`: an HTTP proxy makes
    them. `opens_ports`: a host can have a port opened.
    """

    mapping: str
    filtering: str
    unasked: bool
    hairpin: bool | None = None
    neighbours: bool | None = None
    tcp: bool = True
    proxied: bool = False
    opens_ports: bool = False

    def but(self, **changes):
        return replace(self, **changes)

    def differences(self, other):
        """How what was found is another thing; a line for each."""
        pairs = [(field.name, getattr(self, field.name), getattr(other, field.name)) for field in fields(self)]
        return [f"{name} should be {wanted} and is {found}" for name, wanted, found in pairs if wanted != found]
