// Reading of untrusted JSON, such as files of a model folder, with limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sartor::hf {

using Json = nlohmann::json;

struct JsonLimits {
  size_t bytes = size_t{16} << 20;  // size of the text
  size_t values = size_t{1} << 20;  // number of values in the document; limits memory
  int depth = 32;                   // nesting of arrays and objects
};

// Parses a document. `source` is the file name for messages. Throws std::invalid_argument with the byte position if the
// text is not valid JSON or UTF-8, an object has a duplicate key, or a limit is exceeded.
Json parse_json(std::string_view text, const std::string& source, const JsonLimits& limits = {});

// Reads and parses a file. Also throws std::invalid_argument if it cannot be read.
Json read_json(const std::filesystem::path& path, const JsonLimits& limits = {});

// Kind of a value for messages: "an object", "a string", ...
std::string_view kind_of(const Json& value);

}  // namespace sartor::hf
