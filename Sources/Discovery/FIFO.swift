/// A queue whose first element goes at a constant cost.
struct FIFO<Element>: Sequence {
    private var elements: [Element?] = []
    private var head = 0

    var count: Int { elements.count - head }
    var isEmpty: Bool { count == 0 }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func removeFirst() -> Element {
        let element = elements[head]!
        elements[head] = nil
        head += 1
        // Each element is moved at most once for every one that has gone.
        if head * 2 > elements.count {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }

    func makeIterator() -> some IteratorProtocol<Element> { elements[head...].lazy.compactMap(\.self).makeIterator() }
}
