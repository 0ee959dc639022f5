import Platform

/// What a node remembers between runs: its id, the network's size and nodes that have answered. It is read back as if anybody had written it.
public struct NodeMemory: Equatable, Sendable {
    /// Nodes kept: ten times as many as a look-up begins with.
    public static let mostNodes = 200
    /// Bytes of the text form: no line of so many nodes has more than 96.
    public static let largestText = 32768

    public var id: NodeID
    /// The address for which others have seen the id to be valid (BEP 42); nil when none has been agreed on.
    public var address: IPAddress?
    /// Nodes in the whole network, by estimate.
    public var networkSize: Double?
    /// Those that are most likely still there come first.
    public var nodes: [Contact]

    public init(id: NodeID, address: IPAddress? = nil, networkSize: Double? = nil, nodes: [Contact]) {
        self.id = id
        self.address = address
        self.networkSize = networkSize
        self.nodes = nodes
    }

    /// What is wrong with a text, and in which line, counted from 1.
    public struct ReadError: Error, Equatable, CustomStringConvertible {
        public var line: Int
        public var reason: String
        public var description: String { "line \(line): \(reason)" }
    }
}

extension NodeMemory {
    private static let heading = "keyhole DHT nodes, format 1"
    /// Nobody knows of more nodes than there are addresses.
    private static let largestNetwork = 0x1p32

    /// A line for each thing: `id HEX`, `address IP`, `size NUMBER`, `node HEX ADDRESS:PORT`.
    public var text: String {
        var text = "\(NodeMemory.heading)\nid \(id)\n"
        if let address { text += "address \(address)\n" }
        if let networkSize { text += "size \(UInt64(min(max(networkSize, 1), NodeMemory.largestNetwork)))\n" }
        for node in nodes.prefix(NodeMemory.mostNodes) { text += "node \(node.id) \(node.address)\n" }
        return text
    }

    /// Reads the text form. Lines of other kinds are left to later formats; a wrong line of a known kind makes the whole worthless.
    public init(_ bytes: [UInt8]) throws(ReadError) {
        guard bytes.count <= NodeMemory.largestText else { throw ReadError(line: 1, reason: "the file is too large") }
        var id: NodeID?
        var nodes: [Contact] = []
        var places: Set<SocketAddress> = []
        var number = 0
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            let words = String(decoding: line, as: UTF8.self).split(separator: " ", omittingEmptySubsequences: false)
            func expect(_ isRight: Bool, _ what: String) throws(ReadError) {
                if !isRight { throw ReadError(line: number, reason: "expected \(what)") }
            }
            if number == 1 {
                try expect(line.elementsEqual(NodeMemory.heading.utf8), "\"\(NodeMemory.heading)\"")
                continue
            }
            switch words.first {
            case "id":
                id = words.count == 2 ? NodeID(hexadecimal: words[1]) : nil
                try expect(id != nil, "an id of 40 hexadecimal digits")
            case "address":
                address = words.count == 2 ? IPAddress(words[1]) : nil
                try expect(address != nil, "an IP address")
            case "size":
                networkSize = words.count == 2 ? UInt64(words[1]).map { Double($0) } : nil
                try expect(networkSize.map { $0 >= 1 && $0 <= NodeMemory.largestNetwork } ?? false, "a number of nodes")
            case "node":
                let contact = words.count == 3 ? Contact(words[1], at: words[2]) : nil
                try expect(contact != nil, "an id and an address with its port")
                if places.insert(contact!.address).inserted, nodes.count < NodeMemory.mostNodes { nodes.append(contact!) }
            default: break
            }
        }
        guard let id else { throw ReadError(line: number, reason: "the id is missing") }
        self.id = id
        self.nodes = nodes
    }
}

extension NodeID {
    /// Reads 40 hexadecimal digits.
    init?(hexadecimal text: some StringProtocol) {
        let digits = Array(text.utf8)
        guard digits.count == 40 else { return nil }
        var bytes: [UInt8] = []
        for place in stride(from: 0, to: 40, by: 2) {
            guard let high = Character(UnicodeScalar(digits[place])).hexDigitValue,
                let low = Character(UnicodeScalar(digits[place + 1])).hexDigitValue
            else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        self.init(bytes)
    }
}

extension Contact {
    fileprivate init?(_ id: Substring, at address: Substring) {
        guard let id = NodeID(hexadecimal: id), let address = SocketAddress(address), address.isUsable else { return nil }
        self.init(id: id, address: address)
    }
}

extension MainlineNode {
    /// What to remember until the next run; nil when no node has answered in this one, which says nothing about those of before.
    public func memory(now: Instant) -> NodeMemory? {
        guard hasBeenAnswered else { return nil }
        takeElectedAddress(now: now)
        return NodeMemory(
            id: id, address: idAddress, networkSize: size.estimate,
            nodes: Array(table.mostLikelyAlive.prefix(NodeMemory.mostNodes).map(\.contact)))
    }
}
