import Platform

/// The connections by the time of what they next have to do, soonest first. Each knows its place, so that a change costs a few steps.
struct DeadlineHeap {
    private var entries: [Connection] = []

    var first: Connection? { entries.first }

    mutating func update(_ connection: Connection, to deadline: Instant) {
        let earlier = deadline < connection.deadline
        connection.deadline = deadline
        guard let index = connection.deadlineIndex else {
            entries.append(connection)
            connection.deadlineIndex = entries.count - 1
            siftUp(entries.count - 1)
            return
        }
        if earlier { siftUp(index) } else { siftDown(index) }
    }

    mutating func remove(_ connection: Connection) {
        guard let index = connection.deadlineIndex else { return }
        connection.deadlineIndex = nil
        let last = entries.removeLast()
        guard last !== connection else { return }
        entries[index] = last
        last.deadlineIndex = index
        siftUp(index)
        siftDown(last.deadlineIndex!)
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        while index > 0, entries[index].deadline < entries[(index - 1) / 2].deadline {
            swap(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < entries.count && entries[child].deadline < entries[least].deadline {
                least = child
            }
            if least == index { return }
            swap(index, least)
            index = least
        }
    }

    private mutating func swap(_ left: Int, _ right: Int) {
        entries.swapAt(left, right)
        entries[left].deadlineIndex = left
        entries[right].deadlineIndex = right
    }
}
