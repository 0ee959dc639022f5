/// A number of bytes for a person: `999 B`, `1.2 kB`, `34.5 GB`.
public func spelled(bytes: UInt64) -> String {
    guard bytes >= 1000 else { return "\(bytes) B" }
    var (rest, units) = (bytes, ["kB", "MB", "GB", "TB", "PB", "EB"][...])
    while rest >= 1_000_000 { (rest, units) = (rest / 1000, units.dropFirst()) }
    return "\(rest / 1000).\(rest % 1000 / 100) \(units.first!)"
}
