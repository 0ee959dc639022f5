import EventLoop
import Glibc
import Iroh
import IrohRelay
import JSON
import Platform
import TLS
import Toolkit

/// The relay with its sockets, files and signals.
final class RunningRelay {
    /// Descriptors for everything that is no connection: standard ones, the loop's, listening sockets, files while they are read.
    private static let spareDescriptors = 64
    /// Where it listens when nothing else is said: the port of the reference relay's --dev.
    private static let defaultAddress = SocketAddress("127.0.0.1:3340")!

    private let options: QUICRelay
    private let log: Log
    private let hub: RelayHub
    private let server: RelayServer
    private let service: Service
    private var watchers: [SignalWatcher] = []
    private var isEnding = false
    private var hasSaidFull = false
    private var status: StatusReport!
    private var listening: [String: [JSONValue]] = [:]

    init(on loop: EventLoop, _ options: QUICRelay, log: Log) throws {
        self.options = options
        self.log = log
        raiseOpenFileLimit()
        var settings = RelaySettings()
        settings.connections = try Self.connections(options)
        settings.connectionsPerAddress = Int(options.connectionsPerAddress)
        settings.proxies = options.proxies
        if !options.exemptions.isEmpty { settings.exempt = options.exemptions.compactMap(\.range) }
        settings.clientRate = options.clientRate?.bytesPerSecond
        settings.totalRate = options.totalRate?.bytesPerSecond
        settings.version = toolkitVersion
        hub = RelayHub(settings, access: try options.access.map(RelayFiles.access) ?? RelayAccess())
        server = RelayServer(on: loop, hub)
        server.credentials = try Self.credentials(options)
        service = Service(on: loop, signals: [])
        hub.onEvent = { [unowned self] in report($0) }
        server.onError = { [unowned self] error in self.log.error("can't take a connection: \(error.reason)") }
        status = StatusReport(on: loop, log: log) { [unowned self] in
            let counters = hub.counters
            return "\(hub.clients) clients, \(hub.connections) connections, \(spelled(bytes: counters.relayedBytes)) passed on, "
                + "\(counters.droppedUnknown + counters.droppedFull + counters.droppedUnusable) frames dropped, \(counters.denied) clients denied, "
                + "\(counters.refused) connections refused"
        }
        try listen()
        for number in [SIGINT, SIGTERM] { watchers.append(SignalWatcher(on: loop, number) { [unowned self] in end() }) }
        watchers.append(SignalWatcher(on: loop, SIGHUP) { [unowned self] in readFilesAgain() })
    }

    func run() -> ExitStatus {
        ServiceManager.tellReady()
        return service.run()
    }

    private static func connections(_ options: QUICRelay) throws(CommandError) -> Int {
        let room = openFileLimit() - spareDescriptors
        guard let wanted = options.connections else { return max(1, min(RelaySettings().connections, room)) }
        guard Int(wanted) <= room else {
            throw CommandError(.configuration, "--connections \(wanted): the limit of open files leaves room for \(max(0, room))",
                               hint: "raise it: ulimit -n, or LimitNOFILE= in the service's unit")
        }
        return Int(wanted)
    }

    private static func credentials(_ options: QUICRelay) throws(CommandError) -> TLSCredentials? {
        guard let certificate = options.certificate, let key = options.certificateKey else { return nil }
        return try RelayFiles.credentials(certificate: certificate, key: key)
    }

    // MARK: Sockets

    /// Takes the sockets that a service manager has opened, and opens those that the options name.
    private func listen() throws {
        for socket in try ActivatedSockets.take() {
            let descriptor = FileDescriptor(owning: socket.descriptor)
            let address = try Sockets.localAddress(descriptor.number)
            switch socket.name {
            case "http": try takeConnections(descriptor, at: address, isSecure: false)
            case "https" where server.credentials != nil: try takeConnections(descriptor, at: address, isSecure: true)
            case "https": throw CommandError(.configuration, "a socket for HTTPS was handed over, but no certificate is named",
                                             hint: "--certificate FILE --certificate-key FILE")
            case "stun": try answerSTUN(descriptor, at: address)
            default: throw CommandError(.configuration, "a socket named \"\(printable(socket.name))\" was handed over",
                                        hint: "in its unit, FileDescriptorName= is http, https or stun")
            }
        }
        let http = options.http.isEmpty && options.https.isEmpty && listening.isEmpty ? [Self.defaultAddress] : options.http
        for address in http { try bind("--http", address, isSecure: false) }
        for address in options.https { try bind("--https", address, isSecure: true) }
        for address in options.stun {
            try naming("--stun", address) { () throws(SystemError) in
                let socket = try Sockets.udp(bind: address)
                let bound = try Sockets.localAddress(socket.number)
                try answerSTUN(socket, at: bound)
            }
        }
        try StandardOutput.write(.object(JSONObject(members: ["http", "https", "stun"].compactMap { name in
            listening[name].map { (name, .array($0)) }
        })))
    }

    private func bind(_ option: String, _ address: SocketAddress, isSecure: Bool) throws(CommandError) {
        try naming(option, address) { () throws(SystemError) in
            let socket = try Sockets.tcpListener(bind: address)
            let bound = try Sockets.localAddress(socket.number)
            try takeConnections(socket, at: bound, isSecure: isSecure)
        }
    }

    private func takeConnections(_ socket: consuming FileDescriptor, at address: SocketAddress, isSecure: Bool) throws(SystemError) {
        try server.listen(socket, isSecure: isSecure)
        let scheme = isSecure ? "https" : "http"
        listening[scheme, default: []].append(.string("\(scheme)://\(address)"))
    }

    private func answerSTUN(_ socket: consuming FileDescriptor, at address: SocketAddress) throws(SystemError) {
        try server.answerSTUN(socket)
        listening["stun", default: []].append(.string("\(address)"))
    }

    private func naming(_ option: String, _ address: SocketAddress, _ body: () throws(SystemError) -> Void) throws(CommandError) {
        do throws(SystemError) { try body() } catch {
            throw CommandError(.configuration, "\(option) \(address): \(error.reason)")
        }
    }

    // MARK: Signals

    private func end() {
        // Told twice, it does not wait any longer.
        if isEnding { return service.finish(.done) }
        isEnding = true
        ServiceManager.tellStopping()
        log.notice("told to end; \(hub.clients) clients are told to come back")
        server.drain { [unowned self] in service.finish(.done) }
    }

    /// What is wrong with a file is said, and the relay goes on with what it had.
    private func readFilesAgain() {
        do throws(CommandError) {
            if let path = options.access { hub.access = try RelayFiles.access(path) }
            if let credentials = try Self.credentials(options) { server.credentials = credentials }
        } catch {
            log.error("\(error.message); the relay goes on with what it had", hint: error.hint)
            return
        }
        hub.enforceAccess(now: .now)
        log.notice("the access list and the certificate have been read again")
    }

    private func report(_ event: RelayEvent) {
        switch event {
        case .connected(let id, let address, let version): log.debug("\(id) connected from \(address), version \(version.rawValue)")
        case .gone(let id, let address, let ending): log.debug("\(id) from \(address) is gone: \(ending)")
        case .denied(let id, let address, let reason): log.notice("denied to \(id) from \(address): \(reason)")
        case .refused(nil):
            if !hasSaidFull { log.warning("all \(hub.settings.connections) connections are taken; more are refused", hint: "--connections") }
            hasSaidFull = true
        case .refused(let address?):
            log.debug("\(address) has its \(hub.settings.connectionsPerAddress) connections; another one is refused")
        }
    }
}
