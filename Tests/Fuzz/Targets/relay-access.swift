import FuzzSupport
import IrohRelay

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        do throws(RelayAccess.SyntaxError) { _ = try RelayAccess(parsing: bytes) } catch {
            precondition((1...bytes.count + 1).contains(error.line), "a line that is there")
        }
    }
}
