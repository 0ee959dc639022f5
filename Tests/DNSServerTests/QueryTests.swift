import Crypto
import Pkarr
import Testing

@testable import DNSServer

/// `example.com. IN A`, id 0x1234, recursion desired.
private let plain = bytes(hexadecimal: "123401000001000000000000076578616d706c6503636f6d0000010001")!

private func code(of message: [UInt8]) -> ResponseCode? {
    guard case .unreadable(_, let code) = DNSQuery.read(message) else { return nil }
    return code
}

private func changed(_ index: Int, _ value: UInt8) -> [UInt8] {
    var message = plain
    message[index] = value
    return message
}

@Test("a query is read")
func readsQuery() throws {
    guard case .query(let query) = DNSQuery.read(plain) else {
        Issue.record("not read")
        return
    }
    #expect(query.id == 0x1234 && query.isRecursionDesired && query.edns == nil)
    #expect(query.name == name("example.com") && query.type == .a && query.classField == 1)
}

@Test("EDNS tells size, version and the DO bit")
func readsEDNS() {
    var message = plain + bytes(hexadecimal: "0000290fa0000180000000")!
    message[11] = 1
    guard case .query(let query) = DNSQuery.read(message) else {
        Issue.record("not read")
        return
    }
    #expect(query.edns == .init(payloadSize: 4000, version: 1, dnssecOK: true))
}

@Test("answers are never answered, nor is what has no header")
func ignores() {
    #expect(DNSQuery.read(changed(2, 0x81)) == .ignored)
    for count in 0..<12 { #expect(DNSQuery.read(Array(plain.prefix(count))) == .ignored) }
}

@Test("other operations are not implemented, whatever follows the header")
func otherOperations() {
    #expect(code(of: changed(2, 0x29)) == .notImplemented)
    #expect(code(of: Array(changed(2, 0x29).prefix(13))) == .notImplemented)
}

@Test("what is cut short is a format error, at every place", arguments: 12..<29)
func cutShort(count: Int) { #expect(code(of: Array(plain.prefix(count))) == .formatError) }

@Test("what has no place in a query is a format error")
func misplaced() {
    #expect(code(of: changed(5, 0)) == .formatError)
    #expect(code(of: changed(5, 2)) == .formatError)
    #expect(code(of: changed(7, 1)) == .formatError)
    #expect(code(of: changed(9, 1)) == .formatError)
    #expect(code(of: changed(11, 1)) == .formatError)
    // A pointer as the name, and a label of a reserved kind.
    #expect(code(of: Array(plain.prefix(12)) + [0xc0, 0x04, 0, 1, 0, 1]) == .formatError)
    #expect(code(of: changed(12, 0x47)) == .formatError)
    // Two OPT records, and one that does not belong to the root.
    let opt = bytes(hexadecimal: "00002904d0000000000000")!
    var twice = plain + opt + opt
    twice[11] = 2
    #expect(code(of: twice) == .formatError)
    var named = plain + [1, 0x61] + opt
    named[11] = 1
    #expect(code(of: named) == .formatError)
}

@Test("a format error is a header with the query's id and nothing else")
func formatErrorIsHeader() {
    guard case .unreadable(let answer, _) = DNSQuery.read(changed(5, 0)) else {
        Issue.record("read")
        return
    }
    #expect(answer == bytes(hexadecimal: "123481010000000000000000")!)
}

@Test("messages of a stream are cut out wherever its pieces end", arguments: [1, 2, 3, 7, 64])
func framing(step: Int) {
    let messages = [plain, changed(0, 1), changed(0, 2)]
    let stream = messages.flatMap { MessageFraming.framed($0) }
    var framing = MessageFraming(longest: 512)
    var found: [[UInt8]] = []
    for place in stride(from: 0, to: stream.count, by: step) {
        framing.append(Array(stream[place..<min(place + step, stream.count)]))
        while case .message(let message) = framing.next() { found.append(message) }
    }
    #expect(found == messages)
    let rest = framing.next()
    #expect(rest == .incomplete)
}

@Test("a length that no message has breaks a stream", arguments: [[0, 0], [0, 11], [2, 1]] as [[UInt8]])
func brokenFraming(length: [UInt8]) {
    var framing = MessageFraming(longest: 512)
    framing.append(length)
    let next = framing.next()
    #expect(next == .broken)
}
