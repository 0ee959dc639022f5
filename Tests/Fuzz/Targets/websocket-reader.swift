import FuzzSupport
import WebSocket

/// One stream, read at once and byte by byte, gives the same messages and the same end.
@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        for role in [WebSocketReader.Role.server, .client] {
            precondition(read(bytes, piece: bytes.count + 1, role) == read(bytes, piece: 1, role), "it does not matter how a stream is cut")
        }
    }
}

private func read(_ stream: [UInt8], piece: Int, _ role: WebSocketReader.Role) -> [[UInt8]] {
    var reader = WebSocketReader(role: role, limit: 500)
    var messages: [[UInt8]] = []
    var rest: [UInt8] = []
    var position = 0
    while position < stream.count {
        rest += stream[position..<min(position + piece, stream.count)]
        position += piece
        do throws(WebSocketError) {
            var taken = 0
            var failure: WebSocketError?
            rest.withUnsafeMutableBytes { bytes in
                do throws(WebSocketError) {
                    taken = try reader.read(bytes) { kind, payload in
                        precondition(payload.count <= 500, "no message is longer than the limit")
                        messages.append([UInt8(truncatingIfNeeded: "\(kind)".utf8.count)] + payload)
                        return true
                    }
                } catch { failure = error }
            }
            if let failure { throw failure }
            rest.removeFirst(taken)
        } catch { return messages + [["\(error)".utf8.first!]] }
    }
    return messages
}
