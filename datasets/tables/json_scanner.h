// One JSON object, member by member, with numbers as they are written.
#pragma once

#include <functional>
#include <string_view>

namespace sartor::datasets {

enum class JsonKind { null, boolean, number, string, object, array };

// Calls member(name, kind, text) for each member of the object that is all of `line`, but for whitespace around it. The
// text of strings is unescaped, that of null, objects and arrays is empty. Both views hold during the call. Returns
// false, possibly after some calls, where `line` is not exactly one object as RFC 8259 has it, or nests deeper than
// 200 values. Whether strings are UTF-8 is not looked at.
bool scan_json_object(std::string_view line,
                      const std::function<void(std::string_view name, JsonKind kind, std::string_view text)>& member);

}  // namespace sartor::datasets
