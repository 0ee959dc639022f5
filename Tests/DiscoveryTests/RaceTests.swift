import Crypto
import Pkarr
import Testing
@testable import Discovery

private var key: SecretKey { SecretKey(seed: [UInt8](repeating: 5, count: 32))! }

private func text(_ name: String, _ string: String) -> ResourceRecord {
    ResourceRecord(
        name: try! DomainName(owner: name, in: key.publicKey), type: .txt, timeToLive: 30, rdata: RecordData.strings([Array(string.utf8)]).rdata)
}

private func run(rounds: Int, seed: UInt64, loss: Int, publishers: Int, startsAnew: Bool, homeserver: Bool) {
    let stores = SimulatedStores(seed: seed, loss: loss)
    let gateways = (0..<publishers).map { _ in MergingPublisher(stores, key, startsAnew: startsAnew) }
    let server = StockHomeserver(stores, key)
    var served: [ResourceRecord] = []
    if homeserver {
        served = [text("@", "first")]
        server.start(served)
        stores.run([server])
    }
    for round in 0..<rounds {
        // Each has news, or the homeserver starts again, or puts its old packet.
        for (index, gateway) in gateways.enumerated() { gateway.publish([text("_\(index)", "\(round)")]) }
        if homeserver {
            if Bool.random(using: &stores.generator) {
                served = [text("@", "\(round)"), text("b", "x")].shuffled(using: &stores.generator).dropLast(round % 2) + []
                server.start(served)
            } else {
                server.putAgain()
            }
        }
        stores.run(gateways + [server])
        // Whoever is done has been told that its records are published, and a homeserver always is.
        let told = homeserver ? served : gateways.flatMap(\.records)
        #expect(Set(stores.newest!.records).isSuperset(of: told), "round \(round), seed \(seed)")
        // The next refresh of each finds what a homeserver has overwritten meanwhile.
        for gateway in gateways {
            stores.now += 300_000_000
            gateway.publish(gateway.records)
            stores.run([gateway])
        }
        let packet = stores.newest!
        let expected = Set(gateways.flatMap(\.records) + served)
        #expect(Set(packet.records) == expected, "round \(round), seed \(seed)")
        // Who signs once may be faster with merging its packet than the homeserver is with putting it.
        #expect(startsAnew || server.failedStarts == 0, "round \(round), seed \(seed)")
        if Set(packet.records) != expected { return }
        if loss == 0 { #expect(stores.nodes.allSatisfy { $0.packet == packet }) }
    }
}

@Test("two publishers that race a thousand times lose no record of each other and settle on one packet", arguments: [0, 10], [false, true])
func twoPublishers(loss: Int, startsAnew: Bool) {
    run(rounds: 250, seed: 1, loss: loss, publishers: 2, startsAnew: startsAnew, homeserver: false)
}

@Test("a homeserver that never merges always starts, and its records and those of a gateway are there again within one refresh", arguments: [0, 10])
func homeserverAndGateway(loss: Int) {
    run(rounds: 500, seed: 2, loss: loss, publishers: 1, startsAnew: false, homeserver: true)
}

@Test("three gateways and a homeserver lose nothing either", arguments: [0, 10], [false, true])
func many(loss: Int, startsAnew: Bool) {
    run(rounds: 75, seed: 3, loss: loss, publishers: 3, startsAnew: startsAnew, homeserver: true)
}
