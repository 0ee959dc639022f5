import Glibc

/// What was given, else what a variable of the environment lists between commas, else the default.
///
/// - Throws: ``CommandError``, status 78, for a part of the variable that can't be read.
public func chosen<Value>(
    _ given: [Value], _ variable: String, _ expected: String, default standard: [Value], _ parse: (Substring) -> Value?
) throws(CommandError) -> [Value] {
    if !given.isEmpty { return given }
    guard let text = getenv(variable).map({ String(cString: $0) }) else { return standard }
    var values: [Value] = []
    for part in text.split(separator: ",") {
        let trimmed = part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()
        guard let value = parse(Substring(String(trimmed))) else {
            throw CommandError(.configuration, "\(variable): \"\(printable(String(part)))\" is not \(expected)")
        }
        values.append(value)
    }
    return values
}
