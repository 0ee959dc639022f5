import EventLoop
import Glibc
import Platform
import Testing

@testable import Tunnel

@Test("answers in any order find their requests and bring their own sockets, however the kernel lumps them together")
func matching() throws {
    let loop = EventLoop()
    let (channel, raw) = try channelWithRawEnd(on: loop)
    var got: [Int: UInt16?] = [:]
    let count = 100
    for index in 0..<count {
        channel.requestConnection(HandoverRequest(peer: nil)) { (result: consuming HandoverResult, _) in
            switch consume result {
            case .success(let socket): got[index] = mark(of: socket)
            case .failure: got[index] = .some(nil)
            }
        }
    }
    for index in (0..<count).shuffled() {
        if index % 3 == 0 {
            try raw.send(#"{"id":\#(index),"error":"no"}"# + "\n")
        } else {
            let socket = try markedSocket(UInt16(index))
            try raw.send(#"{"id":\#(index),"ok":true}"# + "\n", descriptor: socket.number)
        }
    }
    loop.run(until: { got.count == count })
    for index in 0..<count { #expect(got[index] == .some(index % 3 == 0 ? nil : UInt16(index))) }
}

@Test("a line in pieces keeps the descriptor that came with its first byte")
func pieces() throws {
    let loop = EventLoop()
    let (channel, raw) = try channelWithRawEnd(on: loop)
    var marks: [UInt16?] = []
    for _ in 0..<2 {
        channel.requestConnection(HandoverRequest(peer: nil)) { (result: consuming HandoverResult, _) in
            if case .success(let socket) = consume result { marks.append(mark(of: socket)) } else { marks.append(nil) }
        }
    }
    let socket = try markedSocket(77)
    try raw.send(#"{"id":0,"o"#, descriptor: socket.number)
    loop.runOnce()
    try raw.send("k\":true}\n{\"id\":1,\"ok\":true}\n")
    loop.run(until: { marks.count == 2 })
    // The second answer came without its socket: an error, not somebody else's socket.
    #expect(marks == [77, nil])
}

@Test("a socket that is lost on the way fails its own request only")
func lostDescriptor() throws {
    let loop = EventLoop()
    let (channel, raw) = try channelWithRawEnd(on: loop)
    var errors: [HandoverError] = []
    var marks: [UInt16?] = []
    for _ in 0..<3 {
        channel.requestConnection(HandoverRequest(peer: nil)) { (result: consuming HandoverResult, _) in
            switch consume result {
            case .success(let socket): marks.append(mark(of: socket))
            case .failure(let error): errors.append(error)
            }
        }
    }
    try raw.send("{\"id\":0,\"ok\":true}\n")
    try raw.send("{\"id\":1,\"ok\":true}\n", handing: try markedSocket(1))
    let file = try FileDescriptor.open("/dev/null", O_RDONLY)
    try raw.send("{\"id\":2,\"ok\":true}\n", descriptor: file.number)
    loop.run(until: { errors.count + marks.count == 3 })
    #expect(errors == [.descriptorLost, .descriptorLost])
    #expect(marks == [1])
}

@Test("sockets and data handed over arrive with their requests, also when the other side is slow to read", arguments: [0, 30_000])
func handingOver(dataSize: Int) throws {
    let loop = EventLoop()
    let (left, right) = try Sockets.pair()
    var seen: [(UInt16?, Int)] = []
    let asking = try HandoverChannel(on: loop, FileDescriptor(owning: left), service: .none) { _ in }
    let count = 200
    var answers: [Result<HandoverPath, HandoverError>] = []
    var closed = 0
    for index in 0..<count {
        let connection = DescriptorOwner(try markedSocket(UInt16(index)))
        let data = [UInt8](repeating: 7, count: dataSize + index)
        asking.handOver(connection.number, HandoverRequest(peer: nil, data: data)) { answer in
            answers.append(answer)
            _ = connection.take()
            closed += 1
        }
    }
    // With much data the kernel's buffer is full by now and lines wait, cut in the middle.
    let taking = try HandoverChannel(
        on: loop, FileDescriptor(owning: right),
        service: .streams { request, socket, responder in
            seen.append((mark(of: socket), request.data.count))
            if seen.count % 2 == 0 { responder.accept(path: HandoverPath(word: "direct", remote: "192.0.2.1:7")) } else { responder.refuse("odd") }
        }, onClose: { _ in })
    loop.run(until: { answers.count == count })
    #expect(seen.map(\.0) == (0..<count).map { UInt16($0) })
    #expect(seen.map(\.1) == (0..<count).map { dataSize + $0 })
    #expect(answers.filter { $0 == .success(HandoverPath(word: "direct", remote: "192.0.2.1:7")) }.count == count / 2)
    #expect(answers.filter { $0 == .failure(.refused(HandoverRefusal("odd"))) }.count == count / 2)
    #expect(closed == count)
    _ = taking
}

@Test("more requests than allowed fail at once, and a side that asks too much is not read until it gets answers")
func bounds() throws {
    let loop = EventLoop()
    let (left, right) = try Sockets.pair()
    var responders: [HandoverResponder] = []
    let asking = try HandoverChannel(on: loop, FileDescriptor(owning: left), service: .none) { _ in }
    let taking = try HandoverChannel(
        on: loop, FileDescriptor(owning: right), service: .connections { _, responder in responders.append(responder) }, onClose: { _ in })
    var errors: [HandoverError] = []
    for _ in 0..<HandoverChannel.mostUnanswered + 5 {
        asking.requestConnection(HandoverRequest(peer: nil)) { (result: consuming HandoverResult, _) in
            if case .failure(let error) = consume result { errors.append(error) }
        }
    }
    #expect(errors == [HandoverError](repeating: .overloaded, count: 5))
    loop.run(until: { responders.count == HandoverChannel.mostUnanswered })
    responders.removeAll()
    loop.run(until: { errors.count == HandoverChannel.mostUnanswered + 5 })
    #expect(errors.last == .refused(HandoverRefusal("the request was dropped")))
    _ = taking
}

@Test("a request that a command does not take is refused with a hint at the wiring")
func wrongDirection() throws {
    let loop = EventLoop()
    let (left, right) = try Sockets.pair()
    let one = try HandoverChannel(on: loop, FileDescriptor(owning: left), service: .none) { _ in }
    let other = try HandoverChannel(on: loop, FileDescriptor(owning: right), service: .none) { _ in }
    var reason = ""
    one.requestConnection(HandoverRequest(peer: nil)) { (result: consuming HandoverResult, _) in
        if case .failure(let error) = consume result { reason = "\(error)" }
    }
    loop.run(until: { !reason.isEmpty })
    #expect(reason.contains("right bridge"))
    _ = other
}

@Test("a request without its socket, or with something else, is refused")
func noSocket() throws {
    let loop = EventLoop()
    var taken = 0
    let (channel, raw) = try channelWithRawEnd(on: loop, service: .streams { _, _, responder in
        taken += 1
        responder.accept(path: HandoverPath(word: nil))
    })
    try raw.send("{\"open\":{\"id\":1,\"peer\":null}}\n")
    let file = try FileDescriptor.open("/dev/null", O_RDONLY)
    try raw.send("{\"open\":{\"id\":2,\"peer\":null}}\n", descriptor: file.number)
    try raw.send("{\"open\":{\"id\":3,\"peer\":null}}\n", handing: try markedSocket(3))
    loop.run(until: { taken == 1 })
    let lines = try raw.received().split(separator: "\n")
    #expect(lines.count == 3)
    #expect(lines[0].contains("without its socket") && lines[1].contains("no stream socket") && lines[2] == #"{"id":3,"ok":true}"#)
    _ = channel
}

@Test("the channel ends at what can't be understood, and every request fails", arguments: [
    "nonsense\n", "{\"open\":{\"id\":1}}\n{\"open\":{\"id\":1}}\n", String(repeating: "x", count: HandoverMessage.longestLine + 1),
])
func garbage(_ text: String) throws {
    let loop = EventLoop()
    var reason: HandoverEnding?
    var responders: [HandoverResponder] = []
    let (channel, raw) = try channelWithRawEnd(on: loop, service: .connections { responders.append($1) }, onClose: { reason = $0 })
    var error: HandoverError?
    channel.requestConnection(HandoverRequest(peer: nil)) { (result: consuming HandoverResult, _) in
        if case .failure(let failure) = consume result { error = failure }
    }
    try raw.send(text)
    loop.run(until: { reason != nil })
    #expect(reason?.description.hasPrefix("bad message: ") == true)
    #expect(error == .closed)
}

@Test("when the other side vanishes every request fails, and later ones at once")
func vanishing() throws {
    let loop = EventLoop()
    var reason: HandoverEnding?
    var errors: [HandoverError] = []
    let (left, right) = try Sockets.pair()
    let channel = try HandoverChannel(on: loop, FileDescriptor(owning: left), service: .none) { reason = $0 }
    func ask() {
        channel.requestConnection(HandoverRequest(peer: nil)) { (result: consuming HandoverResult, _) in
            if case .failure(let error) = consume result { errors.append(error) }
        }
    }
    ask()
    close(right)
    loop.run(until: { reason != nil })
    ask()
    #expect(reason == .closedByPeer)
    #expect(errors == [.closed, .closed])
}

@Test("an answer that does not come is given up; when it comes after all it changes nothing")
func timeout() throws {
    let loop = EventLoop()
    let (channel, raw) = try channelWithRawEnd(on: loop, answerTimeout: .milliseconds(20))
    var errors: [HandoverError] = []
    var marks: [UInt16?] = []
    func ask() {
        channel.requestConnection(HandoverRequest(peer: nil)) { (result: consuming HandoverResult, _) in
            switch consume result {
            case .success(let socket): marks.append(mark(of: socket))
            case .failure(let error): errors.append(error)
            }
        }
    }
    ask()
    loop.run(until: { errors == [.timedOut] })
    try raw.send("{\"id\":0,\"ok\":true}\n", handing: try markedSocket(0))
    try raw.send("{\"id\":1,\"ok\":true}\n", handing: try markedSocket(1))
    ask()
    loop.run(until: { marks == [1] })
    #expect(errors == [.timedOut])
}

@Test("an answer to a channel that has gone closes its socket")
func answerTooLate() throws {
    let loop = EventLoop()
    var responder: HandoverResponder?
    var isClosed = false
    var (channel, raw): (HandoverChannel?, RawEnd?) = try channelWithRawEnd(
        on: loop, service: .connections { responder = $1 }, onClose: { _ in isClosed = true })
    try raw?.send("{\"open\":{\"id\":1}}\n")
    loop.run(until: { responder != nil })
    raw = nil
    loop.run(until: { isClosed })
    let (left, right) = try Sockets.pair()
    responder?.accept(handing: FileDescriptor(owning: left))
    #expect(try readBytes(right, count: 1).isEmpty)
    close(right)
    channel = nil
    _ = channel
}
