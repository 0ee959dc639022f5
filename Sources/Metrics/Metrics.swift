/// Figures in Prometheus' text format, version 0.0.4.
public struct Metrics {
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    public enum Kind: String { case counter, gauge }

    public private(set) var text = ""

    private let prefix: String

    /// - Parameter prefix: What every name begins with, the program's name: `pkarr_serve`.
    public init(prefix: String) { self.prefix = prefix }

    /// Adds a figure that has one value.
    ///
    /// - Parameters:
    ///   - name: Without the prefix; a counter's ends in `_total`.
    ///   - help: One sentence.
    public mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: some BinaryInteger) {
        add(name, kind, help, [([], value)])
    }

    /// Adds a figure with a value for each of several labels.
    ///
    /// - Parameter samples: Label names and values, which have to be of a bounded number.
    public mutating func add<Value: BinaryInteger>(
        _ name: String, _ kind: Kind, _ help: String, _ samples: [(labels: [(String, String)], value: Value)]
    ) {
        text += "# HELP \(prefix)_\(name) \(help)\n# TYPE \(prefix)_\(name) \(kind.rawValue)\n"
        for sample in samples {
            let labels = sample.labels.map { "\($0.0)=\"\(Metrics.escaped($0.1))\"" }.joined(separator: ",")
            text += "\(prefix)_\(name)\(labels.isEmpty ? "" : "{\(labels)}") \(sample.value)\n"
        }
    }

    private static func escaped(_ value: String) -> String {
        var result = ""
        for character in value {
            switch character {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.append(character)
            }
        }
        return result
    }
}
