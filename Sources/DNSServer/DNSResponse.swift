import Pkarr

/// An answer to a query.
struct DNSResponse {
    /// The most that is sent in a datagram: what passes everywhere without fragments (RFC 9715, section 3), and not enough to make
    /// forged questions worth while.
    static let largestDatagram = 1232
    /// What every client can take (RFC 1035, section 4.2.1), and the most without EDNS.
    static let smallestLimit = 512
    /// A TCP message's length has 16 bits.
    static let largestStreamMessage = 65535
    /// Bytes of an OPT record without options.
    static let optSize = 11

    var query: DNSQuery
    var code = ResponseCode.noError
    var isAuthoritative = false
    var isRecursionAvailable = false
    /// Some of what belongs to it is missing, so that the client has to ask again over TCP.
    var isTruncated = false
    var answers: [ResourceRecord] = []
    var authority: [ResourceRecord] = []
    /// What may be left out.
    var additional: [ResourceRecord] = []
    var errors: [ExtendedError] = []

    init(to query: DNSQuery, _ code: ResponseCode = .noError, _ error: ExtendedError? = nil) {
        self.query = query
        self.code = code
        errors = error.map { [$0] } ?? []
    }

    /// Bytes of a datagram that the client takes and we send.
    static func datagramLimit(_ query: DNSQuery) -> Int {
        min(max(query.edns?.payloadSize ?? smallestLimit, smallestLimit), largestDatagram)
    }

    /// The message. What does not fit loses first what may be left out, then everything but the question, which tells the client to ask
    /// again over TCP (RFC 2181, section 9).
    func wire(for transport: Transport) -> [UInt8] {
        let limit = transport == .udp ? Self.datagramLimit(query) : Self.largestStreamMessage
        var less = self
        if !isTruncated {
            let whole = encoded()
            if whole.count <= limit { return whole }
            less.additional = []
            less.errors = errors.map { ExtendedError(code: $0.code) }
            let shorter = less.encoded()
            if shorter.count <= limit { return shorter }
            less.isTruncated = true
        }
        less.answers = []
        less.authority = []
        less.additional = []
        return less.encoded()
    }

    private func encoded() -> [UInt8] {
        var flags = HeaderFlags.response | (code.rawValue & HeaderFlags.responseCode)
        if isTruncated { flags |= HeaderFlags.truncated }
        flags |= query.flags & (HeaderFlags.recursionDesired | HeaderFlags.checkingDisabled)
        if isAuthoritative { flags |= HeaderFlags.authoritative }
        if isRecursionAvailable { flags |= HeaderFlags.recursionAvailable }
        let extras = additional.count + (query.edns == nil ? 0 : 1)
        var writer = DNSWriter(
            id: query.id, flags: flags, counts: [1, UInt16(clamping: answers.count), UInt16(clamping: authority.count), UInt16(clamping: extras)])
        writer.append(question: query.name, type: query.type, class: query.classField)
        for record in answers { writer.append(record) }
        for record in authority { writer.append(record) }
        for record in additional { writer.append(record) }
        if let edns = query.edns { writer.append(options(edns)) }
        return writer.bytes
    }

    /// Our own OPT record (RFC 6891, section 6.1) with the reasons (RFC 8914, section 2).
    private func options(_ edns: DNSQuery.Extension) -> ResourceRecord {
        var options: [UInt8] = []
        for error in errors {
            let text = error.text.utf8
            for field in [15, UInt16(2 + text.count), error.code.rawValue] { options += [UInt8(field >> 8), UInt8(field & 255)] }
            options += text
        }
        return .opt(payloadSize: Self.largestDatagram, code: code, dnssecOK: edns.dnssecOK, options: options)
    }
}

extension ResourceRecord {
    /// An OPT record of EDNS version 0.
    static func opt(payloadSize: Int, code: ResponseCode = .noError, dnssecOK: Bool, options: [UInt8] = []) -> ResourceRecord {
        ResourceRecord(name: .root, type: .opt, classField: UInt16(payloadSize),
                       timeToLive: UInt32(code.rawValue >> 4) << 24 | (dnssecOK ? 0x8000 : 0), rdata: options)
    }
}

/// What a query came over.
public enum Transport: String, Hashable, Sendable {
    case udp, tcp
}
