import EventLoop
import Glibc
import JSON
import Paths
import Platform
import Toolkit

/// Has port-map(1), as a child of ours, keep our ports open at the router. It ends when we do, however we end: its standard input is a
/// pipe from us.
public final class RouterPorts {
    /// A child that ended by itself is started again after this; it has no reason to.
    private static let pause: Duration = .seconds(60)

    private let driver: EndpointDriver
    private let loop: EventLoop
    private let log: Log
    private let isVerbose: Bool
    private var isStarted = false
    private let arguments: [String]
    private var child: ChildProcess?
    private var pipes: [Int32] = []
    private var watcher: Watcher?
    private var timer: Timer!
    private var parser = ObjectParser(place: "port-map")
    /// What our ports are mapped to.
    private var mapped: [UInt16: SocketAddress] = [:]

    /// Starts nothing yet.
    ///
    /// - Parameter isVerbose: Whether what the child has to say to people is shown.
    public init(for driver: EndpointDriver, on loop: EventLoop, isVerbose: Bool, log: Log) {
        self.driver = driver
        self.loop = loop
        self.isVerbose = isVerbose
        self.log = log
        let ports = driver.localAddresses.filter(Self.isBehindRouter).map(\.port)
        arguments = [siblingProgram("port-map")] + ports.flatMap { ["--udp", "\($0)"] }
        timer = Timer(on: loop) { [unowned self] in run() }
        isStarted = ports.isEmpty
    }

    /// Has the ports mapped from now on, those that are behind a router.
    public func start() {
        guard !isStarted else { return }
        isStarted = true
        run()
    }

    private static func isBehindRouter(_ address: SocketAddress) -> Bool {
        !address.ip.isV6 && (address.ip.isUnspecified || address.ip.scope == .network)
    }

    private func run() {
        do throws(SystemError) {
            let input = try makePipe()
            pipes = [input.reading, input.writing]
            let output = try makePipe()
            pipes += [output.reading, output.writing]
            child = try ChildProcess(
                on: loop, arguments, descriptors: [input.reading, output.writing, isVerbose ? STDERR_FILENO : nil]
            ) { [weak self] in self?.ended($0) }
            close(input.reading)
            close(output.writing)
            pipes = [input.writing, output.reading]
            watcher = try Watcher(on: loop, output.reading) { [unowned self] _ in read(output.reading) }
            watcher?.wait(for: .readable)
        } catch {
            closePipes()
            log.debug(error.code == ENOENT ? "there is no port-map here, so no router is asked for a port" : "port-map: \(error)")
        }
    }

    private func read(_ descriptor: Int32) {
        guard let bytes = try? readBytes(descriptor, count: 4096), !bytes.isEmpty else {
            watcher?.cancel()
            watcher = nil
            return
        }
        parser.append(bytes)
        do throws(CommandError) {
            while let line = try parser.next() { take(line.object) }
        } catch { log.debug(error.message) }
    }

    private func take(_ line: JSONObject) {
        if let mapping = line["mapped"]?.objectValue, let here = mapping.address("internal"), let there = mapping.address("external") {
            // One that a socket is bound to, and no other of this host.
            guard driver.localAddresses.contains(where: { $0.port == here.port && ($0.ip == here.ip || $0.ip == .v4(0)) }) else { return }
            mapped[here.port] = there
            log.notice("the router sends on to port \(here.port) what comes to \(there)")
        } else if let number = line["unmapped"]?.objectValue?["port"]?.integerValue, let port = UInt16(exactly: number) {
            let reason = line["reason"]?.stringValue ?? "no reason given"
            if mapped.removeValue(forKey: port) == nil {
                log.debug("the router does not map port \(port): \(reason)")
            } else {
                log.warning("the router does not map port \(port) any more: \(reason)")
            }
        }
        tell()
    }

    private func tell() { driver.candidates.mapped = mapped.sorted { $0.key < $1.key }.map(\.value) }

    private func ended(_ ending: ChildProcess.Ending) {
        log.debug("port-map ended: \(ending)")
        closePipes()
        child = nil
        mapped = [:]
        tell()
        timer.start(after: Self.pause)
    }

    private func closePipes() {
        watcher?.cancel()
        watcher = nil
        for descriptor in pipes { close(descriptor) }
        pipes = []
    }
}

extension JSONObject {
    fileprivate func address(_ name: String) -> SocketAddress? { self[name]?.stringValue.flatMap { SocketAddress($0) } }
}
