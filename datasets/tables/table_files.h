// The files that a table lies in.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tables/table_config.h"

namespace sartor::datasets {

inline constexpr std::string_view standard_input = "-";  // as a path

// Files that config.path stands for, in order of name. In a pattern, ** is any number of folders, none too; names that
// begin with a point are only matched by such patterns. Throws std::invalid_argument if there are none.
std::vector<std::string> table_files(const TableConfig& config);

// The same as paths; config.path itself where table_files() throws.
std::vector<std::filesystem::path> files_to_read(const TableConfig& config);

// Whether a file's name is that of a pipe, a device or standard input, which cannot be read again.
bool readable_once(const std::string& file);

// Throws std::invalid_argument where one of them, a pipe or standard input, can be read only once. `why` says what it
// would be read again for.
void require_readable_twice(const TableConfig& config, std::string_view why);

// The ending of a file's name in lower case: ".csv" for "A.CSV".
std::string ending_of(const std::filesystem::path& name);

}  // namespace sartor::datasets
