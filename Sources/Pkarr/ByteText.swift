import Crypto

/// Bytes as a string of a JSON object: the text itself where the bytes are UTF-8, else `hex:` and hexadecimal digits.
enum ByteText {
    private static let prefix = "hex:"

    /// Bytes that JSON can't hold, or whose text would read as something else, take the hexadecimal form.
    static func text(_ bytes: [UInt8]) -> String {
        guard !bytes.contains(0), !bytes.starts(with: prefix.utf8), let text = String(validating: bytes, as: UTF8.self) else {
            return hexadecimalText(bytes)
        }
        return text
    }

    static func hexadecimalText(_ bytes: [UInt8]) -> String { prefix + hexadecimal(bytes) }

    /// Nil when what follows `hex:` is no hexadecimal.
    static func bytes(_ text: String) -> [UInt8]? {
        text.utf8.starts(with: prefix.utf8) ? Crypto.bytes(hexadecimal: text.dropUTF8(prefix.utf8.count)) : Array(text.utf8)
    }
}

extension String {
    fileprivate func dropUTF8(_ count: Int) -> Substring { self[utf8.index(startIndex, offsetBy: count)...] }
}
