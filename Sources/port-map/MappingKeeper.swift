import EventLoop
import JSON
import Platform
import PortMapping
import Toolkit

/// Runs a ``PortMapper`` against the router of this network and prints what comes of it.
final class MappingKeeper {
    private var mapper: PortMapper
    private let service: Service
    private let log: Log
    private var network = NetworkState()
    private var router: Router?
    private var timer: Timer!
    private var watcher: NetworkWatcher!
    private var failure: (any Error)?

    init(_ mapper: PortMapper, on service: Service, log: Log) {
        self.mapper = mapper
        self.service = service
        self.log = log
        timer = Timer(on: service.loop) { [unowned self] in work() }
        watcher = NetworkWatcher(on: service.loop) { [unowned self] in
            guard NetworkState.current != network else { return }
            self.mapper.networkChanged(now: .now)
            work()
        }
    }

    func start() { timer.start(after: .zero) }

    /// Gives back what is mapped.
    ///
    /// - Throws: What has ended us before our time.
    func withdraw() throws {
        let events = mapper.withdraw(ask)
        if let failure { throw failure }
        for event in events { try show(event) }
    }

    private func work() {
        guard failure == nil else { return }
        let current = NetworkState.current
        if current != network || router == nil { router = current.gateway.flatMap(Router.init) }
        network = current
        let events = mapper.work(at: router?.host, now: .now, ask)
        do { for event in events { try show(event) } } catch {
            failure = error
            service.finish(.done)
        }
        timer.start(after: max(.zero, mapper.deadline - .now))
    }

    private func ask(_ request: PortMapper.Request) -> Result<MappingGrant, MappingRefusal> {
        guard let router else { return .failure(MappingRefusal("there is no router")) }
        let answer = router.ask(request)
        let words = switch answer {
        case .success(let grant): "\(grant.external) for \(grant.lifetime) s"
        case .failure(let refusal): refusal.reason
        }
        log.debug("\(request.protocol), port \(request.port): \(words)")
        return answer
    }

    private func show(_ event: PortMapper.Event) throws {
        switch event {
        case .mapped(let mapping):
            try StandardOutput.write(["mapped": [
                "internal": .string("\(mapping.internal)"), "external": .string("\(mapping.external)"),
                "protocol": .string(mapping.protocol.rawValue), "lifetime": .integer(Int64(mapping.lifetime)),
            ]])
        case .unmapped(let port, let formerly, let reason):
            try StandardOutput.write([
                "unmapped": ["port": .integer(Int64(port)), "external": formerly.map { .string("\($0.external)") } ?? .null],
                "reason": .string(reason),
            ])
        case .restarted: log.notice("the router has restarted")
        }
    }
}
