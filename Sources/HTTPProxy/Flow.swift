import HTTP1
import Platform

/// One direction of an exchange: bytes that go from one wire to the other as they are, up to the end of their body.
///
/// There is one block at most between the two: the source is read only when the sink has taken all.
struct Flow {
    /// What the flow needs to go on.
    enum State: Equatable { case waitsForSource, waitsForSink, finished }

    /// Why it can't.
    enum Failure: Error, Equatable {
        case source(SystemError)
        case sink(SystemError)
        case malformed(MessageError)
        /// The source ended before the body.
        case cutShort
    }

    /// Reads before others get their turn.
    private static let readsPerTurn = 4

    private var tracker: BodyTracker
    /// How many of the source's unread bytes are known to be of this body.
    private var cleared = 0
    /// Whether any byte has gone through.
    private(set) var isBegun = false

    init(_ framing: BodyFraming) { tracker = BodyTracker(framing) }

    /// Everything up to the end of the connection.
    static var tunnel: Flow { Flow(.untilClose) }

    var isFinished: Bool { tracker.isFinished && cleared == 0 }

    /// Moves what can be moved.
    mutating func run(from source: Wire, to sink: Wire) throws(Failure) -> State {
        var reads = 0
        while !isFinished {
            if source.unread.isEmpty {
                guard reads < Self.readsPerTurn else { return try flushed(sink, then: .waitsForSource) }
                reads += 1
                let hasRead: Bool
                do throws(SystemError) { hasRead = try source.read() } catch { throw .source(error) }
                guard hasRead else {
                    guard source.isInputEnded else { return try flushed(sink, then: .waitsForSource) }
                    guard tracker.finish() else { throw .cutShort }
                    break
                }
                isBegun = true
            }
            // Trailers end a call early, so there may be more to clear than one call does.
            while cleared < source.unread.count, !tracker.isFinished {
                do throws(MessageError) {
                    cleared += try tracker.consume(UnsafeRawBufferPointer(rebasing: source.unread[cleared...]))
                } catch { throw .malformed(error) }
            }
            let count: Int
            do throws(SystemError) { count = try sink.write(UnsafeRawBufferPointer(rebasing: source.unread[..<cleared])) } catch { throw .sink(error) }
            source.drop(count)
            cleared -= count
            if cleared > 0 { return .waitsForSink }
        }
        return try flushed(sink, then: .finished)
    }

    /// A head goes out with the first of its body; when there is none, or none yet, it goes alone.
    private func flushed(_ sink: Wire, then state: State) throws(Failure) -> State {
        do throws(SystemError) { try sink.flush() } catch { throw .sink(error) }
        return sink.hasOutput ? .waitsForSink : state
    }
}
