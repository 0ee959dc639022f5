/// Handlers that hear of events until they are taken out.
struct Observers<Event> {
    private var handlers: [Int: (Event) -> Void] = [:]
    private var last = 0

    /// - Returns: What to take it out by.
    mutating func add(_ handler: @escaping (Event) -> Void) -> Int {
        last += 1
        handlers[last] = handler
        return last
    }

    mutating func remove(_ observer: Int) { handlers[observer] = nil }

    /// In no particular order. One that is taken out meanwhile may be called once more.
    func tell(_ event: Event) { for handler in handlers.values { handler(event) } }
}
