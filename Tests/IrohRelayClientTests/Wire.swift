import Crypto
import Iroh
import IrohRelay
import Platform

@testable import IrohRelayClient

let start = Instant(nanoseconds: 1_000_000_000_000)

func secret(_ seed: UInt8) -> SecretKey { SecretKey(seed: [UInt8](repeating: seed, count: 32))! }
func id(_ seed: UInt8) -> EndpointID { EndpointID(secret(seed).publicKey) }

/// A client's session and the relay's end of the same connection, without a network.
final class Wire: RelayTransport {
    let client: RelayClientSession
    private let hub: RelayHub?
    private var relay: RelaySession?
    private var toClient: [UInt8] = []
    /// Whether the relay's bytes come.
    var isOpen = true
    /// At most so many bytes come at once.
    var step = Int.max
    private(set) var events: [Event] = []
    private(set) var failure: RelayLinkFailure?

    /// An event that may be kept.
    enum Event: Equatable {
        case connected(RelayFrame.Version)
        case datagrams(RelayDatagramHeader, [UInt8])
        case endpointGone(EndpointID)
        case roundTrip(Duration)
        case superseded(Bool)
        case rateLimited
        case restarting(reconnectIn: Duration)

        init(_ event: RelayClientEvent) {
            switch event {
            case .connected(let version): self = .connected(version)
            case .datagrams(let header, let bytes): self = .datagrams(header, Array(bytes))
            case .endpointGone(let id): self = .endpointGone(id)
            case .roundTrip(let time): self = .roundTrip(time)
            case .superseded(let isSuperseded): self = .superseded(isSuperseded)
            case .rateLimited: self = .rateLimited
            case .restarting(let reconnectIn): self = .restarting(reconnectIn: reconnectIn)
            }
        }
    }

    /// - Parameter hub: The relay; without one the test itself answers.
    init(_ hub: RelayHub?, seed: UInt8 = 1, token: String? = nil, queuedBytes: Int = RelaySendLimits.queuedBytes) {
        self.hub = hub
        client = RelayClientSession(host: "relay.test", key: secret(seed), token: token, queuedBytes: queuedBytes, now: start)
        relay = hub?.open(self, from: IPAddress("192.0.2.1")!, isSecure: false, now: start)
    }

    func outputIsReady() {}
    func setReading(_ reading: Bool) {}
    func close() { relay = nil }
    func exportKeyingMaterial(label: String, context: [UInt8], count: Int) -> [UInt8]? { nil }

    /// All that the client sends now.
    func sent() -> [UInt8] {
        var bytes: [UInt8] = []
        while client.hasOutput {
            try! client.withOutput { (output: UnsafeRawBufferPointer) throws(RelayLinkFailure) in
                bytes += output.prefix(step)
                return min(step, output.count)
            }
        }
        return bytes
    }

    /// Hands bytes to the client as the relay's.
    func receive(_ bytes: some Collection<UInt8>, now: Instant = start) {
        toClient += bytes
        var offered = 0
        while failure == nil, offered < toClient.count {
            offered = min(toClient.count, offered + step)
            do throws(RelayLinkFailure) {
                var taken = 0
                var thrown: RelayLinkFailure?
                toClient.withUnsafeMutableBytes { all in
                    do throws(RelayLinkFailure) {
                        taken = try client.receive(UnsafeMutableRawBufferPointer(rebasing: all[..<offered]), now: now) { events.append(Event($0)) }
                    } catch { thrown = error }
                }
                if let thrown { throw thrown }
                toClient.removeFirst(taken)
                offered -= taken
            } catch { failure = error }
        }
    }

    /// Carries bytes both ways until nobody has anything to say.
    func exchange(now: Instant = start) {
        while let relay {
            let request = sent()
            if !request.isEmpty {
                var buffer = [UInt8](repeating: 0, count: relay.unreadCount) + request
                buffer.withUnsafeMutableBytes { buffer in
                    relay.takeUnread(buffer)
                    relay.receive(buffer, fresh: request.count, now: now)
                }
            }
            var answer: [UInt8] = []
            if isOpen {
                relay.withOutput(now: now) { bytes in
                    answer += bytes
                    return bytes.count
                }
            }
            if request.isEmpty, answer.isEmpty { return }
            receive(answer, now: now)
        }
    }

    /// Connects through the relay, and forgets how.
    @discardableResult
    func connect(now: Instant = start) -> Self {
        exchange(now: now)
        _ = news()
        return self
    }

    /// The events since the last call.
    func news() -> [Event] {
        defer { events = [] }
        return events
    }

    func vanish() { relay?.closed(.left, now: start) }
}
