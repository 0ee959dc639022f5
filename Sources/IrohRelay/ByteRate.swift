import Platform

/// Holds a stream of bytes to a rate by telling how long to pause.
///
/// Kept is one moment, at which all that has been read would be due. It may lag behind the present by the burst, a tenth of a second's bytes
/// but no less than a frame, and runs ahead when too much has come.
struct ByteRate {
    private let nanosecondsPerByte: Double
    private let burst: UInt64
    private var due = Instant(nanoseconds: 0)

    init(bytesPerSecond: Int) {
        nanosecondsPerByte = 1e9 / Double(bytesPerSecond)
        burst = UInt64(Double(max(bytesPerSecond / 10, 65536)) * nanosecondsPerByte)
    }

    /// Counts bytes read.
    ///
    /// - Returns: When to read again; nil for now.
    mutating func take(_ count: Int, now: Instant) -> Instant? {
        let earliest = now.nanoseconds - min(now.nanoseconds, burst)
        due = Instant(nanoseconds: max(due.nanoseconds, earliest) + UInt64(Double(count) * nanosecondsPerByte))
        return due > now ? due : nil
    }
}
