import TOML

/// A table of a configuration file as it is read: what is wrong is noted, and the reading goes on, so that a person hears of all of it at once.
final class ConfigurationTable {
    private let path: String
    private let members: [String: TOMLValue]
    private let notes: ConfigurationNotes
    private var asked: Set<String> = []

    convenience init(document: TOMLValue, notes: ConfigurationNotes) { self.init(document, path: "", notes: notes) }

    private init(_ value: TOMLValue?, path: String, notes: ConfigurationNotes) {
        self.path = path
        self.notes = notes
        switch value?.content {
        case .table(let members): self.members = members
        case nil: members = [:]
        default:
            members = [:]
            notes.problem(value, "\(path): expected a table, found \(value?.typeName ?? "")")
        }
    }

    /// A table in this one; an empty one if there is none.
    func table(_ name: String) -> ConfigurationTable { ConfigurationTable(take(name), path: path(name), notes: notes) }

    /// Where a key is written.
    func place(_ name: String) -> TOMLPlace? { members[name]?.place }

    func boolean(_ name: String) -> Bool? {
        read(name, "expected true or false") { if case .boolean(let value) = $0 { value } else { nil } }
    }

    func integer(_ name: String, in range: ClosedRange<Int64>, _ unit: String) -> Int64? {
        read(name, "expected \(unit), \(range.lowerBound) to \(range.upperBound)") { content in
            if case .integer(let value) = content, range.contains(value) { value } else { nil }
        }
    }

    /// A string that `parse` understands.
    func string<Value>(_ name: String, _ expected: String, _ parse: (String) -> Value?) -> Value? {
        read(name, "expected \(expected)") { if case .string(let text) = $0 { parse(text) } else { nil } }
    }

    /// An array of strings that `parse` understands.
    func strings<Value>(_ name: String, _ expected: String, _ parse: (String) -> Value?) -> [Value]? {
        guard let value = take(name) else { return nil }
        guard case .array(let elements) = value.content else {
            note(value, name, "expected an array, found \(value.typeName)")
            return nil
        }
        return elements.compactMap { element in
            if case .string(let text) = element.content, let parsed = parse(text) { return parsed }
            note(element, name, "expected \(expected), found \(shown(element))")
            return nil
        }
    }

    /// Warns of keys that nobody has asked for: a homeserver ignores them, and who misspelt one wonders.
    func warnOfOthers() {
        for (name, value) in members where !asked.contains(name) {
            notes.warning(value.place, "\(path(name)) is not known, and ignored")
        }
    }

    func problem(_ name: String, _ message: String) { notes.problem(members[name], "\(path(name)): \(message)") }
    func warning(_ name: String, _ message: String) { notes.warning(members[name]?.place, "\(path(name)): \(message)") }

    private func read<Value>(_ name: String, _ expectation: String, _ parse: (TOMLValue.Content) -> Value?) -> Value? {
        guard let value = take(name) else { return nil }
        if let parsed = parse(value.content) { return parsed }
        note(value, name, "\(expectation), found \(shown(value))")
        return nil
    }

    private func take(_ name: String) -> TOMLValue? {
        asked.insert(name)
        return members[name]
    }

    private func note(_ value: TOMLValue, _ name: String, _ message: String) { notes.problem(value, "\(path(name)): \(message)") }

    private func path(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    private func shown(_ value: TOMLValue) -> String {
        switch value.content {
        case .string(let text): "\"\(text.prefix(100))\""
        case .integer(let number): "\(number)"
        default: value.typeName
        }
    }
}

/// What is noted while a configuration is read.
final class ConfigurationNotes {
    private(set) var problems: [ConfigurationProblem] = []
    private(set) var warnings: [ConfigurationProblem] = []

    func problem(_ value: TOMLValue?, _ message: String) { problems.append(ConfigurationProblem(place: value?.place, message: message)) }
    func warning(_ place: TOMLPlace?, _ message: String) { warnings.append(ConfigurationProblem(place: place, message: message)) }
}
