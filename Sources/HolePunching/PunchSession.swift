import Crypto
import Platform
import QUIC
import RateLimits

/// Finds direct paths between the two ends of a QUIC connection, beside it and without I/O: datagrams and times go in, datagrams and paths
/// that work come out (keyhole-paths(7)).
///
/// The client leads, since only a client can move a connection (RFC 9000, section 9): it calls, the server answers, both probe each other's
/// addresses at once, so that each opens its NAT for the other, and the client hears which of its probes are replied to. A server that
/// would like that says so.
public struct PunchSession {
    public enum Role: Sendable { case client, server }

    /// A path that a probe and its reply have come along.
    public struct FoundPath: Hashable, Sendable {
        public var path: NetworkPath
        public var roundTrip: Duration
    }

    /// What has happened, in order.
    public enum Event: Equatable, Sendable {
        case send([UInt8], NetworkPath)
        /// At the client.
        case found(FoundPath)
        /// At the client: the peer wants a round, for which ``begin(knowing:over:roundTrip:now:)`` is there.
        case requested
        /// At the client: a round that ``begin(knowing:over:roundTrip:now:)`` began is over.
        case ended(Ending)
    }

    public enum Ending: Equatable, Sendable {
        /// The peer has not answered the calls, and may not know what they are.
        case unanswered
        case probed(foundAny: Bool)
    }

    /// A call is sent again after a round trip and as much for the peer to think, or after this if no round trip is known; then after twice
    /// as long each time.
    static let firstPatience: Duration = .milliseconds(300)
    static let mostCalls = 5
    /// How long the last probes of a round may be on their way.
    static let lastReply: Duration = .seconds(1)
    /// Once a path has been found, others have this long to turn out better.
    static let better: Duration = .milliseconds(500)
    /// Rounds: some at once, as networks come and go while a machine wakes up, and few in the long run. At both ends, since a client may
    /// call as often as it likes.
    static let rounds = Quota(6, each: .minute, burst: 6)!

    /// Probes that a reply may still come to: those of a round, and of some seconds of ``ask(along:now:)``.
    static let mostProbes = 256

    public let role: Role
    /// The addresses that the peer is told.
    public var candidates: [Candidate] = []
    /// Whether a server says anything at all: not to somebody who may not be let in. A call is answered once this is set.
    public var isAdmitted = false { didSet { admitted = admitted || isAdmitted && !oldValue } }
    /// Whether the peer has ever been heard, so that it knows of all this.
    public private(set) var isSpoken = false

    private let keys: SessionKeys
    private let budget: ProbeBudget
    private let route: (SocketAddress) -> NetworkPath?
    private var lastNumber: UInt64 = 0
    private var window = ReplayWindow()
    private var events: [Event] = []
    private var turns = TokenBucket(PunchSession.rounds)

    private var round: UInt32 = 0
    private var checks = CheckList()
    /// When a round is over.
    private var end: Instant?
    /// Client: the call that waits for an answer.
    private var call: (path: NetworkPath, sent: Int, patience: Duration, due: Instant)?
    /// Client: addresses that are probed besides those that the peer names.
    private var known: [SocketAddress] = []
    /// Client: the latest probes that have not been replied to.
    private var probes: [(number: UInt64, path: NetworkPath, sent: Instant)] = []
    private var hasFound = false
    /// Client: whether the server has answered the latest call.
    private var isAnswered = false
    /// Server: the call that has not been answered yet, and where the client hears us.
    private var unanswered: (candidates: [Candidate], path: NetworkPath)?
    private var caller: NetworkPath?
    private var admitted = false

    /// - Parameters:
    ///   - budget: Shared by all sessions of an endpoint.
    ///   - route: The path to an address; nil when there is none.
    public init(_ role: Role, keys: SessionKeys, budget: ProbeBudget, route: @escaping (SocketAddress) -> NetworkPath?) {
        self.role = role
        self.keys = keys
        self.budget = budget
        self.route = route
    }

    // Input

    /// Client: begins a round, unless one is under way. False if it is too early for another.
    ///
    /// - Parameters:
    ///   - addresses: Where the peer is said to be.
    ///   - path: Where the peer can be called, such as that of the connection.
    ///   - roundTrip: Of that path, as far as it is known.
    public mutating func begin(knowing addresses: [SocketAddress], over path: NetworkPath, roundTrip: Duration?, now: Instant) -> Bool {
        precondition(role == .client)
        guard deadline == nil else { return true }
        guard turns.take(now: now) else { return false }
        round &+= 1
        (hasFound, isAnswered, known) = (false, false, addresses)
        call = (path, 0, max(Self.firstPatience, (roundTrip ?? .zero) * 2), now)
        handleDeadline(now: now)
        return true
    }

    /// Client: finds out whether the peer can be heard along paths, with one probe along each. A reply is told of as a path found.
    public mutating func ask(along paths: [NetworkPath], now: Instant) {
        precondition(role == .client)
        for path in paths { sendProbe(path, now: now) }
    }

    /// When the next round may begin.
    public var nextTurn: Instant { turns.nextTurn }

