/// How a question was answered: RCODE with the upper bits that EDNS adds (RFC 1035, section 4.1.1; RFC 6891, section 6.1.3).
public struct ResponseCode: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let noError = ResponseCode(rawValue: 0)
    public static let formatError = ResponseCode(rawValue: 1)
    public static let serverFailure = ResponseCode(rawValue: 2)
    /// NXDOMAIN.
    public static let nameError = ResponseCode(rawValue: 3)
    public static let notImplemented = ResponseCode(rawValue: 4)
    public static let refused = ResponseCode(rawValue: 5)
    /// BADVERS.
    public static let badVersion = ResponseCode(rawValue: 16)

    /// As DNS tools write it; those of others that are not known here by number.
    public var name: String {
        switch self {
        case .noError: "NOERROR"
        case .formatError: "FORMERR"
        case .serverFailure: "SERVFAIL"
        case .nameError: "NXDOMAIN"
        case .notImplemented: "NOTIMP"
        case .refused: "REFUSED"
        case .badVersion: "BADVERS"
        default: "RCODE\(rawValue)"
        }
    }
}

/// Why a question was answered as it was (RFC 8914), for those who ask with EDNS.
struct ExtendedError: Hashable {
    enum Code: UInt16 {
        case other = 0
        case staleAnswer = 3
        case prohibited = 18
        case notAuthoritative = 20
        case notSupported = 21
        case noReachableAuthority = 22
        case networkError = 23
    }

    var code: Code
    /// For a person; short, since it is part of an answer that a datagram has to hold.
    var text = ""
}

/// Bits of a header's second field (RFC 1035, section 4.1.1; RFC 4035, section 3.2).
enum HeaderFlags {
    static let response: UInt16 = 0x8000
    static let operation: UInt16 = 0x7800
    static let authoritative: UInt16 = 0x0400
    static let truncated: UInt16 = 0x0200
    static let recursionDesired: UInt16 = 0x0100
    static let recursionAvailable: UInt16 = 0x0080
    static let authenticData: UInt16 = 0x0020
    static let checkingDisabled: UInt16 = 0x0010
    static let responseCode: UInt16 = 0x000f
}
