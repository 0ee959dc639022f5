import CSodium

/// The 32-letter encodings in use around pkarr and iroh: five bits a letter, most significant first, no padding.
public struct Base32Alphabet: Sendable {
    private let letters: [UInt8]
    private let values: [UInt8]

    private init(_ letters: StaticString) {
        self.letters = letters.withUTF8Buffer(Array.init)
        var values = [UInt8](repeating: 0xff, count: 256)
        for (value, letter) in self.letters.enumerated() { values[Int(letter)] = UInt8(value) }
        self.values = values
    }

    /// z-base-32: DNS labels of pkarr keys.
    public static let zBase32 = Base32Alphabet("ybndrfg8ejkmcpqxot1uwisza345h769")
    /// RFC 4648 in lower case: endpoint tickets.
    public static let rfc4648LowerCase = Base32Alphabet("abcdefghijklmnopqrstuvwxyz234567")

    public func encode(_ bytes: some Collection<UInt8>) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count * 8 + 4) / 5)
        var pending: UInt32 = 0
        var bits = 0
        for byte in bytes {
            pending = pending << 8 | UInt32(byte)
            bits += 8
            while bits >= 5 {
                bits -= 5
                text.append(letters[Int(pending >> UInt32(bits) & 31)])
            }
        }
        if bits > 0 { text.append(letters[Int(pending << UInt32(5 - bits) & 31)]) }
        return String(decoding: text, as: UTF8.self)
    }

    /// Nil for a letter outside the alphabet, for a length no bytes encode to, and when the spare bits at the end are not zero, so
    /// that one value has one text.
    public func decode(_ text: some StringProtocol) -> [UInt8]? {
        var bytes: [UInt8] = []
        var pending: UInt32 = 0
        var bits = 0
        for letter in text.utf8 {
            let value = values[Int(letter)]
            if value == 0xff { return nil }
            pending = (pending << 5 | UInt32(value)) & 0xfff
            bits += 5
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: pending >> UInt32(bits)))
            }
        }
        guard bits < 5, pending & (1 << UInt32(bits) - 1) == 0 else { return nil }
        return bytes
    }
}

/// Lower-case hexadecimal.
public func hexadecimal(_ bytes: some Collection<UInt8>) -> String {
    func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x61 + value - 10 }
    return String(unsafeUninitializedCapacity: bytes.count * 2) { text in
        var end = 0
        for byte in bytes {
            text[end] = digit(byte >> 4)
            text[end + 1] = digit(byte & 15)
            end += 2
        }
        return end
    }
}

/// Reads hexadecimal of either case; nil for an odd number of digits or anything else.
public func bytes(hexadecimal text: some StringProtocol) -> [UInt8]? {
    var bytes: [UInt8] = []
    var high: UInt8?
    for character in text.utf8 {
        let digit: UInt8
        switch character {
        case 0x30...0x39: digit = character - 0x30
        case 0x41...0x46: digit = character - 0x41 + 10
        case 0x61...0x66: digit = character - 0x61 + 10
        default: return nil
        }
        if let first = high {
            bytes.append(first << 4 | digit)
            high = nil
        } else {
            high = digit
        }
    }
    return high == nil ? bytes : nil
}

/// Base64 with padding (RFC 4648, section 4).
public func base64(_ bytes: [UInt8]) -> String { encoded(bytes, sodium_base64_VARIANT_ORIGINAL) }

/// Reads padded base64; nil for anything else, also for characters after the end.
public func bytes(base64 text: String) -> [UInt8]? { decoded(text, sodium_base64_VARIANT_ORIGINAL) }

/// Base64 for URLs, without padding (RFC 4648, section 5).
public func base64URL(_ bytes: [UInt8]) -> String { encoded(bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING) }

/// Reads base64 for URLs without padding; nil for anything else.
public func bytes(base64URL text: String) -> [UInt8]? { decoded(text, sodium_base64_VARIANT_URLSAFE_NO_PADDING) }

private func encoded(_ bytes: [UInt8], _ variant: Int32) -> String {
    let capacity = sodium_base64_encoded_len(bytes.count, variant)
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: capacity) { buffer in
        sodium_bin2base64(buffer.baseAddress!, capacity, bytes, bytes.count, variant)
        return String(cString: buffer.baseAddress!)
    }
}

private func decoded(_ text: String, _ variant: Int32) -> [UInt8]? {
    let characters = Array(text.utf8)
    var count = 0
    var failed = false
    let bytes = [UInt8](unsafeUninitializedCapacity: characters.count / 4 * 3 + 3) { buffer, initialized in
        characters.withUnsafeBytes { raw in
            let status = sodium_base642bin(
                buffer.baseAddress!, buffer.count, raw.bindMemory(to: CChar.self).baseAddress, raw.count, nil, &count, nil, variant)
            failed = status != 0
        }
        initialized = failed ? 0 : count
    }
    return failed ? nil : bytes
}
