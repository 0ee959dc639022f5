// What goes where:
//   stdout   data, one JSON object a line; see StandardOutput
//   stderr   everything for a person or a log, through this file: "command: message", lower case, no full stop, a hint on a
//            line of its own; as JSON objects with --log-format json
//            into the journal, each line begins with its priority (sd-daemon(3))
// Text that came from a file or the network is escaped before it reaches a terminal.

import ArgumentParser
import Glibc
import JSON
import Platform

public enum LogFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case text, json
}

/// The messages of one command.
public struct Log: Sendable {
    public enum Level: Int, Comparable, Sendable {
        case error, warning, notice, debug

        /// `<3>`, as syslog counts.
        fileprivate var journalPrefix: String {
            switch self {
            case .error: "<3>"
            case .warning: "<4>"
            case .notice: "<5>"
            case .debug: "<7>"
            }
        }

        public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    public let command: String
    public let format: LogFormat
    /// Messages above this level are dropped.
    public let level: Level

    public init(command: String, format: LogFormat = .text, level: Level = .notice) {
        self.command = command
        self.format = format
        self.level = level
    }

    public func error(_ message: String, hint: String? = nil) { write(.error, message, hint) }
    public func warning(_ message: String, hint: String? = nil) { write(.warning, message, hint) }
    public func notice(_ message: @autoclosure () -> String) { if level >= .notice { write(.notice, message(), nil) } }
    public func debug(_ message: @autoclosure () -> String) { if level >= .debug { write(.debug, message(), nil) } }

    /// Whether standard error is the journal that the service manager has named (systemd.exec(5), `JOURNAL_STREAM`).
    private static let isForJournal: Bool = {
        var status = stat()
        guard let named = getenv("JOURNAL_STREAM"), fstat(STDERR_FILENO, &status) == 0 else { return false }
        return String(cString: named) == "\(status.st_dev):\(status.st_ino)"
    }()

    private func write(_ level: Level, _ message: String, _ hint: String?) {
        guard level <= self.level else { return }
        let text: String
        switch format {
        case .text:
            let start = (Self.isForJournal ? level.journalPrefix : "") + command
            let prefix = level == .warning ? "warning: " : ""
            text = "\(start): \(prefix)\(printable(message))\n" + (hint.map { "\(start): hint: \(printable($0))\n" } ?? "")
        case .json:
            var object = JSONObject(members: [
                ("time", .integer(Int64(WallClock.microseconds))), ("level", .string("\(level)")),
                ("command", .string(command)), ("message", .string(message)),
            ])
            object["hint"] = hint.map(JSONValue.string)
            text = JSONValue.object(object).text + "\n"
        }
        // When even stderr is gone there is nobody left to tell.
        try? writeAll(STDERR_FILENO, Array(text.utf8))
    }
}

/// The text with control characters and invisible formatting replaced by escapes, fit for a terminal.
public func printable(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isUnprintable) else { return text }
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        if isUnprintable(scalar) {
            result.append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".unicodeScalars)
        } else {
            result.append(scalar)
        }
    }
    return String(result)
}

private func isUnprintable(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse: true
    default: false
    }
}
