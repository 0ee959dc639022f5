/// Hands one input of libFuzzer to a parser. What must never happen is a trap: a precondition or an overflow in the parser, or a
/// precondition of the target that states what has to hold about everything the parser lets through.
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int, _ parse: ([UInt8]) -> Void) -> CInt {
    parse(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
