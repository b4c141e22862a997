#include "resume/record.h"

#include <algorithm>
#include <fstream>

#include "base/require.h"
#include "storage/atomic_file.h"

namespace sartor {
namespace {

bool lies_in(std::string_view path, std::string_view section) {
  return path.starts_with(section) && (path.size() == section.size() || path[section.size()] == '.');
}

}  // namespace

std::string to_text(const Record& json, int indent) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, Record::error_handler_t::replace) + "\n";
}

Record read_record(const std::filesystem::path& path) {
  Record record;
  read_record(path, [&](const Record& read) { record = read; });
  return record;
}

void read_record(const std::filesystem::path& path, const std::function<void(const Record&)>& take) {
  try {
    const auto record = Record::parse(std::ifstream(path));
    require(record.is_object(), "{} is broken: expected an object", path.string());
    take(record);
  } catch (const Record::exception& error) {
    require(false, "{} is broken: {}", path.string(), error.what());
  }
}

void write_record(const std::filesystem::path& path, const Record& record) {
  datasets::write_file(path, to_text(record, 2));
}

std::string last_launch(const Record& record) {
  const auto starts = record.find("starts");
  const bool listed = starts != record.end() && starts->is_array() && !starts->empty();
  const Record& last = listed ? starts->back() : record;
  const auto launch = last.find("launch");  // end() if `last` is not an object
  return launch != last.end() && launch->is_string() ? launch->get<std::string>() : "";
}

bool config_changed(std::string_view work, const YamlNode& before, const RecordedConfig& now,
                    const std::vector<std::string>& may_change) {
  const auto differing = differences(now.restated(before), parse_document(now.yaml(), "the config"));
  for (const auto& [path, old_value, new_value] : differing) {
    const auto allowed = [&](const auto& section) { return lies_in(path, section); };
    require(std::ranges::any_of(may_change, allowed), "{}: the {} began with {}, --resume cannot continue with {}",
            path, work, old_value.empty() ? "nothing" : old_value, new_value.empty() ? "nothing" : new_value);
  }
  return !differing.empty();
}

}  // namespace sartor
