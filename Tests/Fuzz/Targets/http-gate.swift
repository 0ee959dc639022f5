import FuzzSupport
import HTTP1
import HTTPGate

/// What of a stream of requests gets past a gate, with a server that answers each with 200 when it can be held up.
private func passed(_ stream: [UInt8], piece: Int) -> (bytes: [UInt8], isRefused: Bool) {
    var gate = HTTPGate(client: ClientFields(key: "k", address: "192.0.2.1"))
    var out: [UInt8] = []
    var rest = stream[...]
    while !rest.isEmpty {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: min(piece, rest.count), alignment: 1)
        defer { bytes.deallocate() }
        bytes.copyBytes(from: rest.prefix(piece))
        do throws(GateError) {
            let (count, output) = try gate.request(UnsafeRawBufferPointer(bytes))
            switch output {
            case .nothing: break
            case .same: out += rest.prefix(count)
            case .bytes(let head): out += head
            }
            rest = rest.dropFirst(count)
            if count == 0 {
                precondition(gate.isHeld, "all is taken but while it is held")
                try answer(&gate)
            }
        } catch { return (out, true) }
    }
    precondition(!gate.isTunnel, "no tunnel opens by itself")
    return (out, false)
}

private func answer(_ gate: inout HTTPGate) throws(GateError) {
    let response = UnsafeMutableRawBufferPointer.allocate(byteCount: 38, alignment: 1)
    defer { response.deallocate() }
    response.copyBytes(from: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".utf8)
    for _ in 0..<gate.outstanding { try gate.response(UnsafeRawBufferPointer(response)) }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        let whole = passed(bytes, piece: 4096), cut = passed(bytes, piece: 3)
        precondition(whole.isRefused == cut.isRefused, "it does not matter how a stream is cut")
        precondition(whole.isRefused || whole.bytes == cut.bytes, "it does not matter how a stream is cut")
        // What a server reads there.
        var reader = HeadReader<RequestHead>()
        reader.append(whole.bytes)
        while let head = try? reader.next() {
            precondition(head.fields.values("pubky-client-key") == ["k"] && head.fields.values("x-forwarded-for") == ["192.0.2.1"], "it says whose it is")
            precondition(head.fields.values("forwarded").isEmpty && head.fields.values("via").isEmpty, "and nothing else does")
            precondition(head.fields.elements("connection").allSatisfy { ["close", "keep-alive", "upgrade"].contains($0) }, "one hop's fields stay there")
            guard let framing = try? head.framing() else { preconditionFailure("what is passed can be read in one way") }
            var rest = reader.takeUnread()
            var body = BodyTracker(framing)
            while !body.isFinished, !rest.isEmpty {
                let taken = rest.withUnsafeBytes { (try? body.consume($0)) ?? 0 }
                if taken == 0 { return precondition(whole.isRefused, "chunks that are passed are in order") }
                precondition(!body.tookTrailer, "trailers are left out")
                rest.removeFirst(taken)
            }
            reader.append(rest)
        }
    }
}
