import JSON
import Platform
import PortMapping
import Toolkit

/// Tells which protocols the router of this network speaks, and changes nothing there.
enum RouterLook {
    static func run(_ protocols: [MappingProtocol]) throws -> ExitStatus {
        let router = NetworkState.current.gateway.flatMap(Router.init)
        var isSpoken = false
        for one in protocols {
            let answer = router?.look(one) ?? .failure(MappingRefusal("there is no router"))
            var external: IPAddress?
            var reason: String?
            switch answer {
            case .success(let address): (isSpoken, external) = (true, address)
            case .failure(let refusal): reason = refusal.reason
            }
            try StandardOutput.write([
                "router": router.map { .string("\($0.address)") } ?? .null, "protocol": .string(one.rawValue), "spoken": .bool(reason == nil),
                "external": external.map { .string("\($0)") } ?? .null, "reason": reason.map(JSONValue.string) ?? .null,
            ])
        }
        return isSpoken ? .done : .unreachable
    }
}
