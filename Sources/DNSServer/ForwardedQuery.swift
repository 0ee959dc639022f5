import Crypto
import Pkarr

/// A query that is passed on to another server, made anew: with an id of its own, and without the options of the client, which are
/// between the client and us.
public struct ForwardedQuery: Equatable, Sendable {
    /// Random, so that nobody who does not see the query can forge an answer; the port is, too.
    public let id: UInt16
    private let name: DomainName
    private let type: RecordType
    private let flags: UInt16
    private let edns: (isUsed: Bool, dnssecOK: Bool)

    /// The longest answer that is read.
    static let largestAnswer = DNSResponse.largestStreamMessage

    init(_ query: DNSQuery, name: DomainName) {
        let random = randomBytes(2)
        id = UInt16(random[0]) << 8 | UInt16(random[1])
        self.name = name
        type = query.type
        flags = query.flags & (HeaderFlags.recursionDesired | HeaderFlags.authenticData | HeaderFlags.checkingDisabled)
        edns = (query.edns != nil, query.edns?.dnssecOK ?? false)
    }

    public static func == (left: ForwardedQuery, right: ForwardedQuery) -> Bool { left.wire == right.wire }

    /// The message to send.
    public var wire: [UInt8] {
        var writer = DNSWriter(id: id, flags: flags, counts: [1, 0, 0, edns.isUsed ? 1 : 0])
        writer.append(question: name, type: type, class: ResourceRecord.internetClass)
        if edns.isUsed { writer.append(.opt(payloadSize: DNSResponse.largestDatagram, dnssecOK: edns.dnssecOK)) }
        return writer.bytes
    }

    /// Whether a message answers this query and is whole: id and question are the query's, and every record can be walked through.
    public func accepts(_ message: [UInt8]) -> Bool {
        var reader = DNSReader(message)
        do throws(DNSMessageError) {
            let answerID = try reader.integer(UInt16.self)
            let flags = try reader.integer(UInt16.self)
            guard answerID == id, flags & HeaderFlags.response != 0, flags & HeaderFlags.operation == 0 else { return false }
            guard try reader.integer(UInt16.self) == 1 else { return false }
            var records = 0
            for _ in 0..<3 { records += Int(try reader.integer(UInt16.self)) }
            let asked = try reader.name()
            guard asked.folded == name.folded, reader.position == DNSQuery.headerSize + name.wire.count,
                try reader.integer(UInt16.self) == type.rawValue, try reader.integer(UInt16.self) == ResourceRecord.internetClass
            else { return false }
            for _ in 0..<records {
                _ = try reader.name()
                let type = RecordType(rawValue: try reader.integer(UInt16.self))
                _ = try reader.take(6)
                _ = try reader.take(Int(try reader.integer(UInt16.self)))
                // EDNS answers nobody who has not asked with it (RFC 6891, section 7).
                if type == .opt, !edns.isUsed { return false }
            }
        } catch { return false }
        return reader.position == message.count
    }

    /// What an accepted answer has of records, and whether some are missing; nil when it holds what can't be read.
    static func contents(of message: [UInt8]) -> (records: [ResourceRecord], isTruncated: Bool)? {
        guard let answers = (try? DNSMessage(wire: message))?.answers else { return nil }
        return (answers.filter { $0.type != .opt }, message[2] & UInt8(HeaderFlags.truncated >> 8) != 0)
    }

    /// The code in the header of an answer.
    static func responseCode(of message: [UInt8]) -> ResponseCode { ResponseCode(rawValue: UInt16(message[3] & 0x0f)) }

    /// An accepted answer as the client gets it: with his id, and his question in his case. One that is longer than he takes is cut down
    /// to the question, which tells him to ask over TCP.
    static func answer(_ message: [UInt8], to query: DNSQuery, over transport: Transport) -> [UInt8] {
        guard transport == .tcp || message.count <= DNSResponse.datagramLimit(query) else {
            let flags = UInt16(message[2]) << 8 | UInt16(message[3]) | HeaderFlags.truncated
            var writer = DNSWriter(id: query.id, flags: flags, counts: [1, 0, 0, query.edns == nil ? 0 : 1])
            writer.append(question: query.name, type: query.type, class: query.classField)
            if let edns = query.edns { writer.append(.opt(payloadSize: DNSResponse.largestDatagram, dnssecOK: edns.dnssecOK)) }
            return writer.bytes
        }
        var answer = message
        answer[0] = UInt8(query.id >> 8)
        answer[1] = UInt8(query.id & 255)
        answer.replaceSubrange(DNSQuery.headerSize..<DNSQuery.headerSize + query.name.wire.count, with: query.name.wire)
        return answer
    }
}
