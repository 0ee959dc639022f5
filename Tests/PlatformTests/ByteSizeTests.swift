import Platform
import Testing

@Suite struct ByteSizes {
    @Test("Sizes are in powers of 1024") func powers() {
        #expect(ByteSize("4096")?.bytes == 4096)
        #expect(ByteSize("64K")?.bytes == 65536)
        #expect(ByteSize("2G")?.bytes == 2 << 30)
        #expect(ByteSize("8388607T")?.bytes == 8_388_607 << 40)
    }

    @Test("What is no size is refused", arguments: ["", "0", "K", "-1", "+1", "1 K", "1k", "1KB", "1.5M", "٣", "8388608T", "9223372036854775808"])
    func refused(_ text: String) { #expect(ByteSize(text) == nil) }
}
