import Crypto
import EventLoop
import HTTPClient
import Iroh
import Platform

/// One relay, connected to again whenever it is lost, until closed: the driver of ``RelayClientSession`` on the event loop.
public final class RelayLink {
    public enum State: Equatable, Sendable {
        /// For the first time.
        case connecting
        case connected
        /// Not connected, tried again within seconds.
        case waiting(RelayLinkFailure)
        /// The relay does not take our key or token, and is asked again seldom. Its reason may hold any characters, see
        /// ``RelayLinkFailure/description`` for printing it.
        case refused(reason: String)
    }

    /// For look-up, connection and TLS.
    private static let connectTime = Duration.seconds(5)
    /// Bytes read in one turn of the loop, so that others get their turn.
    private static let readAtOnce = 1 << 20
    /// Room for a frame of which a part has come before, and for a TLS record more.
    private static let bufferSize = 256 << 10
    private static let largestRecord = 16 << 10
    /// A relay that says to come back later than this is not heeded.
    private static let longestRestart = Duration.seconds(60)

    public let url: RelayURL
    public private(set) var state = State.connecting
    /// Why there was no connection the last time there was none.
    public private(set) var lastFailure: RelayLinkFailure?
    /// Gets each datagram with the id it is from and its ECN bits. The bytes are valid until it returns.
    public var onDatagram: ((UnsafeRawBufferPointer, EndpointID, _ ecn: UInt8) -> Void)?
    /// Called after each change of ``state``, from the loop and never from within a call of this object.
    public var onState: ((State) -> Void)?
    /// The relay has no connection any more of an id that we have sent to.
    public var onGone: ((EndpointID) -> Void)?
    /// Called after each change of ``isSuperseded`` that the relay tells of.
    public var onSuperseded: ((Bool) -> Void)?
    /// When datagrams were last given to be sent; when the link was made, before that.
    public private(set) var lastSent: Instant
    /// When a datagram last came; when the link was made, before that.
    public private(set) var lastReceived: Instant
    /// From the relay's last ping to its pong.
    public var roundTrip: Duration? { session?.roundTrip }
    /// Whether another connection with our key gets what is sent to it, so that nothing arrives here.
    public private(set) var isSuperseded = false

    /// Bytes of datagrams that were dropped on this connection, because too much waited.
    public var droppedBytes: UInt64 { session?.droppedBytes ?? 0 }

    private let key: SecretKey
    private let token: String?
    private let http: HTTPClient
    private let loop: EventLoop
    private var stream: HTTPStream?
    private var session: RelayClientSession?
    private var timer: Timer!
    private var armed: Instant?
    private var again: Timer!
    private var failing: Timer?
    private var retries = RelayRetries()
    private var restart: Duration?
    private var waiting = WaitingDatagrams()
    private var buffer: UnsafeMutableRawBufferPointer?
    private var filled = 0
    private var isClosed = false

    /// Starts connecting.
    ///
    /// - Parameter token: One word of printable ASCII that the relay may ask for; nil for none.
    public init(_ url: RelayURL, key: SecretKey, token: String?, http: HTTPClient, on loop: EventLoop) {
        precondition(token?.utf8.allSatisfy { (0x21...0x7e).contains($0) } != false, "a token is a word of printable ASCII")
        self.url = url
        self.key = key
        self.token = token
        self.http = http
        self.loop = loop
        lastSent = .now
        lastReceived = lastSent
        timer = Timer(on: loop) { [unowned self] in act() }
        again = Timer(on: loop) { [unowned self] in read() }
        connect()
    }

    deinit {
        close()
        buffer?.deallocate()
    }

    // MARK: Connecting

    private func connect() {
        let stream = http.connect(to: url.description, timeout: Self.connectTime)
        stream.onConnect = { [unowned self] in begin($0) }
        stream.onReady = { [unowned self] in
            if $0.contains(.writable) { flush() }
            if $0.contains(.readable) { read() }
        }
        self.stream = stream
    }

    private func begin(_ result: Result<Void, HTTPFailure>) {
        if case .failure(let failure) = result { return fail(.unreachable(failure.description)) }
        session = RelayClientSession(host: url.authority, key: key, token: token, now: .now)
        filled = 0
        flush()
    }

    /// Something is due: a try, or what the session has to do.
    private func act() {
        armed = nil
        guard session != nil else { return connect() }
        // After a suspension the pong that seems to be late waits to be read.
        read()
        guard let session else { return }
        do throws(RelayLinkFailure) { try session.advance(now: .now) } catch { return fail(error) }
        flush()
    }

    /// Sets the timer, unless it fires soon enough: a look in vain costs less than setting it anew for each packet.
    private func schedule() {
        guard let deadline = session?.deadline, armed.map({ deadline < $0 }) ?? true else { return }
        armed = deadline
        timer.start(after: max(.zero, deadline - .now))
    }

    private func fail(_ failure: RelayLinkFailure) {
        endConnection()
        // What we hear of a connection that the relay has announced to end is no news.
        let failure = restart == nil ? failure : .restarting
        lastFailure = failure
        timer.start(after: retries.delay(after: failure, restart: restart, chance: .random(in: 0...1)))
        restart = nil
        if case .refused(let reason) = failure { change(.refused(reason: reason)) } else { change(.waiting(failure)) }
    }

