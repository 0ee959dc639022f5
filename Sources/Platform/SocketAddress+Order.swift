extension Array {
    /// Families take turns, in the order given, IPv6 first (RFC 8305, section 4).
    public func withFamiliesInTurn(_ ip: (Element) -> IPAddress) -> [Element] {
        let six = filter { ip($0).isV6 }, four = filter { !ip($0).isV6 }
        return (0..<Swift.max(six.count, four.count)).flatMap { index in
            [six, four].compactMap { $0.indices.contains(index) ? $0[index] : nil }
        }
    }
}
