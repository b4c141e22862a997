// Scanner for one JSON object that keeps the text of numbers.
#pragma once

#include <functional>
#include <string_view>

namespace sartor::datasets {

enum class JsonKind { null, boolean, number, string, object, array };

// Calls member(name, kind, text) for each member of the object in `line`. Strings are unescaped; the text of null,
// objects and arrays is empty. The views are valid during the call only. Returns false, possibly after some calls, if
// `line` is not exactly one object (RFC 8259), whitespace aside, or nests more than 200 levels. Does not check that
// strings are valid UTF-8.
bool scan_json_object(std::string_view line,
                      const std::function<void(std::string_view name, JsonKind kind, std::string_view text)>& member);

}  // namespace sartor::datasets
