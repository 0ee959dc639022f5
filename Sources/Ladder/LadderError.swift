/// Why there is no connection to a homeserver.
public struct LadderError: Error, Equatable {
    /// The raw values are the exit statuses of the commands (sysexits.h).
    public enum Status: Int32, Sendable {
        /// Nobody has published anything for the key, or nothing that leads to a homeserver.
        case keyNotFound = 68
        /// No way reached the homeserver, or nobody could be asked for the key's packet.
        case unreachable = 69
        /// It may work later: too many requests are under way, or what is needed is being restarted.
        case tryAgain = 75
        /// Who answered proved to be somebody else. Nothing further was tried.
        case wrongPeer = 76
        /// A relay or a list does not let us through.
        case permission = 77
    }

    public var status: Status
    /// One line for a person: lower case, no full stop.
    public var message: String
    /// Every way that was tried.
    public var attempts: [UpstreamAttempt]

    public init(_ status: Status, _ message: String, attempts: [UpstreamAttempt] = []) {
        self.status = status
        self.message = message
        self.attempts = attempts
    }
}

extension LadderError: CustomStringConvertible {
    public var description: String { message }
}
