import EventLoop
import Glibc
import Platform

/// Finds the addresses of a domain.
final class LookUp: Attempt {
    private var completion: ((AttemptOutcome) -> Void)?

    init(_ domain: Domain, _ caution: Caution, on loop: EventLoop, completion: @escaping (AttemptOutcome) -> Void) {
        self.completion = completion
        NameLookup.addresses(of: domain.name, port: domain.port, on: loop) { [weak self] result in
            guard let completion = self?.completion else { return }
            self?.completion = nil
            switch result {
            case .failure(let error): completion(.failed(reason: error.code == ENOENT ? "there is no such name" : "the name can't be looked up now"))
            case .success(let addresses):
                // Whoever has a domain decides what it resolves to, and a moment later something else.
                let allowed = addresses.filter { caution.allows($0.ip) }
                completion(allowed.isEmpty ? .failed(reason: Caution.reason) : .found(Array(allowed.prefix(Places.mostAddresses))))
            }
        }
    }

    func cancel() { completion = nil }
}
