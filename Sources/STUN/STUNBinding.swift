import Platform

extension STUNMessage {
    /// A request to be told one's own address (RFC 8489, section 6).
    ///
    /// - Parameter transaction: 12 random bytes.
    public static func bindingRequest(transaction: [UInt8]) -> STUNMessage {
        STUNMessage(.bindingRequest, transaction: transaction, hasFingerprint: true)
    }

    /// What a server answers to a datagram, statelessly and without authentication (RFC 8489, section 6.3); nil for whatever is no
    /// request. An answer is at most 40 bytes, or as long as the request if that asks for things unknown here.
    public static func answer(to datagram: [UInt8], from source: SocketAddress) -> [UInt8]? {
        guard let request = try? STUNMessage(decoding: datagram), request.kind == .bindingRequest else { return nil }
        var answer = STUNMessage(.bindingSuccess, transaction: request.transaction, hasFingerprint: request.hasFingerprint)
        let unknown = request.attributes.filter { !$0.isOptional }.map(\.type)
        if unknown.isEmpty {
            answer.attributes = [Attribute(type: AttributeType.xorMappedAddress, value: xored(source, request.transaction))]
        } else {
            answer.kind = .bindingError
            // 420, Unknown Attribute, and which.
            answer.attributes = [
                Attribute(type: AttributeType.errorCode, value: [0, 0, 4, 20]),
                Attribute(type: AttributeType.unknownAttributes, value: unknown.prefix(2).flatMap { bytes($0) }),
            ]
        }
        return answer.encoded
    }

    /// The address that a successful answer tells (14.2); nil when it tells none.
    public var mappedAddress: SocketAddress? {
        guard kind == .bindingSuccess, let value = attributes.first(where: { $0.type == AttributeType.xorMappedAddress })?.value,
            value.count == 8 && value[1] == 1 || value.count == 20 && value[1] == 2
        else { return nil }
        let key = Self.bytes(Self.cookie) + transaction
        let plain = zip(value[4...], key).map { $0 ^ $1 }
        guard let ip = IPAddress(bytes: plain) else { return nil }
        return SocketAddress(ip: ip, port: (UInt16(value[2]) << 8 | UInt16(value[3])) ^ UInt16(Self.cookie >> 16))
    }

    private static func xored(_ address: SocketAddress, _ transaction: [UInt8]) -> [UInt8] {
        let key = bytes(cookie) + transaction
        let port = bytes(address.port ^ UInt16(cookie >> 16))
        return [0, address.ip.isV6 ? 2 : 1] + port + zip(address.ip.bytes, key).map { $0 ^ $1 }
    }
}
