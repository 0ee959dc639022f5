import CTOML

extension TOMLValue {
    /// Reads a document: a table.
    public init(parsing document: [UInt8]) throws(TOMLSyntaxError) {
        let tree = Tree()
        var failure = keyhole_toml_error()
        let isRead = document.withUnsafeBytes { bytes in
            keyhole_toml_visit(
                keyhole_toml_text(bytes: bytes.baseAddress?.assumingMemoryBound(to: CChar.self), count: bytes.count),
                { context, node in Unmanaged<Tree>.fromOpaque(context!).takeUnretainedValue().take(node!.pointee) },
                Unmanaged.passUnretained(tree).toOpaque(), &failure)
        }
        guard isRead != 0, let root = withExtendedLifetime(tree, { $0.root }) else {
            let words = withUnsafeBytes(of: &failure.reason) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            throw TOMLSyntaxError(place: TOMLPlace(line: Int(failure.line), column: Int(failure.column)), reason: Self.reason(words))
        }
        self = root
    }

    /// The library's words without what stands there instead, which may be half a password.
    private static func reason(_ words: String) -> String {
        let quoted = ", saw '".utf8
        var end = words.utf8.startIndex
        while end < words.utf8.endIndex, !words.utf8[end...].starts(with: quoted) { words.utf8.formIndex(after: &end) }
        let reason = words[..<end]
        return reason.isEmpty ? "no TOML; perhaps there is a bracket or a quote too many" : reason.prefix(1).lowercased() + reason.dropFirst()
    }
}

/// Puts the nodes together again that the library tells one by one.
private final class Tree {
    private(set) var root: TOMLValue?
    /// The tables and arrays that have begun, each with its name in the one before.
    private var open: [(name: String, value: TOMLValue)] = []

    func take(_ node: keyhole_toml_node) {
        let place = TOMLPlace(line: Int(node.line), column: Int(node.column))
        let name = text(node.key)
        switch node.kind {
        case KEYHOLE_TOML_TABLE: open.append((name, TOMLValue(.table([:]), at: place)))
        case KEYHOLE_TOML_ARRAY: open.append((name, TOMLValue(.array([]), at: place)))
        case KEYHOLE_TOML_END:
            let (name, value) = open.removeLast()
            add(value, name)
        case KEYHOLE_TOML_STRING: add(TOMLValue(.string(text(node.string)), at: place), name)
        case KEYHOLE_TOML_INTEGER: add(TOMLValue(.integer(node.integer), at: place), name)
        case KEYHOLE_TOML_REAL: add(TOMLValue(.real(node.real), at: place), name)
        case KEYHOLE_TOML_BOOLEAN: add(TOMLValue(.boolean(node.integer != 0), at: place), name)
        default: add(TOMLValue(.time, at: place), name)
        }
    }

    private func add(_ value: TOMLValue, _ name: String) {
        guard let last = open.indices.last else {
            root = value
            return
        }
        switch open[last].value.content {
        case .table(var members):
            // The other reference has to go first: changing in place costs nothing then.
            open[last].value.content = .time
            members[name] = value
            open[last].value.content = .table(members)
        case .array(var elements):
            open[last].value.content = .time
            elements.append(value)
            open[last].value.content = .array(elements)
        default: preconditionFailure("only tables and arrays begin")
        }
    }

    private func text(_ text: keyhole_toml_text) -> String {
        String(decoding: UnsafeRawBufferPointer(start: text.bytes, count: text.count), as: UTF8.self)
    }
}
