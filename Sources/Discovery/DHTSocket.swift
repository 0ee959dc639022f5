import EventLoop
import Glibc
import Mainline
import Platform

/// One UDP socket with the ``Mainline/MainlineNode`` behind it.
final class DHTSocket {
    /// Datagrams taken before what they bring is checked and told, and other work gets its turn: as many answers as a look-up on a
    /// local network has under way.
    private static let mostDatagramsAtOnce = 8
    /// Room for some thousand messages: a busy node that is not scheduled for a while would lose them with the kernel's default.
    private static let receiveBuffer: Int32 = 1 << 20

    let localAddress: SocketAddress
    let node: MainlineNode
    private weak var sibling: DHTSocket?
    private var socket: Int32
    private var watcher: Watcher!
    private var timer: Timer!
    private var deadline: Instant?
    private let onEvent: (MainlineNode.Event) -> Void

    /// - Parameters:
    ///   - memory: Of an earlier run.
    ///   - sibling: The socket for the other family.
    ///   - onEvent: Never called from within a call of this object's methods except ``flush()``.
    init(
        on loop: EventLoop, at place: ListeningPlace, mode: MainlineNode.Mode, memory: NodeFiles?, sibling: DHTSocket?,
        awaitingBootstraps: Bool, onEvent: @escaping (MainlineNode.Event) -> Void
    ) throws(SystemError) {
        let descriptor = try place.udp(receiveBuffer: Self.receiveBuffer)
        localAddress = try Sockets.localAddress(descriptor.number)
        node = MainlineNode(
            mode: mode, ownAddress: localAddress, memory: memory?.load(isV6: localAddress.ip.isV6), awaitingBootstraps: awaitingBootstraps,
            sibling: sibling?.node, now: .now)
        self.onEvent = onEvent
        self.sibling = sibling
        socket = descriptor.release()
        sibling?.sibling = self
        timer = Timer(on: loop) { [unowned self] in tick() }
        do throws(SystemError) {
            watcher = try Watcher(on: loop, socket) { [unowned self] _ in receive() }
        } catch {
            Glibc.close(socket)
            socket = -1
            throw error
        }
        watcher.wait(for: .readable)
    }

    deinit { close() }

    func close() {
        guard socket >= 0 else { return }
        timer.stop()
        watcher.cancel()
        Glibc.close(socket)
        socket = -1
    }

    var isOpen: Bool { socket >= 0 }

    /// Sends what a call of the node has led to. Its events, if any, are delivered by the timer: callers don't expect them yet.
    func flushLater() {
        sendDatagrams()
        schedule(atOnce: true)
    }

    /// Sends what there is to send and tells what there is to tell.
    func flush() {
        sendDatagrams()
        let events = node.takeEvents(now: .now)
        sendDatagrams()
        for event in events { onEvent(event) }
        // What one network has named of the other leads to questions there.
        if let sibling, sibling.node.hasDatagrams { sibling.flushLater() }
        schedule(atOnce: false)
    }

    private func receive() {
        for _ in 0..<Self.mostDatagramsAtOnce {
            // An error here is an earlier datagram's (ECONNREFUSED); the node's time-out deals with that.
            guard socket >= 0, let received = try? Sockets.receiveDatagram(socket, capacity: MainlineNode.largestDatagram + 1) else { break }
            node.receive(received.bytes, from: received.source, now: .now)
            sendDatagrams()
        }
        flush()
    }

    private func tick() {
        deadline = nil
        node.advance(to: .now)
        flush()
    }

    private func sendDatagrams() {
        guard socket >= 0 else { return }
        // What the kernel refuses or has no room for is lost like any datagram on its way.
        for datagram in node.takeDatagrams() { _ = try? Sockets.sendDatagram(socket, datagram.bytes, to: datagram.destination) }
    }

    private func schedule(atOnce: Bool) {
        guard socket >= 0 else { return }
        let now = Instant.now
        guard let next = atOnce ? now : node.nextDeadline else {
            deadline = nil
            return timer.stop()
        }
        // Deadlines move with every datagram, mostly by little and mostly later: an early tick does no harm, a timer call does cost.
        if let deadline, deadline <= next { return }
        deadline = next
        timer.start(after: max(.zero, next - now))
    }
}
