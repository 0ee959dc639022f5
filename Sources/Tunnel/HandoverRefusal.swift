import JSON
import Platform

/// Why a request was not fulfilled (keyhole-handover(7)).
public struct HandoverRefusal: Equatable, Sendable {
    /// A way to the peer that did not work, as in `stream` objects (keyhole-objects(5)).
    public struct Attempt: Equatable, Sendable {
        /// `direct` or `relay`.
        public var path: String
        public var remote: String
        public var reason: String
        /// From the start of its own attempt; whole milliseconds.
        public var after: Duration

        public init(path: String, remote: String, reason: String, after: Duration) {
            self.path = path
            self.remote = remote
            self.reason = reason
            self.after = after
        }
    }

    /// One line for a person.
    public var reason: String
    /// The exit status that stands for it: 69 when no way reached the peer, 75 when it may work later, 76 when who answered proved to be
    /// somebody else, 77 when a relay turned us away; nil when it has none.
    public var status: Int32?
    /// Every way that was tried.
    public var attempts: [Attempt]

    public init(_ reason: String, status: Int32? = nil, attempts: [Attempt] = []) {
        self.reason = reason
        self.status = status
        self.attempts = attempts
    }

    /// Unicode scalars. Longer texts are cut: each is one line for a person.
    static let longestText = 512
    /// Milliseconds. Nobody tries anything for longer than a day.
    private static let longestAfter: Int64 = 86_400_000
    /// A dialler tries some twenty ways; more are left out.
    static let mostAttempts = 32
}

extension HandoverRefusal {
    /// Reads what stands beside the reason. What has another form is left out: it explains, and nothing depends on it.
    init(_ reason: String, _ object: JSONObject) {
        self.init(Self.cut(reason))
        status = object["status"]?.integerValue.flatMap(Int32.init(exactly:))
        attempts = (object["failed"]?.arrayValue ?? []).prefix(Self.mostAttempts).compactMap { value in
            guard let one = value.objectValue, let path = one["path"]?.stringValue, let remote = one["remote"]?.stringValue,
                  let reason = one["reason"]?.stringValue, let after = one["after_ms"]?.integerValue
            else { return nil }
            return Attempt(path: Self.cut(path), remote: Self.cut(remote), reason: Self.cut(reason), after: .milliseconds(min(max(0, after), Self.longestAfter)))
        }
    }

    var members: [(name: String, value: JSONValue)] {
        var members: [(name: String, value: JSONValue)] = [("error", .string(Self.cut(reason)))]
        if let status { members.append(("status", .integer(Int64(status)))) }
        if !attempts.isEmpty { members.append(("failed", .array(attempts.prefix(Self.mostAttempts).map(\.json)))) }
        return members
    }

    fileprivate static func cut(_ text: String) -> String { String(String.UnicodeScalarView(text.unicodeScalars.prefix(longestText))) }
}

extension HandoverRefusal.Attempt {
    fileprivate var json: JSONValue {
        ["path": .string(path), "remote": .string(HandoverRefusal.cut(remote)), "reason": .string(HandoverRefusal.cut(reason)),
         "after_ms": .integer(Int64(after.milliseconds))]
    }
}
