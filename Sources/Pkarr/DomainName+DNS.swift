// Names as DNS compares them: without regard to the case of ASCII letters (RFC 4343). In a packet, case counts.
extension DomainName {
    /// The name with its ASCII letters in lower case.
    public var folded: DomainName {
        guard wire.contains(where: { (0x41...0x5a).contains($0) }) else { return self }
        // A length byte is below every letter.
        return DomainName(uncheckedWire: wire.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 })
    }

    /// This name with another behind it; nil when that gets too long.
    public func followed(by name: DomainName) -> DomainName? {
        guard wire.count - 1 + name.wire.count <= Self.longest else { return nil }
        return DomainName(uncheckedWire: wire.dropLast() + name.wire)
    }

    /// What stands before another name that this one ends with, the root when they are equal; nil when it does not end so.
    public func removing(suffix: DomainName) -> DomainName? {
        var position = 0
        while wire.count - position > suffix.wire.count { position += 1 + Int(wire[position]) }
        guard wire[position...].elementsEqual(suffix.wire) else { return nil }
        return DomainName(uncheckedWire: wire[..<position] + [0])
    }

    /// The name without its first label; nil for the root.
    public var parent: DomainName? {
        wire[0] == 0 ? nil : DomainName(uncheckedWire: Array(wire[(1 + Int(wire[0]))...]))
    }

    /// The name of only the last label, the one under the root; nil for the root.
    public var topLevel: DomainName? {
        var position = 0
        var last: Int?
        while wire[position] != 0 {
            last = position
            position += 1 + Int(wire[position])
        }
        return last.map { DomainName(uncheckedWire: Array(wire[$0...])) }
    }
}
