#include "CTOML.h"

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <cstdio>
#include <string_view>

namespace {

keyhole_toml_text text(std::string_view string) { return {string.data(), string.size()}; }

struct Visitor {
    void (*visit)(void *, const keyhole_toml_node *);
    void *context;

    void tell(const keyhole_toml_node &node) const { visit(context, &node); }

    void walk(const toml::node &node, std::string_view key, toml::source_position place) const {
        keyhole_toml_node told{};
        told.line = place.line;
        told.column = place.column;
        told.key = text(key);
        switch (node.type()) {
        case toml::node_type::table:
            told.kind = KEYHOLE_TOML_TABLE;
            tell(told);
            for (const auto &[name, value] : *node.as_table()) walk(value, name.str(), name.source().begin);
            told.kind = KEYHOLE_TOML_END;
            break;
        case toml::node_type::array:
            told.kind = KEYHOLE_TOML_ARRAY;
            tell(told);
            for (const auto &value : *node.as_array()) walk(value, {}, value.source().begin);
            told.kind = KEYHOLE_TOML_END;
            break;
        case toml::node_type::string:
            told.kind = KEYHOLE_TOML_STRING;
            told.string = text(node.as_string()->get());
            break;
        case toml::node_type::integer:
            told.kind = KEYHOLE_TOML_INTEGER;
            told.integer = node.as_integer()->get();
            break;
        case toml::node_type::floating_point:
            told.kind = KEYHOLE_TOML_REAL;
            told.real = node.as_floating_point()->get();
            break;
        case toml::node_type::boolean:
            told.kind = KEYHOLE_TOML_BOOLEAN;
            told.integer = node.as_boolean()->get();
            break;
        default: told.kind = KEYHOLE_TOML_TIME; break;
        }
        tell(told);
    }
};

}  // namespace

int keyhole_toml_visit(keyhole_toml_text document, void (*visit)(void *, const keyhole_toml_node *), void *context,
                       keyhole_toml_error *error) {
    const toml::parse_result result = toml::parse(std::string_view(document.bytes, document.count));
    if (!result) {
        const std::string_view reason = result.error().description();
        error->line = result.error().source().begin.line;
        error->column = result.error().source().begin.column;
        std::snprintf(error->reason, sizeof error->reason, "%.*s", static_cast<int>(reason.size()), reason.data());
        return 0;
    }
    Visitor{visit, context}.walk(result.table(), {}, result.table().source().begin);
    return 1;
}
