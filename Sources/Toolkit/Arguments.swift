import ArgumentParser
import Crypto
import Platform

extension SocketAddress: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

extension PublicKey: ExpressibleByArgument {
    public init?(argument: String) { self.init(parsing: argument) }
}
