import Crypto
import Discovery
import EventLoop
import JSON
import Pkarr
import PublicationState
import StateOptions
import Toolkit

/// Answers each key of standard input with a line, its packet or why there is none, in the order in which they are found.
final class AnswerLoop {
    /// Look-ups at once: a page has objects of many homeservers.
    private static let mostUnderWay = 64
    /// Keys that may wait for theirs; no more lines are read then.
    private static let mostWaiting = 256

    /// What is wanted of a key. Whoever asks meanwhile shares the look-up.
    private struct Wanted {
        /// Nil until it is its turn.
        var search: Search?
        /// Lines to answer with this look-up, and with one that begins after it.
        var answers = 0, later = 0
    }

    private let loop: EventLoop
    private let resolver: Resolver
    private let judge: Judge
    private let log: Log
    private var reader: ObjectReader!
    private var wanted: [PublicKey: Wanted] = [:]
    private var waiting: [PublicKey] = []
    private var underWay = 0
    private var hasEnded = false
    private var status = ExitStatus.done
    private var failure: (any Error)?

    init(on loop: EventLoop, _ sources: Sources, _ judge: Judge) {
        self.loop = loop
        resolver = Resolver(sources)
        self.judge = judge
        log = judge.log
        let parser = ObjectParser { line in
            // A key stands alone on its line, in any form.
            guard line.first != UInt8(ascii: "{"), let key = PublicKey(parsing: Self.trimmed(line)) else { return nil }
            return JSONObject(members: [("public_key", .string(key.zBase32))])
        }
        reader = ObjectReader(on: loop, parser: parser) { [unowned self] in take($0) }
    }

    private static func trimmed(_ line: [UInt8]) -> String {
        let isBlank = { (byte: UInt8) in byte == 0x20 || byte == 0x09 || byte == 0x0d }
        return String(decoding: line.drop(while: isBlank).reversed().drop(while: isBlank).reversed(), as: UTF8.self)
    }

    /// Bad data if a line was no question, else done: what became of a key stands in its answer.
    func run() throws -> ExitStatus {
        let service = Service(on: loop)
        let output = OutputWatcher(on: loop, alsoSockets: false) { [unowned self] in end(OutputClosed()) }
        _ = withExtendedLifetime(output) { service.run() }
        if let failure { throw failure }
        return status
    }

    private func take(_ event: ObjectReader.Event) {
        switch event {
        case .object(let input):
            // Whoever asks may also print other things.
            guard let text = input.object["public_key"] else { return }
            guard let key = text.stringValue.flatMap(PublicKey.init(parsing:)) else { return reject("\(input.place): public_key: not a key") }
            ask(key, isFresh: input.object["fresh"]?.boolValue == true)
        case .malformed(let error): reject(error.message, hint: "a line is a key, or {\"public_key\":KEY}")
        case .end: hasEnded = true
        }
        proceed()
    }

    private func reject(_ message: String, hint: String? = nil) {
        log.error(message, hint: hint)
        status = .badData
    }

    private func ask(_ key: PublicKey, isFresh: Bool) {
        guard wanted[key] != nil else {
            wanted[key] = Wanted(answers: 1)
            return waiting.append(key)
        }
        // What has been found so far may be what whoever asks has seen already.
        if isFresh, wanted[key]!.search != nil { wanted[key]!.later += 1 } else { wanted[key]!.answers += 1 }
    }

    private func proceed() {
        while underWay < Self.mostUnderWay, !waiting.isEmpty {
            let key = waiting.removeFirst()
            underWay += 1
            wanted[key]?.search = resolver.resolve(key) { [unowned self] event in
                switch event {
                case .packet(let packet): take(packet)
                case .finished(let resolution): finish(key, resolution)
                }
            }
        }
        reader.isPaused = waiting.count >= Self.mostWaiting
        if hasEnded, wanted.isEmpty { loop.stop() }
    }

    private func take(_ packet: SignedPacket) {
        do throws(StateError) {
            // What slower sources have may be as new as what was seen before.
            guard try judge.isNews(packet) else { return }
        } catch { return end(CommandError(error)) }
        wanted[packet.publicKey]?.search?.cancel()
        answer(packet.publicKey, packet.json)
    }

    private func finish(_ key: PublicKey, _ resolution: Resolution) {
        guard let problem = judge.problem(key, resolution) else { return answer(key, resolution.packet?.json ?? JSONObject()) }
        answer(key, JSONObject(members: [
            ("public_key", .string(key.zBase32)), ("status", .integer(Int64(problem.status.rawValue))), ("error", .string(problem.message)),
        ]))
    }

    private func answer(_ key: PublicKey, _ line: JSONObject) {
        guard let question = wanted.removeValue(forKey: key) else { return }
        underWay -= 1
        if question.later > 0 {
            wanted[key] = Wanted(answers: question.later)
            waiting.append(key)
        }
        do { for _ in 0..<question.answers { try StandardOutput.write(.object(line)) } } catch { return end(error) }
        proceed()
    }

    private func end(_ error: any Error) {
        failure = failure ?? error
        loop.stop()
    }
}
