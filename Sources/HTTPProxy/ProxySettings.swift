/// What a proxy is told.
public struct ProxySettings: Sendable {
    /// What clients have to know; nil lets every client on.
    public var token: ProxyToken?
    /// Whether requests for hosts that are no keys are passed on.
    public var forwardsOthers = false
    /// Origins whose pages may send to all keys what only a homeserver's own page may otherwise, `http://HOST` or `http://HOST:PORT`.
    public var origins: Set<String> = []
    /// How long a homeserver may take to begin its answer.
    public var answerTime: Duration = .seconds(60)
    /// Connections of clients at once. When there are more, those that have not asked for anything go.
    public var mostConnections = 8192

    public init() {}
}
