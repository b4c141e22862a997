#include "tables/table_files.h"

#include <fnmatch.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <span>

namespace sartor::datasets {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> entries(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code ignored;  // folders that cannot be read match nothing
  for (fs::directory_iterator entry(folder.empty() ? "." : folder, ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    found.push_back(folder / entry->path().filename());
  }
  return found;
}

bool matches(const fs::path& pattern, const fs::path& name) {
  return fnmatch(pattern.c_str(), name.c_str(), FNM_PERIOD) == 0;
}

// Adds the files below `base` that match the remaining components of a pattern.
void add_matching(const fs::path& base, std::span<const fs::path> pattern, std::set<std::string>& files) {
  std::error_code ignored;
  if (pattern.empty()) {
    if (fs::exists(base, ignored) && !fs::is_directory(base, ignored)) files.insert(base);
    return;
  }
  const auto& part = pattern.front();
  const auto rest = pattern.subspan(1);
  if (part == "**") {
    static const fs::path any = "*";
    add_matching(base, rest.empty() ? std::span(&any, 1) : rest, files);
    for (const auto& entry : entries(base)) {
      const bool folder =
          fs::is_directory(fs::symlink_status(entry, ignored));  // does not follow links, which may form cycles
      if (folder && matches("*", entry.filename())) add_matching(entry, pattern, files);
    }
  } else if (part.string().find_first_of("*?[\\") == std::string::npos) {
    add_matching(base / part, rest, files);
  } else {
    for (const auto& entry : entries(base)) {
      if (matches(part, entry.filename())) add_matching(entry, rest, files);
    }
  }
}

}  // namespace

std::vector<std::string> table_files(const TableConfig& config) {
  if (config.path == standard_input) return {config.path};
  if (fs::exists(config.path)) {
    require(!fs::is_directory(config.path), "{} is a folder; give a file or a pattern such as {}", config.path,
            (fs::path(config.path) / "*.parquet").string());
    return {config.path};
  }
  const fs::path path = config.path;
  const fs::path below = path.relative_path();
  const std::vector<fs::path> parts(below.begin(), below.end());
  std::set<std::string> files;
  add_matching(path.root_path(), parts, files);
  require(!files.empty(), "{}: no such file", config.path);
  return {files.begin(), files.end()};
}

std::vector<fs::path> files_to_read(const TableConfig& config) {
  try {
    const auto files = table_files(config);
    return {files.begin(), files.end()};
  } catch (const std::invalid_argument&) {
    return {config.path};
  }
}

bool readable_once(const std::string& file) { return file == standard_input || !fs::is_regular_file(file); }

void require_readable_twice(const TableConfig& config, std::string_view why) {
  for (const auto& file : table_files(config)) {
    require(!readable_once(file), "{} is {} and can be read only once, but is needed again {}; give a file", file,
            file == standard_input ? "standard input" : "a pipe or device", why);
  }
}

std::string ending_of(const fs::path& name) {
  std::string ending = name.extension();
  std::ranges::transform(ending, ending.begin(), [](unsigned char c) { return std::tolower(c); });
  return ending;
}

}  // namespace sartor::datasets
