import FuzzSupport
import Platform
import STUN

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        let server = SocketAddress("192.0.2.1:3478")!, now = Instant(nanoseconds: 0)
        var client = STUNClient()
        client.ask([server], now: now)
        let request = client.nextRequest(now: now)!
        let isTaken = bytes.withUnsafeBytes { client.take($0, from: server) } != nil
        precondition(!isTaken || bytes[8..<20] == request.datagram[8..<20], "nobody guesses a transaction")
        guard !isTaken, bytes.count >= 20 else { return }
        let answer = bytes[..<8] + request.datagram[8..<20] + bytes[20...]
        guard let outcome = answer.withUnsafeBytes({ client.take($0, from: server) }) else { return }
        precondition(!client.isAsking, "a request has one answer")
        if case .mapped(let seen) = outcome { precondition(!seen.ip.isV6 && seen.port != 0, "the address can be ours") }
    }
}
