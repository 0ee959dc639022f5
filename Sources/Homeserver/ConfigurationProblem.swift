import TOML

/// What is wrong with a configuration, or strange about it.
public struct ConfigurationProblem: Error, Hashable, CustomStringConvertible {
    /// Nil for what is missing.
    public var place: TOMLPlace?
    /// With the name of the key: lower case, no full stop.
    public var message: String

    public var description: String { place.map { "\($0): \(message)" } ?? message }
}

/// All that is wrong with a configuration, in the order of its lines.
public struct ConfigurationError: Error, Hashable {
    public var problems: [ConfigurationProblem]
}
