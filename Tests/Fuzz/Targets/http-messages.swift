import FuzzSupport
import HTTP1

/// What a stream of requests is taken for: the heads with what their bodies are measured by, each body's bytes, and whether it was refused.
private struct Reading: Equatable {
    var heads: [RequestHead] = []
    var bodies: [[UInt8]] = []
    var isRefused = false

    init(_ stream: [UInt8], piece: Int) {
        do throws(MessageError) { try read(stream, piece) } catch {
            isRefused = true
            // How much of a refused body is seen before depends on the pieces.
            _ = bodies.popLast()
        }
    }

    private mutating func read(_ stream: [UInt8], _ piece: Int) throws(MessageError) {
        var reader = HeadReader<RequestHead>(limit: 1024)
        var tracker = BodyTracker(.none)
        var rest = stream[...]
        while !rest.isEmpty {
            var bytes = Array(rest.prefix(piece))
            rest = rest.dropFirst(piece)
            while !bytes.isEmpty {
                if tracker.isFinished {
                    reader.append(bytes)
                    bytes = []
                    guard let head = try reader.next() else { break }
                    let again = HeadReader<RequestHead>.only(head.bytes)
                    precondition(again == head, "a head reads back as itself")
                    heads.append(head)
                    bodies.append([])
                    tracker = BodyTracker(try head.framing())
                    bytes = reader.takeUnread()
                } else {
                    let count = try consume(bytes, &tracker)
                    precondition(count > 0 && count <= bytes.count, "a body goes on or ends")
                    bodies[bodies.count - 1] += bytes[..<count]
                    bytes.removeFirst(count)
                }
            }
        }
    }

    private func consume(_ bytes: [UInt8], _ tracker: inout BodyTracker) throws(MessageError) -> Int {
        let start = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { start.deallocate() }
        start.copyBytes(from: bytes)
        return try tracker.consume(UnsafeRawBufferPointer(start))
    }
}

extension HeadReader {
    fileprivate static func only(_ bytes: [UInt8]) -> Head? {
        var reader = HeadReader()
        reader.append(bytes)
        defer { precondition(reader.unreadCount == 0, "a head is all there is of it") }
        return try? reader.next()
    }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        let whole = Reading(bytes, piece: 4096), cut = Reading(bytes, piece: 3)
        precondition(whole == cut, "it does not matter how a stream is cut")
        var reader = HeadReader<ResponseHead>(limit: 1024)
        reader.append(bytes)
        while let head = try? reader.next() {
            precondition(100...999 ~= head.status, "a status has three digits")
            if var framing = (try? head.framing(for: "GET")).map({ BodyTracker($0) }) { _ = framing.finish() }
        }
    }
}
