import JSON
import Testing

@Test("a value printed and parsed again is the same, members in order")
func roundTrip() throws {
    let text = #"{"z":1,"a":[true,null,-5,1.5,"ü\n"],"m":{}}"#
    #expect(try JSONValue(parsing: text).text == text)
}

@Test("a number with few digits is printed with as few")
func realDigits() { #expect(JSONValue.real(1.953).text == "1.953") }

@Test("an error names line, column and reason")
func errorPlace() {
    #expect { try JSONValue(parsing: "{\n\"a\": nonsense}") } throws: { error in
        guard let error = error as? JSONSyntaxError else { return false }
        return error.line == 2 && error.column > 4 && !error.reason.isEmpty
    }
}

@Test("a member given twice is refused")
func duplicateMember() { #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: #"{"a":1,"a":2}"#) } }

@Test("text after the value is refused")
func trailingText() { #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: "{} x") } }

@Test("setting a member keeps its place, setting nil removes it")
func memberUpdate() {
    var object = JSONObject(members: [("a", 1), ("b", 2)])
    object["a"] = 3
    object["b"] = nil
    object["c"] = "x"
    #expect(JSONValue.object(object).text == #"{"a":3,"c":"x"}"#)
}
