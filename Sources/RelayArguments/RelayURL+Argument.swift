import ArgumentParser
import Iroh

extension RelayURL: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}
