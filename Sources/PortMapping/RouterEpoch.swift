import Platform

/// Finds out from a router's clock whether it has forgotten its mappings (RFC 6887, section 8.5, which is the stricter of two such rules;
/// RFC 6886, section 3.6).
struct RouterEpoch {
    private var last: (epoch: UInt32, at: Instant)?

    /// Notes what an answer told. Returns whether the router has begun anew since the one before.
    mutating func note(_ epoch: UInt32, now: Instant) -> Bool {
        defer { last = (epoch, now) }
        guard let last else { return false }
        // Answers may overtake each other by a second.
        if epoch < last.epoch { return last.epoch - epoch > 1 }
        let ours = (now - last.at).nanoseconds / 1_000_000_000, theirs = Int64(epoch - last.epoch)
        // Clocks may differ by a sixteenth, and by two seconds.
        return ours + 2 < theirs - theirs / 16 || theirs + 2 < ours - ours / 16
    }
}
