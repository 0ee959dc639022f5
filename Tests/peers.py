"""What tests and benchmarks need to talk to the real iroh."""

Z_BASE_32 = "ybndrfg8ejkmcpqxot1uwisza345h769"


def public_key(text):
    """A z-base-32 key as the 64 hexadecimal digits that iroh takes."""
    bits = 0
    for letter in text:
        bits = bits << 5 | Z_BASE_32.index(letter)
    return (bits >> (5 * len(text) - 256)).to_bytes(32, "big").hex()
