import EventLoop
import Glibc
import JSON
import Platform

/// Whether the router of this network opens ports, asked for each protocol by a port-map(1) of its own: each may wait for seconds.
final class RouterCheck {
    private static let protocols = [("pcp", "PCP"), ("natpmp", "NAT-PMP"), ("upnp", "UPnP")]
    /// A line has some hundred bytes.
    private static let largestLine = 4096

    /// Whether it speaks one of them.
    private(set) var opensPorts = false
    var isDone: Bool { asked.isEmpty }
    private let report: (Finding) -> Void
    private let onProgress: () -> Void
    private var asked: [String: Question] = [:]
    private let started = Instant.now

    private struct Question {
        var child: ChildProcess
        var output: Int32
        var watcher: Watcher?
        var bytes: [UInt8] = []
    }

    /// - Parameter onProgress: Called when ``isDone`` may have changed, never from within this call.
    init(on loop: EventLoop, report: @escaping (Finding) -> Void, onProgress: @escaping () -> Void) {
        self.report = report
        self.onProgress = onProgress
        for (word, name) in Self.protocols { ask(word, name, on: loop) }
    }

    deinit { end() }

    /// Asks no more.
    func end() {
        for question in asked.values {
            question.child.kill(SIGTERM)
            question.watcher?.cancel()
            close(question.output)
        }
        asked = [:]
    }

    private func ask(_ word: String, _ name: String, on loop: EventLoop) {
        do throws(SystemError) {
            let pipe = try makePipe()
            defer { close(pipe.writing) }
            do throws(SystemError) {
                let watcher = try Watcher(on: loop, pipe.reading) { [unowned self] _ in read(word, name) }
                let child = try ChildProcess(
                    on: loop, [siblingProgram("port-map"), "--look", "--protocol", word], descriptors: [nil, pipe.writing, nil]) { _ in }
                asked[word] = Question(child: child, output: pipe.reading, watcher: watcher)
                watcher.wait(for: .readable)
            } catch {
                close(pipe.reading)
                throw error
            }
        } catch {
            tell(word, name, router: nil, external: nil, reason: error.code == ENOENT ? "there is no port-map here to ask by" : error.reason)
        }
    }

    private func read(_ word: String, _ name: String) {
        guard var question = asked[word] else { return }
        let bytes = (try? readBytes(question.output, count: Self.largestLine)) ?? []
        question.bytes += bytes
        asked[word] = question
        guard bytes.isEmpty || question.bytes.count > Self.largestLine else { return }
        question.watcher?.cancel()
        close(question.output)
        asked[word] = nil
        let line = (try? JSONValue(parsing: question.bytes))?.objectValue ?? JSONObject()
        let isSpoken = line["spoken"]?.boolValue == true
        opensPorts = opensPorts || isSpoken
        tell(word, name, router: line["router"]?.stringValue, external: line["external"]?.stringValue,
             reason: isSpoken ? nil : line["reason"]?.stringValue ?? "no answer")
        onProgress()
    }

    private func tell(_ word: String, _ name: String, router: String?, external: String?, reason: String?) {
        let place = external.map { ", public address \($0)" + (IPAddress($0)?.scope == .global ? "" : ", behind which is another NAT") } ?? ""
        report(Finding(
            .portMapping, reason == nil ? true : nil, after: .now - started,
            [("protocol", .string(word)), ("router", .text(router)), ("external", .text(external)), ("reason", .text(reason))],
            "\(name): \(reason ?? "the router opens ports\(place)")"))
    }
}
