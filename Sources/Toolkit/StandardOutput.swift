import Glibc
import JSON
import Platform

/// Data out: one JSON object a line, flushed at once.
public enum StandardOutput {
    /// Writes one line.
    ///
    /// - Throws: ``OutputClosed`` when the reader has gone, ``CommandError`` when writing fails otherwise.
    public static func write(_ value: JSONValue) throws { try write(line: value.text) }

    /// Writes one line of text, for commands that show something to a person on request.
    public static func write(line: String) throws {
        do throws(SystemError) { try writeAll(STDOUT_FILENO, Array(line.utf8) + [0x0a]) } catch {
            if error.code == EPIPE { throw OutputClosed() }
            throw CommandError(.outputFailed, "can't write to standard output: \(error.reason)")
        }
    }
}

/// The reader of standard output has gone: the command has nothing left to do and ends cleanly.
public struct OutputClosed: Error { public init() {} }
