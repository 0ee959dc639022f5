import JSON
import Platform

/// One thing that a diagnosis has found out (keyhole-objects(5)).
public struct Finding: Sendable {
    public enum Step: String, Sendable {
        /// An address at which our socket may be reached.
        case address
        /// Whether UDP gets out of the network and answers come back.
        case udp
        /// How a NAT on the way maps our socket.
        case nat
        /// Whether the router opens ports by a protocol.
        case portMapping = "port-mapping"
        /// An iroh relay.
        case relay
        /// The DHT or a pkarr relay, asked for the packet.
        case source
        /// The newest packet.
        case packet
        /// What its records say of where the peer is.
        case endpoint
        /// One address or relay of the peer, tried by itself.
        case dial
        /// The connection that a client would use: the first of all ways that answers.
        case connection
        case request
        /// Whether a relayed connection has gone over to a direct path.
        case direct
    }

    public var step: Step
    /// Nil for what is neither good nor bad, or could not be tried.
    public var isGood: Bool?
    /// How long it took.
    public var time: Duration?
    /// What else there is to say, for programs.
    public var details: [(name: String, value: JSONValue)]
    /// The same for a person, a line without its end.
    public var text: String

    init(_ step: Step, _ isGood: Bool?, after time: Duration? = nil, _ details: [(name: String, value: JSONValue)], _ text: String) {
        self.step = step
        self.isGood = isGood
        self.time = time
        self.details = details
        self.text = text
    }

    public var json: JSONObject {
        let head: [(name: String, value: JSONValue)] = [
            ("step", .string(step.rawValue)), ("ok", isGood.map(JSONValue.bool) ?? .null), ("ms", .milliseconds(time)),
        ]
        return JSONObject(members: head + details)
    }
}

extension JSONValue {
    /// Milliseconds to a thousandth; null for nil.
    static func milliseconds(_ time: Duration?) -> JSONValue {
        guard let time else { return .null }
        return .real((time.milliseconds * 1000).rounded() / 1000)
    }

    static func text(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }
}

/// A time for a person: `0.4 ms`, `12 ms`, `2.5 s`.
public func brief(_ time: Duration) -> String {
    let milliseconds = time.milliseconds
    let (value, unit) = milliseconds < 1000 ? (milliseconds, "ms") : (milliseconds / 1000, "s")
    let tenths = Int((value * 10).rounded())
    return tenths < 100 && tenths % 10 != 0 ? "\(tenths / 10).\(tenths % 10) \(unit)" : "\((tenths + 5) / 10) \(unit)"
}

/// `1 address`, `2 addresses`.
func counted(_ count: Int, _ one: String, _ many: String) -> String { "\(count) \(count == 1 ? one : many)" }
