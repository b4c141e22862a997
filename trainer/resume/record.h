// The record of a run or job: a JSON file with its inputs, which --resume compares with the current ones.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "schema/document.h"
#include "schema/recorded_config.h"

namespace sartor {

using Record = nlohmann::ordered_json;

// JSON on one line, or on several if indent >= 0, with a final newline. Invalid UTF-8 is replaced by U+FFFD.
std::string to_text(const Record& json, int indent = -1);

// Throws std::invalid_argument that names the file if it is not a JSON object.
Record read_record(const std::filesystem::path& path);

// Calls `take` with the record. If `take` fails because a field is missing or has another type, throws
// std::invalid_argument that names the file.
void read_record(const std::filesystem::path& path, const std::function<void(const Record&)>& take);

// Writes the file atomically.
void write_record(const std::filesystem::path& path, const Record& record);

// Id of the launch that last wrote the record: "launch" of the last of its "starts", or of the record itself if it has
// no starts. Empty if it has no id.
std::string last_launch(const Record& record);

// Whether the config of a run or job (`work`: "run" or "job", for messages) has changed since it began. Fields that are
// newer than the record have not changed if they have their defaults. Throws std::invalid_argument if a changed field
// is neither in `may_change` nor in a section in `may_change`.
bool config_changed(std::string_view work, const YamlNode& before, const RecordedConfig& now,
                    const std::vector<std::string>& may_change);

}  // namespace sartor
