import Platform

/// What two ends say beside their connection to find a direct path (keyhole-paths(7), "Control datagrams"). Numbers are big-endian.
public enum ControlMessage: Hashable, Sendable {
    /// The client begins a round of probing: these are its addresses.
    case call(round: UInt32, candidates: [Candidate])
    /// The server takes part: these are its addresses.
    case answer(round: UInt32, candidates: [Candidate])
    /// The server would like another round, because it has moved or has found another address.
    case request
    /// Along a direct path, to find out whether it works.
    case probe(round: UInt32)
    /// To where a probe came from: its number ended in these bits. As long as the probe, so that nobody is sent more than was spent on it.
    case reply(number: UInt32)

    /// Candidates of one side at most: more than a machine at home has, and few enough to be probed all at once.
    public static let mostCandidates = 16
    /// Bytes of a candidate: source, family, address, port.
    private static let mostCandidateBytes = 1 + 1 + 16 + 2
    static let mostBytes = 1 + 4 + 1 + mostCandidates * mostCandidateBytes

    private enum Kind: UInt8 { case call = 1, answer, request, probe, reply }

    /// Nil for anything but exactly one message.
    public init?(decoding bytes: [UInt8]) {
        var rest = bytes[...]
        guard let first = rest.popFirst(), let kind = Kind(rawValue: first) else { return nil }
        switch kind {
        case .call, .answer:
            guard let round = rest.popNumber(UInt32.self), let candidates = rest.popCandidates() else { return nil }
            self = kind == .call ? .call(round: round, candidates: candidates) : .answer(round: round, candidates: candidates)
        case .request: self = .request
        case .probe:
            guard let round = rest.popNumber(UInt32.self) else { return nil }
            self = .probe(round: round)
        case .reply:
            guard let number = rest.popNumber(UInt32.self) else { return nil }
            self = .reply(number: number)
        }
        guard rest.isEmpty else { return nil }
    }

    /// At most ``mostCandidates`` candidates are written, the first.
    public var encoded: [UInt8] {
        switch self {
        case .call(let round, let candidates): [Kind.call.rawValue] + Self.bytes(round) + Self.bytes(candidates)
        case .answer(let round, let candidates): [Kind.answer.rawValue] + Self.bytes(round) + Self.bytes(candidates)
        case .request: [Kind.request.rawValue]
        case .probe(let round): [Kind.probe.rawValue] + Self.bytes(round)
        case .reply(let number): [Kind.reply.rawValue] + Self.bytes(number)
        }
    }

    private static func bytes(_ number: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: number.bigEndian, Array.init) }

    private static func bytes(_ candidates: [Candidate]) -> [UInt8] {
        let written = candidates.prefix(mostCandidates)
        return [UInt8(written.count)] + written.flatMap { candidate -> [UInt8] in
            let ip = candidate.address.ip
            return [candidate.source.rawValue, ip.isV6 ? 6 : 4] + ip.bytes + bytes(candidate.address.port)
        }
    }
}

extension ArraySlice<UInt8> {
    fileprivate mutating func popNumber<Number: FixedWidthInteger>(_: Number.Type) -> Number? {
        let size = MemoryLayout<Number>.size
        guard count >= size else { return nil }
        defer { removeFirst(size) }
        return prefix(size).reduce(0) { $0 << 8 | Number($1) }
    }

    fileprivate mutating func popCandidates() -> [Candidate]? {
        guard let count = popFirst(), count <= ControlMessage.mostCandidates else { return nil }
        var candidates: [Candidate] = []
        for _ in 0..<count {
            guard let first = popFirst(), let source = Candidate.Source(rawValue: first), let family = popFirst(), family == 4 || family == 6
            else { return nil }
            let size = family == 4 ? 4 : 16
            guard self.count >= size, let ip = IPAddress(bytes: prefix(size)) else { return nil }
            removeFirst(size)
            guard let port = popNumber(UInt16.self) else { return nil }
            candidates.append(Candidate(SocketAddress(ip: ip, port: port), source))
        }
        return candidates
    }
}
