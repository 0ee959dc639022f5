"""The soak of `make soak`, shortened: enough requests that a leak of a hundred bytes in each would show."""
from soak import GROWTH, Soak


def test_memory_stays_where_it_is_under_traffic_of_all_kinds():
    with Soak(sources=3000) as soak:
        fresh = soak.load(20_000)
        warm = soak.memory
        counted = soak.load(20_000)
        grown = soak.memory - warm
    assert soak.statuses == [0, 0]
    assert grown <= GROWTH, f"{grown} bytes more after 20000 requests"
    # The quicker the machine, the more of the second half the limits for each address turn away, and the rare kinds with it.
    answered = fresh["statuses"].keys() | counted["statuses"].keys()
    assert {"200", "204", "304", "400", "404", "405", "409", "413", "429"} <= answered, (fresh, counted)
    assert counted["requests"] >= 20_000
