#include "CTOML.h"

#include <cstdio>
#include <string_view>

namespace {

/* The parser takes some malformed documents, such as "[[[", for impossible, and asserts. */
struct Impossible {};

}  // namespace

/* With it, what is asserted would be taken for true instead. */
#undef NDEBUG
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ASSERT(condition) static_cast<void>((condition) ? 0 : throw Impossible())
#include <toml++/toml.h>

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
    toml::table root;
    try {
        root = toml::parse(std::string_view(document.bytes, document.count));
    } catch (const toml::parse_error &failure) {
        const std::string_view reason = failure.description();
        error->line = failure.source().begin.line;
        error->column = failure.source().begin.column;
        std::snprintf(error->reason, sizeof error->reason, "%.*s", static_cast<int>(reason.size()), reason.data());
        return 0;
    } catch (const Impossible &) {
        error->line = error->column = 0;
        error->reason[0] = '\0';
        return 0;
    }
    Visitor{visit, context}.walk(root, {}, root.source().begin);
    return 1;
}
