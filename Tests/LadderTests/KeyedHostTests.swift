import Crypto
import Testing

@testable import Ladder

@Suite struct KeyedHostTests {
    static let key = "8pinxxgqs41n4aididenw5apqp1urfmzdztr8jt4abrkdn435ewo"

    @Test func namesAreKeysOrUsersKeys() throws {
        let expected = try #require(PublicKey(zBase32: Self.key))
        for name in [Self.key, Self.key.uppercased(), "\(Self.key)."] { #expect(KeyedHost(name) == KeyedHost(expected)) }
        for name in ["_pubky.\(Self.key)", "_PUBKY.\(Self.key)."] { #expect(KeyedHost(name) == KeyedHost(expected, isUser: true)) }
        #expect(KeyedHost("_pubky.\(Self.key)")?.name == "_pubky.\(Self.key)")
    }

    @Test func otherNamesAreNone() {
        let others = [
            "", ".", "localhost", "example.com", "\(Self.key)..", ".\(Self.key)", "\(Self.key):6287", "www.\(Self.key)", "\(Self.key).example.com",
            "_pubky._pubky.\(Self.key)", "_pubky\(Self.key)", "_pubky.", "pk:\(Self.key)", "\(Self.key.dropLast())0", "\(Self.key)\0",
            String(repeating: Self.key, count: 40_000),
        ]
        for name in others { #expect(KeyedHost(name) == nil) }
    }
}
