import FuzzSupport

@testable import Discovery

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        let now: UInt64 = 1_800_000_000, lifetime: UInt64 = 3600
        guard let contents = JournalContents(bytes, now: now, lifetime: lifetime) else { return }
        precondition(contents.wholeBytes <= bytes.count, "nothing is cut off that is not there")
        let compacted = JournalContents(contents.compacted, now: now, lifetime: lifetime)
        precondition(compacted?.entries == contents.entries && compacted?.uselessLines == 0, "what counts is kept, and nothing else")
        // A kill while the next line is written changes nothing.
        let torn = JournalContents(contents.compacted + Array("yyyy".utf8), now: now, lifetime: lifetime)
        precondition(torn?.entries == contents.entries && torn?.wholeBytes == contents.compacted.count, "a torn line is no line")
    }
}
