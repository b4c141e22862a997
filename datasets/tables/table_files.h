// Files of a table.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tables/table_config.h"

namespace sartor::datasets {

inline constexpr std::string_view standard_input = "-";  // path that denotes standard input

// Files that match config.path, sorted by name. ** matches zero or more folders; names that begin with a dot are
// matched only by patterns that begin with one. Throws std::invalid_argument if there is no match.
std::vector<std::string> table_files(const TableConfig& config);

// As table_files(), but returns config.path itself if there is no match.
std::vector<std::filesystem::path> files_to_read(const TableConfig& config);

// Whether the file is a pipe, a device or standard input, which can be read only once.
bool readable_once(const std::string& file);

// Throws std::invalid_argument if a file of the table is readable_once(). `why` completes "needed again ...".
void require_readable_twice(const TableConfig& config, std::string_view why);

// File extension in lower case: ".csv" for "A.CSV".
std::string ending_of(const std::filesystem::path& name);

}  // namespace sartor::datasets
