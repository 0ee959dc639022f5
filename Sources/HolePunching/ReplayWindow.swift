/// Which of the peer's numbers have come, so that a datagram that somebody sends again does nothing (RFC 4303, section 3.4.3).
struct ReplayWindow {
    /// Numbers below the highest that may still come: what is on its way through a relay is overtaken by a round's probes.
    private static let size: UInt64 = 64

    private var highest: UInt64 = 0
    /// The lowest bit is the highest number's.
    private var seen: UInt64 = 0

    /// Takes note of a number, which begin with 1. False if it has come before, or is too old to tell.
    mutating func admit(_ number: UInt64) -> Bool {
        guard number > 0 else { return false }
        if number > highest {
            let advance = number - highest
            seen = advance < Self.size ? seen << advance | 1 : 1
            highest = number
            return true
        }
        let age = highest - number
        guard age < Self.size, seen & (1 << age) == 0 else { return false }
        seen |= 1 << age
        return true
    }
}
