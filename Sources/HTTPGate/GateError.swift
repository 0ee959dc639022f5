import HTTP1

/// Why a gate lets nothing more through.
public enum GateError: Error, Equatable, Sendable {
    /// The request is none that can be passed on.
    case request(MessageError)
    /// There is no tunnel to be had: what goes through one is not looked at.
    case connectMethod
    /// The server's answer can't be followed.
    case response(MessageError)

    /// The status to answer with.
    public var status: Int {
        switch self {
        case .request(let error): error.status
        case .connectMethod: 501
        case .response: 502
        }
    }

    public var reason: String {
        switch self {
        case .request(let error): "\(error)"
        case .connectMethod: "there is no tunnel here"
        case .response(let error): "the server's answer: \(error)"
        }
    }
}
