/// Why bytes can't be taken for an HTTP/1 message.
public enum MessageError: Error, Equatable, Sendable, CustomStringConvertible {
    /// It breaks the syntax of RFC 9112, or could be read in more ways than one; the words tell what, without any byte of the message.
    case malformed(String)
    /// The head is longer, or has more fields, than is taken.
    case headTooLarge
    /// HTTP, but neither 1.0 nor 1.1.
    case version

    /// The status of the answer to such a request (RFC 9110, 15.5 and 15.6; RFC 6585, 5). A response that is in error makes it 502.
    public var status: Int {
        switch self {
        case .malformed: 400
        case .headTooLarge: 431
        case .version: 505
        }
    }

    public var description: String {
        switch self {
        case .malformed(let what): what
        case .headTooLarge: "the head is too large"
        case .version: "neither HTTP/1.0 nor HTTP/1.1"
        }
    }
}
