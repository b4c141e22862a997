// Canonical form of chat templates, so that templates that differ only in spelling can be compared.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sartor::text {

// Rewrites a Jinja template so that these differences disappear: comments, whitespace inside tags, whitespace control
// (with trim_blocks and lstrip_blocks, as in transformers), quotes and escapes of strings, message['role'] or
// message.role, and text, {{ 'text' }} or {{ 'te' + 'xt' }}. The result renders the same texts. nullopt if a tag or a
// string has no end or a string has an unusual escape. Accepts any bytes.
std::optional<std::string> canonical_template(std::string_view jinja);

}  // namespace sartor::text