    /// Server: asks the client for a round.
    ///
    /// - Parameter path: Where the connection is; it is asked where it called from, too.
    public mutating func request(over path: NetworkPath) {
        guard role == .server, isAdmitted, isSpoken else { return }
        send(.request, path)
        if let caller, caller != path { send(.request, caller) }
    }

    /// Takes a datagram that ``ControlDatagram/sessionTag(of:)`` has given this session.
    ///
    /// - Parameter isProved: Whether the path is known to lead to the peer: a relay's, or that of the connection.
    public mutating func receive(_ datagram: UnsafeRawBufferPointer, on path: NetworkPath, isProved: Bool, now: Instant) {
        guard let (number, message) = ControlDatagram.open(datagram, keys: keys), window.admit(number) else { return }
        isSpoken = true
        switch (role, message) {
        case (.client, .answer(round, let candidates)):
            guard !isAnswered else { return }
            // The calls may have been given up meanwhile: the server answers when it has let us in.
            (isAnswered, call) = (true, nil)
            probe(known.map { Candidate($0, .configured) } + candidates, now: now)
        case (.client, .request): events.append(.requested)
        // It may be faster than the answer, which comes through a relay.
        case (.client, .probe(round)) where path.address != nil && (call != nil || end != nil):
            checks.trigger(path, now: now)
            sendProbes(now: now)
        case (.client, .reply(let number)): replied(number, on: path, now: now)
        // The answer is longer than a call may be, so it goes where the client is known to be.
        case (.server, .call(let round, let candidates)) where isProved: called(round, candidates, path, now: now)
        case (.server, .probe) where isAdmitted: send(.reply(number: UInt32(truncatingIfNeeded: number)), path)
        default: break
        }
    }

    /// When ``handleDeadline(now:)`` is to be called; nil if nothing is due.
    public var deadline: Instant? {
        [call?.due, checks.deadline, end].compactMap { $0 }.min()
    }

    public mutating func handleDeadline(now: Instant) {
        if let call, call.due <= now { sendCall(call, now: now) }
        sendProbes(now: now)
        if let end, end <= now { endRound(.probed(foundAny: hasFound)) }
    }

    /// What has happened since the last time.
    public mutating func takeEvents(now: Instant) -> [Event] {
        if admitted {
            admitted = false
            answer(now: now)
        }
        defer { events = [] }
        return events
    }

    // The client's side

    private mutating func sendCall(_ call: (path: NetworkPath, sent: Int, patience: Duration, due: Instant), now: Instant) {
        guard call.sent < Self.mostCalls else { return endRound(.unanswered) }
        self.call = (call.path, call.sent + 1, call.patience * 2, now + call.patience)
        send(.call(round: round, candidates: candidates), call.path)
    }

    private mutating func endRound(_ ending: Ending) {
        (call, end, checks) = (nil, nil, CheckList())
        if role == .client { events.append(.ended(ending)) }
    }

    private mutating func replied(_ number: UInt32, on path: NetworkPath, now: Instant) {
        // From where the probe went to: whoever answers from elsewhere can't be sent packets there.
        guard let index = probes.firstIndex(where: { UInt32(truncatingIfNeeded: $0.number) == number }), probes[index].path.leads(whereLeads: path) else { return }
        let probe = probes.remove(at: index)
        checks.finish(probe.path)
        events.append(.found(FoundPath(path: probe.path, roundTrip: now - probe.sent)))
        guard probe.path.address != nil else { return }
        if !hasFound, let end { self.end = min(end, now + Self.better) }
        hasFound = true
    }

    // The server's side

    private mutating func called(_ round: UInt32, _ candidates: [Candidate], _ path: NetworkPath, now: Instant) {
        caller = path
        if round == self.round {
            // The answer has been lost, or is on its way.
            if unanswered == nil { send(.answer(round: round, candidates: self.candidates), path) }
            return
        }
        guard round > self.round, turns.take(now: now) else { return }
        self.round = round
        checks = CheckList()
        unanswered = (candidates, path)
        if isAdmitted { answer(now: now) }
    }

    private mutating func answer(now: Instant) {
        guard let (candidates, path) = unanswered else { return }
        unanswered = nil
        send(.answer(round: round, candidates: self.candidates), path)
        probe(candidates, now: now)
    }

    // Both sides

    private mutating func probe(_ candidates: [Candidate], now: Instant) {
        let paths = Candidate.probed(candidates).compactMap { route($0.address) }
        checks.add(paths, now: now)
        end = now + CheckList.pauses.reduce(Self.lastReply, +)
        sendProbes(now: now)
    }

    private mutating func sendProbes(now: Instant) {
        for path in checks.takeDue(now: now) { sendProbe(path, now: now) }
    }

    private mutating func sendProbe(_ path: NetworkPath, now: Instant) {
        guard budget.spend(now: now) else { return }
        send(.probe(round: round), path)
        guard role == .client else { return }
        if probes.count == Self.mostProbes { probes.removeFirst() }
        probes.append((lastNumber, path, now))
    }

    private mutating func send(_ message: ControlMessage, _ path: NetworkPath) {
        lastNumber += 1
        events.append(.send(ControlDatagram.seal(message, number: lastNumber, keys: keys), path))
    }
}
