import JSON
import Platform

// `stream` objects (keyhole-objects(5)).
extension UpstreamConnection {
    /// The line for this connection.
    ///
    /// - Parameter after: Since it was asked for.
    public func line(for host: KeyedHost, after: Duration) -> JSONValue {
        [
            "peer": .string(homeserver.zBase32), "host": .string(host.name), "path": .string(path.rawValue), "remote": .string(remote),
            "rtt_ms": nil, "after_ms": .integer(Int64(after.milliseconds)), "failed": .array(attempts.map(\.json)),
        ]
    }
}

extension LadderError {
    /// The line for a connection that did not come about.
    public func line(for host: KeyedHost) -> JSONValue {
        [
            "peer": .string(host.key.zBase32), "host": .string(host.name), "path": nil, "remote": nil, "rtt_ms": nil,
            "failed": .array(attempts.map(\.json)), "status": .integer(Int64(status.rawValue)), "error": .string(message),
        ]
    }
}

extension UpstreamAttempt {
    fileprivate var json: JSONValue {
        ["path": .string(path.rawValue), "remote": .string(remote), "reason": .string(reason), "after_ms": .integer(Int64(after.milliseconds))]
    }
}
