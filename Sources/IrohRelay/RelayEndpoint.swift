import Iroh

/// An id that at least one session is connected with.
final class RelayEndpoint {
    let id: EndpointID
    /// In the order in which they connected: the last one is active, it gets what is sent to the id.
    private(set) var sessions: [RelaySession] = []
    /// Those that the id has sent something to, and that hear when it goes.
    private(set) var recipients: Set<EndpointID> = []
    private var latestRecipient: EndpointID?

    init(id: EndpointID) { self.id = id }

    var active: RelaySession? { sessions.last }

    func add(_ session: RelaySession) { sessions.append(session) }

    func remove(_ session: RelaySession) {
        if let index = sessions.lastIndex(where: { $0 === session }) { sessions.remove(at: index) }
    }

    func remember(recipient: EndpointID) {
        if recipient == latestRecipient { return }
        latestRecipient = recipient
        guard !recipients.contains(recipient) else { return }
        if recipients.count >= RelaySettings.rememberedRecipients { recipients.removeFirst() }
        recipients.insert(recipient)
    }
}
