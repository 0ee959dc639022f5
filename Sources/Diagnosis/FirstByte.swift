import Crypto
import Platform
import QUIC

/// A request for `/` on a stream, and the first bytes of its answer.
final class FirstByte: StreamHandler {
    /// The longest status line that is shown, in bytes.
    private static let longest = 80

    private let completion: (Result<String, Failure>) -> Void
    private var isOver = false

    struct Failure: Error { var reason: String }

    /// - Parameter completion: Called once with the first line of the answer, as far as it came with the first bytes.
    init(_ stream: Stream, of peer: PublicKey, completion: @escaping (Result<String, Failure>) -> Void) {
        self.completion = completion
        stream.handler = self
        // Whoever speaks HTTP answers it and ends; nothing is left open behind it.
        stream.write(Array("GET / HTTP/1.0\r\nHost: \(peer)\r\n\r\n".utf8))
        stream.finish()
    }

    func streamReadable(_ stream: Stream) {
        var head: [UInt8] = []
        stream.read { pieces in
            for piece in pieces where head.count < Self.longest {
                head += UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len).prefix(Self.longest - head.count)
            }
            return pieces.reduce(0) { $0 + $1.iov_len }
        }
        if !head.isEmpty {
            end(.success(String(decoding: head.prefix { (0x20...0x7e).contains($0) }, as: UTF8.self)))
            // Of the rest nobody needs anything.
            stream.stopReading(code: 0)
        } else if stream.isReadFinished {
            end(.failure(Failure(reason: "the stream ended without an answer")))
        }
    }

    func streamWritable(_ stream: Stream) {}
    func streamReset(_ stream: Stream, code: UInt64) { end(.failure(Failure(reason: "the peer broke off the stream with code \(code)"))) }
    func streamStopped(_ stream: Stream, code: UInt64) {}
    func streamClosed(_ stream: Stream) { end(.failure(Failure(reason: "the stream ended without an answer"))) }
    func streamLost(_ stream: Stream, reason: CloseReason) { end(.failure(Failure(reason: "the connection was lost: \(reason)"))) }

    private func end(_ result: Result<String, Failure>) {
        guard !isOver else { return }
        isOver = true
        completion(result)
    }
}
