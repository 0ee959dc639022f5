import ArgumentParser
import Crypto
import Platform

extension SocketAddress: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

extension HostAndPort: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

extension PublicKey: ExpressibleByArgument {
    public init?(argument: String) { self.init(parsing: argument) }
}

extension AddressRange: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

/// A range of addresses, or `none`: what an option takes whose default is some.
public struct ExemptionArgument: ExpressibleByArgument, Sendable {
    /// Nil for none.
    public var range: AddressRange?

    public init?(argument: String) {
        if argument == "none" { return }
        guard let range = AddressRange(argument) else { return nil }
        self.range = range
    }
}
