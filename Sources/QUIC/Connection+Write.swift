import CQUIC
import Glibc
import Platform

/// Memory in which packets of one batch are laid out one after the other, ready for UDP segmentation offload.
final class PacketBuffer {
    /// A batch is one UDP datagram to the kernel until it is cut: 65535 bytes less headers, and at most 64 pieces.
    static let batchSize = 65000
    static let batchPackets = 64

    let bytes: UnsafeMutableRawPointer

    init() { bytes = .allocate(byteCount: Self.batchSize + keyhole_quic_packet_capacity, alignment: 64) }

    deinit { bytes.deallocate() }
}

extension Connection {
    /// Batches written for one connection before others get their turn.
    private static let batchesPerTurn = 8
    /// Intervals shorter than the timer can measure are not paced: what the pacer would spread over less than this is sent at once.
    private static let pacingGrain = 1_000_000.0
    /// Nothing is held back for longer. A round trip that an interruption was part of is measured as long as that was, and would stop all
    /// sending for as long again.
    private static let longestPause = 100_000_000.0

    /// How a turn of writing ended.
    enum Turn {
        /// All was written that may be now.
        case done
        /// There may be more.
        case more
        /// The sink is full.
        case full
        case failed(Int32)
    }

    /// Packets of equal size on one path, laid out and not yet sent.
    private struct Batch {
        var start = 0
        var length = 0
        var segment = 0
        var packets = 0
        var name: UInt64 = 0
        var ecn: UInt8 = 0

        func takes(_ size: Int, _ written: keyhole_quic_written) -> Bool {
            packets == 0 || size <= segment && packets < PacketBuffer.batchPackets && name == written.name && ecn == written.ecn
        }

        /// A packet shorter than the others ends a batch.
        var isClosed: Bool { packets > 0 && length < segment * packets }
    }

    /// Writes what may be sent, batch by batch.
    func write(_ buffer: PacketBuffer, to sink: any DatagramSink, now: Instant) -> Turn {
        (unanswered, ungranted) = (0, 0)
        defer {
            pace(noteWritten(now: now), now)
        }
        for _ in 0..<Self.batchesPerTurn {
            var batch = Batch()
            var isDone = false
            while batch.start + batch.length + batch.segment <= PacketBuffer.batchSize {
                let offset = batch.start + batch.length
                let written = writePacket(buffer.bytes + offset, now)
                if written.packet < 0 { return .failed(Int32(written.packet)) }
                if written.packet == 0 {
                    isDone = true
                    break
                }
                if batch.isClosed || !batch.takes(written.packet, written) {
                    guard flush(batch, buffer, sink) else {
                        // The packet just written is part of the connection's state; it must not be forgotten.
                        _ = flush(Batch(start: offset, length: written.packet, segment: written.packet, packets: 1,
                                        name: written.name, ecn: written.ecn), buffer, sink)
                        return .full
                    }
                    batch = Batch(start: offset)
                }
                if batch.packets == 0 { (batch.segment, batch.name, batch.ecn) = (written.packet, written.name, written.ecn) }
                batch.length += written.packet
                batch.packets += 1
            }
            guard flush(batch, buffer, sink) else { return .full }
            if isDone { return .done }
        }
        return .more
    }

    /// Writes one packet, filled with as many streams as have something to send. A size of 0: nothing can be sent now.
    private func writePacket(_ destination: UnsafeMutableRawPointer, _ now: Instant) -> keyhole_quic_written {
        let capacity = keyhole_quic_packet_capacity
        let memory = destination.assumingMemoryBound(to: UInt8.self)
        while true {
            guard let stream = sendList.first else {
                return keyhole_quic_write(handle, memory, capacity, -1, nil, 0, false, false, now.nanoseconds)
            }
            guard stream.hasSomethingToSend else {
                takeTurn(stream, isBlocked: false)
                continue
            }
            let written = withUnsafeTemporaryAllocation(of: iovec.self, capacity: 4) { vectors in
                let count = stream.sending.fill(vectors, fromCursor: true)
                let all = vectors[..<count].reduce(0) { $0 + $1.iov_len } == stream.sending.unsent
                return keyhole_quic_write(handle, memory, capacity, stream.id, vectors.baseAddress, count,
                                          all && stream.finishesAfterUnsent, true, now.nanoseconds)
            }
            if written.consumed >= 0 { stream.sent(written.consumed, fin: stream.finishesAfterUnsent) }
            let code = Int32(written.packet)
            if code == keyhole_quic_write_more || written.packet >= 0 {
                takeTurn(stream, isBlocked: false)
                if code == keyhole_quic_write_more { continue }
                return written
            }
            guard code == keyhole_quic_stream_blocked || code == keyhole_quic_stream_shut else { return written }
            takeTurn(stream, isBlocked: true)
        }
    }

    /// The stream goes to the end of the list, or off it when it has nothing more to send or may not.
    private func takeTurn(_ stream: Stream, isBlocked: Bool) {
        if stream.hasSomethingToSend && !isBlocked {
            if sendList.count > 1 { sendList.append(sendList.removeFirst()) }
        } else {
            sendList.removeFirst()
            stream.isInSendList = false
        }
    }

    private func flush(_ batch: Batch, _ buffer: PacketBuffer, _ sink: any DatagramSink) -> Bool {
        guard batch.packets > 0 else { return true }
        unpaced += batch.length
        guard let path = names.path(named: batch.name) else { return true }
        return sink.send(UnsafeRawBufferPointer(start: buffer.bytes + batch.start, count: batch.length), segmentSize: batch.segment,
                         on: path, ecn: batch.ecn)
    }

    /// Lets the pacer hold back the next packets, if the bytes sent since it last did would take long enough at its rate of 1.25
    /// congestion windows a round trip (RFC 9002, 7.7). Before a round trip is measured its guess of one would stall the handshake
    /// (spec/quic-interop.md, "Traps" 1), and the first window on another path.
    private func pace(_ statistics: keyhole_quic_statistics, _ now: Instant) {
        guard isConfirmed, statistics.latest_rtt > 0 else {
            // All this has had its round trip when the pacer is first told, and is not to be waited for once more.
            unhurried = unpaced
            return
        }
        let perByte = Double(statistics.smoothed_rtt) / max(1, Double(statistics.congestion_window) * 1.25)
        let interval = Double(unpaced) * perByte
        let pause = min(Double(unpaced - unhurried) * perByte, Self.longestPause)
        guard pause >= Self.pacingGrain else { return }
        // The pacer counts all bytes since it was last told, and waits from the time that it is told on, which can't be before the machine was
        // started. ngtcp2 1.x can't be told the past: then it is told nothing until the pause is short enough.
        let excess = UInt64(min(interval - pause, Double(now.nanoseconds)))
        guard keyhole_quic_paced(handle, now.nanoseconds, excess) || interval <= Self.longestPause && keyhole_quic_paced(handle, now.nanoseconds, 0)
        else { return }
        (unpaced, unhurried) = (0, 0)
    }
}
