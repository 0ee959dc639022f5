import CQUIC

/// The functions that CQUIC calls, each handing on to the Swift object behind its pointer.
enum Handlers {
    // Immutable after it is made, so any thread may read it.
    nonisolated(unsafe) static let table: UnsafePointer<keyhole_quic_handlers> = {
        let table = UnsafeMutablePointer<keyhole_quic_handlers>.allocate(capacity: 1)
        table.initialize(to: keyhole_quic_handlers(
            cid_issued: { owner, id in
                let connection = connection(owner)
                connection.endpoint.register(ConnectionID(id!.pointee), for: connection)
            },
            cid_retired: { owner, id in
                let connection = connection(owner)
                connection.endpoint.retire(ConnectionID(id!.pointee), of: connection)
            },
            handshake_completed: { connection($0).handshakeCompleted() },
            handshake_confirmed: { connection($0).handshakeConfirmed() },
            stream_opened: { connection($0).streamOpened($1) },
            stream_data: { owner, stream, _, bytes, count, fin in
                Handlers.stream(stream)?.arrived(UnsafeRawBufferPointer(start: bytes, count: count), fin: fin)
            },
            stream_acked: { _, stream, count in Handlers.stream(stream)?.acknowledged(count) },
            stream_unblocked: { owner, stream in if let stream = Handlers.stream(stream) { connection(owner).wantsToSend(stream) } },
            stream_reset: { _, stream, code in Handlers.stream(stream)?.resetByPeer(code) },
            stream_stop_sending: { _, stream, code in Handlers.stream(stream)?.stoppedByPeer(code) },
            stream_closed: { owner, _, id, _, _ in connection(owner).streamClosed(id) },
            streams_allowed: { connection($0).pendingStreamsAllowed = true },
            path_validated: { connection($0).pathValidated($1, success: $2) }))
        return UnsafePointer(table)
    }()

    private static func connection(_ owner: UnsafeMutableRawPointer?) -> Connection {
        Unmanaged<Connection>.fromOpaque(owner!).takeUnretainedValue()
    }

    private static func stream(_ pointer: UnsafeMutableRawPointer?) -> Stream? {
        pointer.map { Unmanaged<Stream>.fromOpaque($0).takeUnretainedValue() }
    }
}
