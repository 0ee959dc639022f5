import ArgumentParser
import Glibc
import PublicationState
import Toolkit

/// Where a command remembers between runs.
public struct StateOptions: ParsableArguments {
    @Option(help: ArgumentHelp(
        "Remember between runs in this directory (default: STATE_DIRECTORY, as systemd sets it, else nothing is remembered).", valueName: "DIR"))
    public var state: String?

    public init() {}

    /// The directory, made if need be; nil when nothing is to be remembered.
    ///
    /// - Throws: ``CommandError``: status 77 when it may not be used, 78 when it can't.
    public func open() throws(CommandError) -> StateDirectory? {
        // systemd separates several with colons.
        let given = getenv("STATE_DIRECTORY").flatMap { String(cString: $0).split(separator: ":").first.map(String.init) }
        guard let path = state ?? given else { return nil }
        guard !path.isEmpty else { throw CommandError(.usage, "--state has to name a directory") }
        do throws(StateError) { return try StateDirectory(path) } catch { throw CommandError(error) }
    }
}

extension CommandError {
    public init(_ error: StateError) {
        switch error {
        case .system(_, let system) where [EACCES, EPERM, EROFS].contains(system.code): self.init(.permission, "\(error)")
        case .system: self.init(.configuration, "\(error)")
        case .damaged(let path, _):
            self.init(.configuration, "\(error)", hint: "remove it, if this key has not been published for a while: rm \(path)")
        case .busy: self.init(.tryAgain, "\(error)", hint: "let it finish, or end it")
        }
    }
}
