import Crypto
import Platform

/// Write tokens (BEP 5): given out with an answer to `get`, demanded back with `put`, so that nobody writes from an address which is
/// not his. Bound to the IP address; nothing is kept for each.
struct Tokens {
    /// BEP 5: the secret changes every five minutes and tokens of the one before are still taken.
    static let secretLifetime = Duration.seconds(300)
    private static let tokenBytes = 8

    private var secret: [UInt8]
    private var previous: [UInt8]
    private var bornAt: Instant

    init(now: Instant) {
        secret = randomBytes(20)
        previous = randomBytes(20)
        bornAt = now
    }

    mutating func token(for ip: IPAddress, now: Instant) -> [UInt8] {
        rotate(now)
        return Tokens.make(secret, ip)
    }

    mutating func isValid(_ token: [UInt8], for ip: IPAddress, now: Instant) -> Bool {
        rotate(now)
        return token == Tokens.make(secret, ip) || token == Tokens.make(previous, ip)
    }

    private mutating func rotate(_ now: Instant) {
        let age = now - bornAt
        guard age >= Tokens.secretLifetime else { return }
        previous = age < Tokens.secretLifetime * 2 ? secret : randomBytes(20)
        secret = randomBytes(20)
        bornAt = now
    }

    private static func make(_ secret: [UInt8], _ ip: IPAddress) -> [UInt8] { Array(sha1(secret + ip.bytes).prefix(tokenBytes)) }
}
