import EventLoop
import Glibc
import JSON
import Platform

/// One object read from standard input, with where it stood.
public struct InputObject: Sendable {
    /// From 1.
    public var line: Int
    public var object: JSONObject

    /// `standard input, line 3`
    public var place: String
}

extension CommandError {
    /// Bad data: what is wrong with an object, and on which line it stood.
    public init(_ error: ObjectError, in object: InputObject) { self.init(.badData, "\(object.place): \(error)") }
}

/// Data in: one JSON object a line. Empty lines are skipped.
public struct ObjectParser {
    private var splitter = LineSplitter()
    private var line = 0
    private let other: ([UInt8]) -> JSONObject?

    private let source: String

    /// - Parameters:
    ///   - place: What the input is called in messages.
    ///   - other: Makes an object of a line in another form that the command takes too; nil for all other lines.
    public init(place: String = "standard input", other: @escaping ([UInt8]) -> JSONObject? = { _ in nil }) {
        source = place
        self.other = other
    }

    public mutating func append(_ bytes: [UInt8]) { splitter.append(bytes) }

    /// The next object; nil until more is appended.
    ///
    /// - Throws: ``CommandError`` with the line, the column and what was wrong.
    public mutating func next() throws(CommandError) -> InputObject? {
        while let bytes = splitter.next() { if let object = try parse(bytes) { return object } }
        return nil
    }

    /// What stands after the last newline.
    public mutating func finish() throws(CommandError) -> InputObject? {
        guard let bytes = splitter.finish() else { return nil }
        return try parse(bytes)
    }

    private mutating func parse(_ bytes: LineSplitter.Line) throws(CommandError) -> InputObject? {
        line += 1
        guard case .bytes(let bytes) = bytes else {
            throw CommandError(.badData, "\(source), line \(line): longer than \(LineSplitter.longestLine) bytes")
        }
        if bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0d }) { return nil }
        if let object = other(bytes) { return InputObject(line: line, object: object, place: "\(source), line \(line)") }
        let value: JSONValue
        do throws(JSONSyntaxError) { value = try JSONValue(parsing: bytes) } catch {
            throw CommandError(.badData, "\(source), line \(line), column \(error.column): \(error.reason)",
                               hint: "each line has to be one JSON object")
        }
        guard case .object(let object) = value else {
            throw CommandError(.badData, "\(source), line \(line): expected a JSON object, found \(value.typeName)")
        }
        return InputObject(line: line, object: object, place: "\(source), line \(line)")
    }
}

/// Standard input read to its end at once, where nothing else can happen meanwhile.
public enum StandardInput {
    private static let chunk = 65536

    /// - Throws: What `body` throws, and ``CommandError`` for a line that is no object.
    public static func forEachObject(_ body: (InputObject) throws -> Void) throws {
        var parser = ObjectParser()
        while true {
            let bytes = try read()
            if bytes.isEmpty { break }
            parser.append(bytes)
            while let object = try parser.next() { try body(object) }
        }
        if let object = try parser.finish() { try body(object) }
    }

    static func read() throws(CommandError) -> [UInt8] {
        do throws(SystemError) { return try readBytes(STDIN_FILENO, count: chunk) } catch {
            if error.code == EBADF { return [] }
            throw CommandError(.badData, "can't read standard input: \(error.reason)")
        }
    }
}

/// Standard input watched by the event loop, for stages that also do other things. Keep it as long as it should read.
public final class ObjectReader {
    /// What the input brought.
    public enum Event {
        case object(InputObject)
        /// A line was wrong; reading goes on with the next.
        case malformed(CommandError)
        case end
    }

    private let handler: (Event) -> Void
    private var parser: ObjectParser
    private var watcher: Watcher?
    private var timer: Timer?

    public init(on loop: EventLoop, parser: ObjectParser = ObjectParser(), _ handler: @escaping (Event) -> Void) {
        self.handler = handler
        self.parser = parser
        do throws(SystemError) {
            watcher = try Watcher(on: loop, STDIN_FILENO) { [unowned self] _ in read() }
            watcher?.wait(for: .readable)
        } catch {
            // A regular file is always ready, so it is read a piece at a time between other things; a closed one ends at once.
            timer = Timer(on: loop) { [unowned self] in
                if read() { timer?.start(after: .zero) }
            }
            timer?.start(after: .zero)
        }
    }

    /// Pauses reading, so that a full queue downstream holds back the writer; resuming goes on where it stopped.
    public var isPaused = false {
        didSet {
            guard isPaused != oldValue else { return }
            watcher?.wait(for: isPaused ? [] : .readable)
            if isPaused { timer?.stop() } else { timer?.start(after: .zero) }
            if !isPaused { deliver() }
        }
    }

    /// Returns whether there may be more.
    @discardableResult
    private func read() -> Bool {
        do throws(CommandError) {
            let bytes = try StandardInput.read()
            guard bytes.isEmpty else {
                parser.append(bytes)
                deliver()
                return !isPaused
            }
            if let object = try parser.finish() { handler(.object(object)) }
        } catch { handler(.malformed(error)) }
        watcher?.cancel()
        watcher = nil
        handler(.end)
        return false
    }

    private func deliver() {
        while !isPaused {
            do throws(CommandError) {
                guard let object = try parser.next() else { return }
                handler(.object(object))
            } catch { handler(.malformed(error)) }
        }
    }
}
