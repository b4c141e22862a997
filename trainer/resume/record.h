// The record of a run or a job: a JSON file that says what it is made of, so that --resume continues the same only.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "schema/document.h"

namespace sartor {

using Record = nlohmann::ordered_json;

// One line, or several with an indentation. Ends with a newline; broken UTF-8 is replaced by U+FFFD.
std::string to_text(const Record& json, int indent = -1);

// Throws std::invalid_argument that names the file if it is not a JSON object.
Record read_record(const std::filesystem::path& path);

// Gives the record to `take`, whose failures (a field is missing or of another type) are said of the file, too.
void read_record(const std::filesystem::path& path, const std::function<void(const Record&)>& take);

// Writes the file atomically.
void write_record(const std::filesystem::path& path, const Record& record);

// The id of the launch that wrote the record last: that of its newest start, where it lists its starts, else its own.
// Empty if it names none.
std::string last_launch(const Record& record);

// Whether the config of a `work` ("run", "job") has changed since it began. Throws std::invalid_argument if a field has
// that is neither in `may_change` nor in a section that is.
bool config_changed(std::string_view work, const YamlNode& before, const YamlNode& now,
                    const std::vector<std::string>& may_change);

}  // namespace sartor
