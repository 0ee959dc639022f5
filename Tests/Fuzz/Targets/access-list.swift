import FuzzSupport
import Platform
import Tunnel

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        guard let list = try? AccessList(parsing: bytes) else { return }
        var control = AccessControl(routes: [.init(HostAndPort("127.0.0.1:80")!)], list: list)
        for (key, rule) in list.rules {
            precondition(list.rule(for: key) == rule, "a list tells what it says of a key")
            let now = Instant(nanoseconds: 1_000_000_000)
            guard case .allowed(.transparent(let target), let allowance, let isCounted) = control.admit(key, alpn: nil, now: now, time: 0) else { continue }
            precondition(rule.targets.isEmpty || rule.targets.contains(target), "no other target is opened than those permitted")
            precondition(allowance == rule.bytes)
            if isCounted { control.ended(key, bytes: .max) }
        }
    }
}
