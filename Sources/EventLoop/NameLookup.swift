import CUV
import Glibc
import Platform

/// Looks up the addresses of a host name with the system's resolver, without blocking the loop.
public enum NameLookup {
    private final class Request {
        let completion: (Result<[SocketAddress], SystemError>) -> Void
        init(_ completion: @escaping (Result<[SocketAddress], SystemError>) -> Void) { self.completion = completion }
    }

    /// Calls `completion` once, from the loop, with the addresses in the order of RFC 6724. A numeric host is not looked up anywhere. The
    /// error's code is `ENOENT` when the name has no address, else the resolver's.
    public static func addresses(
        of host: String, port: UInt16, on loop: EventLoop, completion: @escaping (Result<[SocketAddress], SystemError>) -> Void
    ) {
        if let ip = IPAddress(host) {
            return Timer.once(on: loop, after: .zero) { completion(.success([SocketAddress(ip: ip, port: port)])) }
        }
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        let request = UnsafeMutablePointer<uv_getaddrinfo_t>.allocate(capacity: 1)
        request.initialize(to: uv_getaddrinfo_t())
        request.pointee.data = Unmanaged.passRetained(Request(completion)).toOpaque()
        let status = uv_getaddrinfo(loop.handle, request, { request, status, list in
            let completion = Unmanaged<Request>.fromOpaque(request!.pointee.data).takeRetainedValue().completion
            request!.deallocate()
            defer { uv_freeaddrinfo(list) }
            var addresses: [SocketAddress] = []
            var entry = list
            while let one = entry {
                if let address = SocketAddress(one.pointee.ai_addr), !addresses.contains(address) { addresses.append(address) }
                entry = one.pointee.ai_next
            }
            if status < 0 || addresses.isEmpty {
                let missing = status == 0 || status == UV_EAI_NONAME.rawValue || status == UV_EAI_NODATA.rawValue
                completion(.failure(SystemError(call: "getaddrinfo", code: missing ? ENOENT : EAGAIN)))
            } else {
                completion(.success(addresses))
            }
        }, host, String(port), &hints)
        if status < 0 {
            Unmanaged<Request>.fromOpaque(request.pointee.data).release()
            request.deallocate()
            completion(.failure(systemError("getaddrinfo", status)))
        }
    }
}
