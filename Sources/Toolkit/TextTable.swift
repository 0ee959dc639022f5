/// Rows of text in columns, fitted to the width of a terminal.
///
/// A column without any text is left out. When the rest is too wide, columns that may be cut become narrower, the widest first; when that
/// is not enough, columns that may be missed are left out, the last first. A row's note is never cut: where there is no room for it behind
/// the row, it goes below.
public struct TextTable: Sendable {
    public struct Column: Sendable {
        var title: String
        /// Numbers end at the same place.
        var isNumber: Bool
        /// The fewest characters that it may be cut down to; nil for text that says nothing when cut.
        var shortest: Int?
        var mayBeMissed: Bool

        public init(_ title: String, isNumber: Bool = false, shortest: Int? = nil, mayBeMissed: Bool = false) {
            self.title = title
            self.isNumber = isNumber
            self.shortest = shortest
            self.mayBeMissed = mayBeMissed
        }
    }

    /// What stands between two columns.
    private static let gap = "  "
    private static let noteIndentation = 4

    private let columns: [Column]
    private var rows: [(cells: [String], style: Terminal.Style?, note: String)] = []

    public init(_ columns: [Column]) { self.columns = columns }

    /// - Parameters:
    ///   - cells: One for each column.
    ///   - style: Of the first cell.
    ///   - note: What else there is to say.
    public mutating func add(_ cells: [String], style: Terminal.Style? = nil, note: String = "") {
        precondition(cells.count == columns.count, "a cell for each column")
        rows.append((cells.map(asciiPrintable), style, asciiPrintable(note)))
    }

    /// The lines, titles first.
    public func lines(for terminal: Terminal) -> [String] {
        let widths = fittedWidths(into: terminal.columns)
        let kept = widths.compactMap(\.self)
        let width = kept.reduce(0, +) + Self.gap.utf8.count * kept.count
        let titles = line(columns.map(\.title), widths, terminal, [Terminal.Style?](repeating: .faint, count: columns.count))
        return [trimmed(titles)] + rows.flatMap { row -> [String] in
            let line = line(row.cells, widths, terminal, [row.style])
            if row.note.isEmpty { return [trimmed(line)] }
            if width + row.note.utf8.count <= terminal.columns { return [line + Self.gap + row.note] }
            return [trimmed(line)] + terminal.wrapped(row.note, indentation: Self.noteIndentation)
        }
    }

    /// Characters of each column; nil for one that is left out.
    private func fittedWidths(into total: Int) -> [Int?] {
        var widths = columns.indices.map { index -> Int? in
            let widest = rows.map { $0.cells[index].utf8.count }.max() ?? 0
            return widest == 0 ? nil : max(widest, columns[index].title.utf8.count)
        }
        while true {
            let kept = widths.compactMap(\.self)
            let surplus = kept.reduce(0, +) + Self.gap.utf8.count * max(0, kept.count - 1) - total
            if surplus <= 0 { return widths }
            func slack(_ index: Int) -> Int { max(0, (widths[index] ?? 0) - (columns[index].shortest ?? .max)) }
            if let widest = columns.indices.filter({ slack($0) > 0 }).max(by: { widths[$0]! < widths[$1]! }) {
                widths[widest]! -= min(surplus, slack(widest))
            } else if let last = columns.indices.last(where: { widths[$0] != nil && columns[$0].mayBeMissed }) {
                widths[last] = nil
            } else {
                return widths
            }
        }
    }

    private func line(_ cells: [String], _ widths: [Int?], _ terminal: Terminal, _ styles: [Terminal.Style?]) -> String {
        var parts: [String] = []
        for (index, cell) in cells.enumerated() {
            guard let width = widths[index] else { continue }
            let text = shortened(cell, to: width)
            let padding = String(repeating: " ", count: max(0, width - text.count))
            let styled = terminal.styled(text, index < styles.count ? styles[index] : nil)
            parts.append(columns[index].isNumber ? padding + styled : styled + padding)
        }
        return parts.joined(separator: Self.gap)
    }

    private func trimmed(_ line: String) -> String {
        var line = line
        while line.utf8.last == UInt8(ascii: " ") { line.removeLast() }
        return line
    }
}

/// Text cut in its middle, where a key, an address or a URL says least, to at most this many characters.
public func shortened(_ text: String, to width: Int) -> String {
    guard text.count > width else { return text }
    guard width > 1 else { return String(text.prefix(max(0, width))) }
    let tail = (width - 1) / 2
    return text.prefix(width - 1 - tail) + "\u{2026}" + text.suffix(tail)
}