    private func endConnection() {
        stream?.close()
        stream = nil
        session = nil
        failing = nil
        timer.stop()
        armed = nil
        again.stop()
        isSuperseded = false
    }

    private func change(_ state: State) {
        guard state != self.state else { return }
        self.state = state
        onState?(state)
    }

    // MARK: Receiving

    private func read() {
        guard let stream, let session else { return }
        let buffer = self.buffer ?? .allocate(byteCount: Self.bufferSize, alignment: 16)
        self.buffer = buffer
        var count = 0
        var isAtEnd = false
        var isDry = false
        do throws(RelayLinkFailure) {
            while !isDry, count < Self.readAtOnce {
                while !isDry, buffer.count - filled >= Self.largestRecord {
                    let fresh = try Self.reached { () throws(HTTPFailure) in
                        try stream.receive(UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]))
                    }
                    isAtEnd = fresh == 0
                    isDry = fresh ?? 0 == 0
                    filled += fresh ?? 0
                    count += fresh ?? 0
                }
                try take(buffer, session)
                // A handler may have closed us.
                guard self.session === session else { return }
            }
            if isAtEnd { throw .closed }
        } catch { return fail(error) }
        if !isDry { again.start(after: .zero) }
        flush()
    }

    private func take(_ buffer: UnsafeMutableRawBufferPointer, _ session: RelayClientSession) throws(RelayLinkFailure) {
        guard filled > 0 else { return }
        let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer[..<filled])
        let taken = try session.receive(bytes, now: .now) { handle($0, session) }
        filled -= taken
        if filled > 0, taken > 0 { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[taken...])) }
    }

    private func handle(_ event: RelayClientEvent, _ session: RelayClientSession) {
        switch event {
        case .datagrams(let header, let bytes):
            lastReceived = .now
            let size = header.segmentSize.map { $0 == 0 ? bytes.count : Int($0) } ?? bytes.count
            var rest = bytes
            while !rest.isEmpty, self.session === session {
                let datagram = UnsafeRawBufferPointer(rebasing: rest.prefix(size))
                onDatagram?(datagram, header.id, header.ecn & 3)
                rest = UnsafeRawBufferPointer(rebasing: rest[datagram.count...])
            }
        case .connected:
            for batch in waiting.take(now: .now) {
                batch.bytes.withUnsafeBytes { session.send($0, segmentSize: batch.segmentSize, to: batch.id, ecn: batch.ecn, now: .now) }
            }
            change(.connected)
        case .endpointGone(let id): onGone?(id)
        case .roundTrip: retries.succeed()
        case .superseded(let isSuperseded):
            guard isSuperseded != self.isSuperseded else { break }
            self.isSuperseded = isSuperseded
            onSuperseded?(isSuperseded)
        // The relay reads us more slowly from now on, which our queue feels.
        case .rateLimited: break
        case .restarting(let reconnectIn): restart = min(reconnectIn, Self.longestRestart)
        }
    }

    // MARK: Sending

    /// Asks the relay whether it is there, if it has not been heard a moment ago: peers are silent, and the connection may be as dead as the
    /// path to them. A relay that does not answer is connected to anew.
    public func check() {
        session?.check(now: .now)
        flush()
    }

    /// Queues datagrams of `segmentSize` bytes each, the last may be shorter, that stand one after the other in `bytes`. They are dropped
    /// when too much waits already. Without a connection the latest few wait a moment for one. ``flush()`` sends them.
    ///
    /// - Parameter ecn: The ECN bits of the IP header.
    public func send(_ bytes: UnsafeRawBufferPointer, segmentSize: Int, to id: EndpointID, ecn: UInt8) {
        guard !isClosed else { return }
        lastSent = .now
        if let session, session.isConnected {
            session.send(bytes, segmentSize: segmentSize, to: id, ecn: ecn, now: lastSent)
        } else if case .refused = state {
            return
        } else {
            waiting.add(bytes, segmentSize: segmentSize, to: id, ecn: ecn, now: lastSent)
        }
    }

    /// Sends what is queued, as far as the network takes it now; the rest goes by itself as soon as it does.
    public func flush() {
        guard failing == nil, let stream, let session else { return }
        var isFull = false
        do throws(RelayLinkFailure) {
            while session.hasOutput, !isFull {
                try session.withOutput { (bytes: UnsafeRawBufferPointer) throws(RelayLinkFailure) in
                    let count = try Self.reached { () throws(HTTPFailure) in try stream.send(bytes) }
                    isFull = count == nil
                    return count ?? 0
                }
            }
        } catch { return failLater(error) }
        stream.wait(for: isFull ? [.readable, .writable] : .readable)
        schedule()
    }

    /// The caller of ``flush()`` is not to be told from within it.
    private func failLater(_ failure: RelayLinkFailure) {
        stream?.wait(for: [])
        let timer = Timer(on: loop) { [unowned self] in fail(failure) }
        timer.start(after: .zero)
        failing = timer
    }

    private static func reached<Result>(_ body: () throws(HTTPFailure) -> Result) throws(RelayLinkFailure) -> Result {
        do throws(HTTPFailure) { return try body() } catch { throw .unreachable(error.description) }
    }

    /// Ends the link. Nothing is called any more.
    public func close() {
        guard !isClosed else { return }
        isClosed = true
        (onDatagram, onState, onGone, onSuperseded) = (nil, nil, nil, nil)
        session?.close()
        flush()
        endConnection()
    }
}
