import FuzzSupport
import Homeserver

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        let configuration: HomeserverConfiguration
        do throws(ConfigurationError) { configuration = try HomeserverConfiguration(parsing: bytes) } catch {
            return precondition(!error.problems.isEmpty, "what is wrong is told")
        }
        _ = try? configuration.records()
        for (name, value) in (try? configuration.gatewaySettings()) ?? [] {
            precondition(!(name + value).utf8.contains { $0 < 0x20 }, "a setting is a line")
        }
    }
}
