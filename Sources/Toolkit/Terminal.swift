import Glibc
import Platform

/// The terminal on which a person reads what a command prints.
public struct Terminal: Sendable {
    /// What a line is taken to hold when the terminal does not say.
    private static let usualColumns = 80

    /// Characters a line holds.
    public var columns: Int
    public var hasColour: Bool

    public init(columns: Int, hasColour: Bool) {
        self.columns = columns
        self.hasColour = hasColour
    }

    /// Nil when the descriptor leads to no terminal. Colour is left out when `NO_COLOR` is set (no-color.org) or the terminal is `dumb`.
    public init?(of descriptor: Int32 = STDOUT_FILENO) {
        guard isatty(descriptor) == 1 else { return nil }
        columns = TerminalSize.columns(of: descriptor) ?? Self.usualColumns
        hasColour = (environment("NO_COLOR") ?? "").isEmpty && environment("TERM") != "dumb"
    }

    /// How text stands out; without colour it does not.
    public enum Style: Sendable {
        case good, doubtful, bad, faint, strong

        /// The parameter of the control sequence that sets it (ECMA-48, 8.3.117).
        fileprivate var parameter: Int {
            switch self {
            case .strong: 1
            case .faint: 2
            case .bad: 31
            case .good: 32
            case .doubtful: 33
            }
        }
    }

    /// The text in a style.
    public func styled(_ text: String, _ style: Style?) -> String {
        guard hasColour, let style, !text.isEmpty else { return text }
        return "\u{1b}[\(style.parameter)m\(text)\u{1b}[0m"
    }

    /// The text in lines that fit, broken between words, each after an indentation.
    public func wrapped(_ text: String, indentation: Int = 0) -> [String] {
        let margin = String(repeating: " ", count: indentation)
        var lines: [String] = []
        var line = margin
        for word in asciiPrintable(text).split(separator: " ") {
            if line.utf8.count > margin.utf8.count {
                if line.utf8.count + 1 + word.utf8.count <= columns {
                    line += " " + word
                    continue
                }
                lines.append(line)
            }
            line = margin + word
        }
        return lines + [line]
    }
}

private func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

/// The text with everything that is not printable ASCII escaped: each character that is left takes one column of a terminal.
public func asciiPrintable(_ text: String) -> String {
    if text.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) { return text }
    return text.unicodeScalars.map { $0.value >= 0x20 && $0.value <= 0x7e ? String($0) : "\\u{\(String($0.value, radix: 16))}" }.joined()
}
