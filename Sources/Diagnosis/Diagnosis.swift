import Crypto
import Discovery
import EventLoop
import Iroh
import JSON
import Paths
import Pkarr
import Platform

/// Finds out what of the way to a peer, or of the network here, works and what does not. It publishes and changes nothing.
public final class Diagnosis {
    /// What is to be diagnosed.
    public struct Question {
        /// Whose owner is to be reached; nil to look at the network only.
        public var key: PublicKey?
        /// Relays that are known beside those that the packet names.
        public var relays: [Iroh.RelayURL] = []
        /// Asked instead of the relays.
        public var stunServers: [HostAndPort] = []
        /// Whether the router is asked which protocols for opening ports it speaks.
        public var asksRouter = true
        /// Whether the peer is sent an HTTP request.
        public var isRequested = true
        /// For everything.
        public var timeout: Duration

        public init(_ key: PublicKey?, timeout: Duration) {
            self.key = key
            self.timeout = timeout
        }
    }

    private let question: Question
    private let driver: EndpointDriver
    private let report: (Finding) -> Void
    private let completion: (Facts) -> Void
    private var network: NetworkCheck!
    private var router: RouterCheck?
    private var sources: SourceCheck!
    private var peer: PeerCheck?
    private var facts = Facts()
    private var limit: Timer!
    private var areSourcesDone = false, isPeerDone = false, isOver = false

    /// - Parameters:
    ///   - sources: Where the packet is looked for.
    ///   - report: Called with each finding as soon as it is known.
    ///   - completion: Called once, never from within this call.
    public init(
        _ question: Question, over driver: EndpointDriver, sources: Sources, on loop: EventLoop, report: @escaping (Finding) -> Void,
        completion: @escaping (Facts) -> Void
    ) {
        self.question = question
        self.driver = driver
        self.report = report
        self.completion = completion
        isPeerDone = question.key == nil
        if question.key != nil { facts.peer = Facts.Peer() }
        limit = Timer(on: loop) { [unowned self] in end() }
        limit.start(after: question.timeout)
        let onProgress = { [unowned self] in
            lookAtUDP()
            endIfDone()
        }
        self.sources = SourceCheck(question.key, in: sources, on: loop, report: report) { [unowned self] in takePacket() }
        network = NetworkCheck(
            over: driver, relays: question.relays, stunServers: question.stunServers, expectsRelays: question.key != nil, on: loop,
            report: report, onProgress: onProgress)
        if question.asksRouter { router = RouterCheck(on: loop, report: report, onProgress: onProgress) }
    }

    /// Leaves the peer.
    public func close() { peer?.close() }

    private func takePacket() {
        areSourcesDone = true
        guard facts.peer != nil else { return endIfDone() }
        let endpoint = sources.packet.flatMap(readEndpoint)
        // A packet has room for more than are ever dialled.
        network.add(Array((endpoint?.relayURLs ?? []).prefix(Dialer.mostRelays)))
        guard let endpoint, !isOver else {
            isPeerDone = true
            return endIfDone()
        }
        peer = PeerCheck(endpoint, facts.peer!, over: driver, isRequested: question.isRequested, report: report) { [unowned self] in
            isPeerDone = true
            endIfDone()
        }
        lookAtUDP()
    }

    private func lookAtUDP() {
        gather()
        if facts.isUDPBlocked { peer?.giveUpDirect(because: "UDP does not get out of this network") }
    }

    /// Nil when nothing in the packet can be dialled.
    private func readEndpoint(_ packet: SignedPacket) -> EndpointAddress? {
        facts.peer!.hasPacket = true
        let count = packet.records.count
        let numbers: [(name: String, value: JSONValue)] = [("size", .integer(Int64(packet.size))), ("records", .integer(Int64(count)))]
        report(Finding(
            .packet, true, packet.details + numbers, "the newest is \(packet.age), with \(counted(count, "record", "records")) in \(packet.size) bytes"))
        let published = PublishedEndpoint(RecordSet(publicKey: packet.publicKey, records: packet.records))
        let address = published?.address ?? EndpointAddress(id: packet.publicKey)
        let warnings = published?.warnings.map(\.description) ?? []
        (facts.peer!.addresses, facts.peer!.relays) = (address.addresses.count, address.relayURLs.count)
        facts.peer!.hasEndpoint = facts.peer!.addresses + facts.peer!.relays > 0
        facts.peer!.hasBadRecords = !warnings.isEmpty
        let reason = facts.peer!.hasEndpoint ? nil : published == nil ? "no _iroh records" : "none of the _iroh records can be used"
        let list = address.addresses.map(\.description) + address.relayURLs.map(\.description)
        let words = ([reason ?? list.joined(separator: ", ")] + warnings).joined(separator: "; ")
        report(Finding(
            .endpoint, facts.peer!.hasEndpoint,
            [("endpoint", .object(address.json)), ("warnings", .array(warnings.map(JSONValue.string))), ("reason", .text(reason))], words))
        return facts.peer!.hasEndpoint ? address : nil
    }

    private func endIfDone() {
        guard !isOver, areSourcesDone, isPeerDone, network.isDone, router?.isDone != false else { return }
        facts.isComplete = true
        finish()
    }

    /// Gives the verdict on what is known.
    public func end() {
        guard !isOver else { return }
        isOver = true
        sources.end()
        network.end()
        router?.end()
        finish()
    }

    private func finish() {
        isOver = true
        limit.stop()
        gather()
        completion(facts)
    }

    private func gather() {
        (facts.v4, facts.v6, facts.relays) = (network.v4, network.v6, network.relays)
        (facts.sourcesAnswered, facts.sourcesSilent, facts.sourcesPending) = (sources.answered, sources.silent, sources.pending)
        facts.isDHTAnswered = sources.isDHTAnswered
        facts.opensPorts = router?.opensPorts == true
        if let peer { facts.peer = peer.facts }
    }
}
