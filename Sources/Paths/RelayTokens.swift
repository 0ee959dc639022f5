import Iroh

/// What is shown to relays that admit whoever has it, each to those it is for.
public struct RelayTokens: Sendable {
    private var common: String?
    private var own: [RelayURL: String]

    /// One for every relay there is: only for who chooses them all.
    public init(forAll token: String?) { (common, own) = (token, [:]) }

    /// Each for one relay; others see none.
    public init(_ own: [RelayURL: String] = [:]) { (common, self.own) = (nil, own) }

    func token(for url: RelayURL) -> String? { own[url] ?? common }
}
