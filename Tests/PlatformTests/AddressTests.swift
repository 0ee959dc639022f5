import Platform
import Testing

@Test("addresses print as they are read", arguments: ["1.2.3.4:80", "[::1]:65535", "[2001:db8::7]:0"])
func socketAddressText(_ text: String) { #expect(SocketAddress(text)?.description == text) }

@Test("anything but a literal address and a port is refused",
      arguments: ["", ":", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:+1", "::1:80", "[1.2.3.4]:80", "host:80", "[fe80::1%lo]:80", "01.2.3.4:5", "1.2.3.4\0:5"])
func notASocketAddress(_ text: String) { #expect(SocketAddress(text) == nil) }

@Test("the kernel's form and ours are the same address", arguments: ["127.0.0.1:6881", "[2001:db8:1:2:3:4:5:6]:443"])
func kernelForm(_ text: String) {
    let address = SocketAddress(text)!
    #expect(address.withSockaddr { raw, _ in SocketAddress(raw) } == address)
}

@Test("an IPv4-mapped address is the IPv4 address")
func mapped() { #expect(IPAddress("::ffff:1.2.3.4")?.unmapped == IPAddress("1.2.3.4")) }
