import Crypto
import JSON
import Platform

/// Where a peer can be reached: iroh's `EndpointAddr` with the user data of its `EndpointInfo`.
public struct EndpointAddress: Hashable, Sendable {
    /// The peer's key; nobody else is talked to at these addresses.
    public var id: PublicKey
    public var relayURLs: [RelayURL]
    /// Where it takes UDP packets. Each has a port and names a host.
    public var addresses: [SocketAddress]
    /// What an application publishes beside it, at most ``longestUserData`` bytes.
    public var userData: String?

    /// Bytes of user data that iroh takes (spec/iroh-wire.md, 2.2).
    public static let longestUserData = 245

    public init(id: PublicKey, relayURLs: [RelayURL] = [], addresses: [SocketAddress] = [], userData: String? = nil) {
        self.id = id
        self.relayURLs = relayURLs
        self.addresses = addresses
        self.userData = userData
    }
}

extension EndpointAddress {
    /// Reads an `endpoint` object. Lists may be left out; a relay URL or an address that can't be used is an error.
    public init(json: JSONObject) throws(ObjectError) {
        guard let id = PublicKey(parsing: try json.string("endpoint_id")) else { throw ObjectError("endpoint_id", "not a key") }
        self.init(id: id)
        for (index, text) in try json.optionalStrings("relay_urls").enumerated() {
            guard let url = RelayURL(text) else { throw ObjectError("relay_urls[\(index)]", "not an http or https URL: \(text)") }
            relayURLs.append(url)
        }
        for (index, text) in try json.optionalStrings("addresses").enumerated() {
            guard let address = SocketAddress(text), address.isDestination else {
                throw ObjectError("addresses[\(index)]", "not an address with a port to send to: \(text)")
            }
            addresses.append(address)
        }
        if let value = json["user_data"], value != .null {
            let text = try value.string(at: "user_data")
            guard text.utf8.count <= Self.longestUserData else {
                throw ObjectError("user_data", "\(text.utf8.count) bytes, at most \(Self.longestUserData) are allowed")
            }
            userData = text
        }
    }

    /// The `endpoint` object.
    public var json: JSONObject {
        JSONObject(members: [
            ("endpoint_id", .string(id.zBase32)),
            ("relay_urls", .array(relayURLs.map { .string($0.description) })),
            ("addresses", .array(addresses.map { .string($0.description) })),
            ("user_data", userData.map(JSONValue.string) ?? .null),
        ])
    }
}

extension JSONObject {
    fileprivate func optionalStrings(_ name: String) throws(ObjectError) -> [String] {
        self[name] == nil || self[name] == .null ? [] : try strings(name)
    }
}

extension SocketAddress {
    /// Whether packets can be sent there: it has a port and is not the unspecified address.
    var isDestination: Bool { port != 0 && !ip.isUnspecified }
}
