import EventLoop
import Glibc
import HTTPGate
import Platform

/// All streams that pass through a bridge, their number held to what there are descriptors for.
///
/// When there are as many as may be, those that have waited for their clients longest make room for new ones, or if there are none, those
/// that have been silent longest: so streams that nobody uses keep nobody out.
final class GatedStreams {
    /// However many descriptors there are. Each stream has two, and a kilobyte or two while nothing passes.
    private static let most = 16384
    /// Descriptors for all else.
    private static let reserved = 64
    /// What one read takes: as much as a Unix socket holds by default, in round figures.
    private static let bufferSize = 128 << 10
    /// One of so many is taken away at once, for looking for the oldest takes as long as there are streams.
    private static let shareThatGoes = 16
    /// Bytes in memory for all of them together; each alone may have some hundred kilobytes.
    private static let mostKept = 64 << 20
    /// Streams that are at work have to be silent for so long before they may be taken away.
    private static let silence: Duration = .seconds(10)
    private static let checkInterval: Duration = .seconds(1)

    private let loop: EventLoop
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferSize, alignment: 16)
    private let limit: Int
    private let keepable: Int
    private var timer: Timer?
    private var lastCheck = Instant.now
    private var streams: [ObjectIdentifier: GatedStream] = [:]
    /// Requests that were answered in a server's place, by status: few there are.
    private(set) var answers: [Int: Int] = [:]

    /// - Parameters:
    ///   - descriptors: That the process may have open.
    ///   - keepable: Bytes that may be kept for all streams together.
    init(on loop: EventLoop, descriptors: Int = openFileLimit(), keepable: Int = mostKept) {
        self.loop = loop
        self.keepable = keepable
        limit = min(Self.most, max(1, (descriptors - Self.reserved) / 2))
        timer = Timer(on: loop) { [weak self] in self?.check() }
    }

    deinit {
        close()
        buffer.deallocate()
    }

    /// Ends all of them.
    func close() { for stream in Array(streams.values) { stream.close() } }

    var count: Int { streams.count }

    /// Has a stream pass.
    ///
    /// - Parameters:
    ///   - hand: Gets the stream's end, for whoever pumps the other side, and what is to be called once that is over.
    ///   - connect: Connects to a target.
    ///   - onDenied: A target is refused to the peer.
    /// - Throws: ``SystemError`` when there is no room for another: `EMFILE`, or no descriptor can be had.
    func add(
        to targets: GatedStream.Targets, _ client: ClientFields, hand: (consuming FileDescriptor, @escaping () -> Void) -> Void,
        connect: @escaping (HostAndPort, @escaping (Result<DescriptorOwner, SystemError>) -> Void) -> Void,
        onDenied: @escaping (AccessControl.Denial) -> Void
    ) throws(SystemError) {
        if streams.count >= limit { makeRoom() }
        guard streams.count < limit else { throw SystemError(call: "socketpair", code: EMFILE) }
        let pair = try Sockets.pair()
        let own = FileDescriptor(owning: pair.0), other = FileDescriptor(owning: pair.1)
        let surroundings = GatedStream.Surroundings(
            loop: loop, buffer: buffer, connect: connect,
            onAnswer: { [weak self] in self?.answers[$0, default: 0] += 1 },
            onEnd: { [weak self] in self?.remove($0) },
            onDenied: onDenied)
        let stream = try GatedStream(own, to: targets, HTTPGate(client: client), surroundings)
        if streams.isEmpty { timer?.start(after: Self.checkInterval, every: Self.checkInterval) }
        streams[ObjectIdentifier(stream)] = stream
        hand(other) { [weak stream] in stream?.clientHasGone() }
    }

    private func remove(_ stream: GatedStream) {
        streams[ObjectIdentifier(stream)] = nil
        if streams.isEmpty { timer?.stop() }
    }

    private func check() { check(now: .now) }

    func check(now: Instant) {
        lastCheck = now
        for stream in Array(streams.values) { stream.check(now: now) }
        freeMemory()
    }

    /// Ends those for which most is kept: clients that send without end what can't be passed on, or don't take what they have asked for.
    private func freeMemory() {
        var kept = streams.values.reduce(0) { $0 + $1.keptCount }
        guard kept > keepable else { return }
        for stream in streams.values.sorted(by: { $0.keptCount > $1.keptCount }) {
            guard kept > keepable else { return }
            kept -= stream.keptCount
            stream.close()
        }
    }

    private func makeRoom() {
        var least = streams.values.filter(\.isIdle).sorted { $0.waitsSince < $1.waitsSince }
        if least.isEmpty {
            least = streams.values.filter { lastCheck - $0.silentSince >= Self.silence }.sorted { $0.silentSince < $1.silentSince }
        }
        for stream in least.prefix(max(1, limit / Self.shareThatGoes)) { stream.close() }
    }
}
