/// A value of a TOML document (TOML 1.0), with the place where it is written.
public struct TOMLValue: Equatable, Sendable {
    public enum Content: Equatable, Sendable {
        case string(String)
        case integer(Int64)
        case real(Double)
        case boolean(Bool)
        /// A date, a time, or both; nothing here asks which.
        case time
        case array([TOMLValue])
        case table([String: TOMLValue])
    }

    public var content: Content
    /// Where its key begins, or where itself begins in an array.
    public var place: TOMLPlace

    public init(_ content: Content, at place: TOMLPlace) {
        self.content = content
        self.place = place
    }

    /// What it is, for messages.
    public var typeName: String {
        switch content {
        case .string: "a string"
        case .integer, .real: "a number"
        case .boolean: "true or false"
        case .time: "a date or a time"
        case .array: "an array"
        case .table: "a table"
        }
    }
}

/// A place in a document: lines and characters of a line, from 1. A value that is nowhere written, such as an empty document, has 0 for both.
public struct TOMLPlace: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var line: Int
    public var column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    public static func < (left: TOMLPlace, right: TOMLPlace) -> Bool { (left.line, left.column) < (right.line, right.column) }

    public var description: String { "line \(line), column \(column)" }
}

/// Why a document is no TOML. Where that can't be told, the place is 0.
public struct TOMLSyntaxError: Error, Equatable, CustomStringConvertible {
    public var place: TOMLPlace
    /// One sentence in lower case.
    public var reason: String

    public var description: String { "\(place): \(reason)" }
}
