import Crypto
import Pkarr

extension SignedPacket {
    /// SHA-256 of the DNS message, in hexadecimal: two packets have the same one exactly when they say the same, whenever they were signed,
    /// and anybody can recompute it.
    public var messageHash: String { hexadecimal(sha256(message)) }
}
