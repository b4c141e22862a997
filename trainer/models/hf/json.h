// JSON from outside, read with limits: files of a model folder are hostile until parsed.
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
  size_t bytes = size_t{16} << 20;  // of the text
  size_t values =
      size_t{1} << 20;  // in the whole document: what one costs in memory does not depend on the text's size
  int depth = 32;       // arrays and objects inside each other
};

// Parses a whole document. `source` is the file's name, for messages. Throws std::invalid_argument, in one line with
// the byte where it fails, on text that is no JSON or no UTF-8, on a key that an object has twice, and past a limit.
Json parse_json(std::string_view text, const std::string& source, const JsonLimits& limits = {});

// Reads and parses a file. A file that is missing is std::invalid_argument too.
Json read_json(const std::filesystem::path& path, const JsonLimits& limits = {});

// "an object", "a string", ...: for messages.
std::string_view kind_of(const Json& value);

}  // namespace sartor::hf
