import Glibc

/// How a command ends (sysexits.h). Scripts rely on the numbers.
public enum ExitStatus: Int32, Sendable {
    /// The command did what it was asked.
    case done = 0
    /// It was called wrongly.
    case usage = 64
    /// Input was malformed or failed its check.
    case badData = 65
    /// Nobody has published anything for the key.
    case keyNotFound = 68
    /// No way reached the peer, or no node or relay answered.
    case unreachable = 69
    /// The command is broken.
    case bug = 70
    /// Output could not be written.
    case outputFailed = 74
    /// It may work later, or after resolving again.
    case tryAgain = 75
    /// The peer proved to be somebody else.
    case wrongPeer = 76
    /// A file or a list does not allow it.
    case permission = 77
    /// The configuration is wrong: a key file, a socket path, an address that can't be bound.
    case configuration = 78
}

/// Why a command gives up: one line for a person, perhaps a hint, and an exit status.
public struct CommandError: Error {
    public var status: ExitStatus
    /// What was wrong with what: lower case, no full stop.
    public var message: String
    /// What to do about it.
    public var hint: String?

    public init(_ status: ExitStatus, _ message: String, hint: String? = nil) {
        self.status = status
        self.message = message
        self.hint = hint
    }
}
