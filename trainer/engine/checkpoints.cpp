#include "engine/checkpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "base/numbers.h"
#include "base/require.h"
#include "resume/record.h"
#include "storage/atomic_file.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;

fs::path partial(const fs::path& target) { return target.string() + ".partial"; }

}  // namespace

void save_folder(const fs::path& target, const Save& save) {
  const auto aside = partial(target);
  fs::remove_all(aside);  // left by a killed process
  fs::create_directory(aside);
  try {
    save(aside);
    datasets::rename_folder(aside, target);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(aside, ignored);
    throw;
  }
}

// Folders that are being written or removed end in .partial, so every other checkpoint is complete.
std::map<int64_t, fs::path> Checkpoints::whole() const {
  std::map<int64_t, fs::path> found;
  if (!fs::exists(folder_)) return found;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const auto name = entry.path().filename().string();
    const auto prefix = unit_ + "-";
    if (!name.starts_with(prefix)) continue;
    const auto done = parse_number<int64_t>(std::string_view(name).substr(prefix.size()));
    if (done) found[*done] = entry;
  }
  return found;
}

void Checkpoints::save(const RunState& state, const Save& save) {
  fs::create_directories(folder_);
  fs::remove_all(path_of(state.done));
  save_folder(path_of(state.done), [&](const fs::path& folder) {
    save(folder);
    datasets::write_file(folder / "state.json", to_text({{unit_, state.done}, {"metrics_lines", state.metrics_lines}}));
  });
  tidy();
}

fs::path Checkpoints::path_of(int64_t done) const { return folder_ / fmt::format("{}-{:06}", unit_, done); }

std::vector<int64_t> Checkpoints::newest_first() const {
  std::vector<int64_t> found;
  for (const auto& [done, path] : whole()) found.push_back(done);
  std::ranges::reverse(found);
  return found;
}

void Checkpoints::put_aside_after(int64_t done) const {
  for (const auto& [more, path] : whole()) {
    if (more <= done) continue;
    const fs::path aside = path.string() + ".damaged";
    fs::remove_all(aside);
    fs::rename(path, aside);
  }
}

void Checkpoints::tidy() const {
  auto all = whole();
  while (std::ssize(all) > keep_) {
    const auto oldest = all.extract(all.begin()).mapped();
    fs::rename(oldest, partial(oldest));
  }
  if (!fs::exists(folder_)) return;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (entry.path().extension() == ".partial") fs::remove_all(entry.path());
  }
}

RunState Checkpoints::state_of(const fs::path& checkpoint) const {
  const auto path = checkpoint / "state.json";
  RunState state;
  read_record(path, [&](const Record& values) {
    state = {.done = values.at(unit_), .metrics_lines = values.at("metrics_lines")};
  });
  require(state.done > 0 && state.metrics_lines >= 0, "{} is broken: {} {}, {} lines of metrics", path.string(), unit_,
          state.done, state.metrics_lines);
  return state;
}

}  // namespace sartor
