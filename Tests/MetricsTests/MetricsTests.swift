import Metrics
import Testing

@Test("labels are escaped as the text format wants it")
func metricsText() {
    var metrics = Metrics(prefix: "pkarr_serve")
    metrics.add("x_total", .counter, "An x.", [([("l", "a\"b\\c\nd")], 5)])
    #expect(metrics.text == "# HELP pkarr_serve_x_total An x.\n# TYPE pkarr_serve_x_total counter\npkarr_serve_x_total{l=\"a\\\"b\\\\c\\nd\"} 5\n")
}
