import EventLoop
import Glibc
import Platform
import QUIC

/// Moves bytes between a QUIC stream and a local end, both ways, each ended on its own: end of file becomes FIN and FIN becomes end of file.
///
/// Neither side can run ahead of the other: the local end is read only while the stream has room, and the peer may send only as much as the
/// local end has taken.
public final class StreamPump: StreamHandler {
    /// Application error codes of streams. The peer only learns that the other side's local connection broke.
    public enum Code {
        /// The local connection was reset or could not be used.
        public static let localFailure: UInt64 = 1
        /// No local connection came about.
        public static let refused: UInt64 = 2
    }

    /// How a stream ended.
    public enum Ending: Equatable, Sendable {
        /// Both directions came to their end.
        case finished
        /// The peer broke it off.
        case brokenByPeer(code: UInt64)
        /// The local end broke it off.
        case brokenLocally(SystemError)
        /// The connection ended.
        case lost(CloseReason)
        /// It has carried as much as it may.
        case exhausted
    }

    /// Reads of the local end before others get their turn.
    private static let readsPerTurn = 4

    private let stream: Stream
    private let end: LocalEnd
    private let completion: (Ending, Int64) -> Void
    /// Bytes that may still be carried, both ways together.
    private let allowance: Int
    private var inputDone = false
    private var outputDone = false
    private var wanted: Readiness = .readable
    private var isComplete = false
    /// Bytes carried in each direction.
    public private(set) var sent = 0
    public private(set) var received = 0

    /// Takes over the stream and the descriptors. The stream keeps the pump until it ends.
    ///
    /// - Parameters:
    ///   - input: Read for the peer. A socket is given for both.
    ///   - output: Written with what comes from the peer.
    ///   - owned: Whether the descriptors are closed at the end.
    ///   - allowance: Bytes that may be carried, both ways together; the stream is broken off with the piece that goes beyond.
    ///   - completion: Called once, with the bytes carried both ways together.
    public init(
        _ stream: Stream, input: Int32, output: Int32, owned: Bool = true, allowance: Int64? = nil, on loop: EventLoop,
        completion: @escaping (Ending, _ carried: Int64) -> Void
    ) throws(SystemError) {
        self.stream = stream
        self.allowance = allowance.map { Int(clamping: $0) } ?? .max
        self.completion = completion
        end = try LocalEnd(on: loop, input: input, output: output, owned: owned)
        stream.handler = self
        end.start { [unowned self] readiness in
            // Writing may end it, after which nobody else keeps it.
            let pump = self
            if readiness.contains(.writable) { pump.writeOutput() }
            if readiness.contains(.readable), !pump.end.isClosed { pump.readInput() }
        }
        end.wait(for: wanted)
        // Much may have happened before the local end was there.
        if let code = stream.resetCode {
            streamReset(stream, code: code)
        } else {
            if let code = stream.stopCode { streamStopped(stream, code: code) }
            writeOutput()
            // A client speaks first and has most often done so by now.
            if !end.isClosed { readInput() }
        }
    }

    public func streamReadable(_ stream: Stream) { writeOutput() }

    public func streamWritable(_ stream: Stream) {
        wanted.insert(.readable)
        end.wait(for: wanted)
    }

    public func streamReset(_ stream: Stream, code: UInt64) {
        stream.reset(code: Code.localFailure)
        complete(.brokenByPeer(code: code), abruptly: true)
    }

    public func streamStopped(_ stream: Stream, code: UInt64) {
        // The peer's reader has gone, its writer may go on: an answer given before all of the question was read is still worth having.
        inputDone = true
        stopWaiting(for: .readable)
        if outputDone { complete(.finished) }
    }

    public func streamClosed(_ stream: Stream) { if isDone { report(.finished) } }

    public func streamLost(_ stream: Stream, reason: CloseReason) {
        complete(.lost(reason), abruptly: !isDone)
    }

    /// Local end to peer.
    private func readInput() {
        for _ in 0..<Self.readsPerTurn where !inputDone {
            guard stream.writableCount > 0 else {
                stream.waitForRoom()
                stopWaiting(for: .readable)
                return
            }
            var outcome: Result<Int?, SystemError> = .success(nil)
            stream.write { space in
                do throws(SystemError) {
                    let count = try nonblockingCall("read") { read(end.input, space.baseAddress, space.count) }
                    outcome = .success(count)
                    return count ?? 0
                } catch {
                    outcome = .failure(error)
                    return 0
                }
            }
            switch outcome {
            case .success(nil): return
            case .success(0?):
                inputDone = true
                stopWaiting(for: .readable)
                stream.finish()
                if outputDone { complete(.finished) }
            // What comes next, an end of file above all, may still go into the same packet.
            case .success(let count?):
                sent += count
                if sent + received > allowance { return exhaust() }
            case .failure(let error): breakOff(error)
            }
        }
    }

    /// Peer to local end.
    private func writeOutput() {
        guard !outputDone, !isComplete else { return }
        var failure: SystemError?
        while stream.readableCount > 0, failure == nil {
            var isFull = false
            stream.read { vectors in
                do throws(SystemError) {
                    guard let count = try nonblockingCall("writev", { writev(end.output, vectors.baseAddress, Int32(vectors.count)) }) else {
                        isFull = true
                        return 0
                    }
                    received += count
                    return count
                } catch {
                    failure = error
                    return 0
                }
            }
            if isFull {
                wanted.insert(.writable)
                end.wait(for: wanted)
                return
            }
        }
        if let failure { return breakOff(failure) }
        if sent + received > allowance { return exhaust() }
        stopWaiting(for: .writable)
        guard stream.isReadFinished else { return }
        outputDone = true
        end.finishOutput()
        if inputDone { complete(.finished) }
    }

    /// The local end is of no use any more in one direction or both.
    private func breakOff(_ error: SystemError) {
        if error.code == EPIPE && !inputDone {
            // Nobody reads there, but there may be more to send.
            outputDone = true
            stopWaiting(for: .writable)
            stream.stopReading(code: Code.localFailure)
            return
        }
        stream.stopReading(code: Code.localFailure)
        stream.reset(code: Code.localFailure)
        complete(.brokenLocally(error), abruptly: true)
    }

    private func exhaust() {
        stream.stopReading(code: Code.refused)
        stream.reset(code: Code.refused)
        complete(.exhausted, abruptly: true)
    }

    private func stopWaiting(for readiness: Readiness) {
        guard wanted.contains(readiness) else { return }
        wanted.remove(readiness)
        end.wait(for: wanted)
    }

    private var isDone: Bool { inputDone && outputDone }

    /// Closes the local end. An orderly end is reported when the peer has confirmed everything, others at once.
    private func complete(_ ending: Ending, abruptly: Bool = false) {
        end.close(abruptly: abruptly)
        if ending != .finished || stream.isClosed { report(ending) }
    }

    private func report(_ ending: Ending) {
        guard !isComplete else { return }
        isComplete = true
        stream.handler = nil
        completion(ending, Int64(sent + received))
    }
}

extension Stream {
    /// Ends a stream for which there is no local end.
    public func refuse() {
        stopReading(code: StreamPump.Code.refused)
        reset(code: StreamPump.Code.refused)
    }
}
