#include "engine/checkpoints.h"

#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "schema/require.h"
#include "storage/atomic_file.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view prefix = "epoch-";

bool number_in(std::string_view digits, int64_t& number) {
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), number);
  return error == std::errc() && end == digits.end();
}

fs::path partial(const fs::path& target) { return target.string() + ".partial"; }

// By epoch. A name says that the checkpoint is whole: what is being written or removed ends in .partial.
std::map<int64_t, fs::path> whole_checkpoints(const fs::path& folder) {
  std::map<int64_t, fs::path> found;
  if (!fs::exists(folder)) return found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto name = entry.path().filename().string();
    int64_t epoch = 0;
    if (name.starts_with(prefix) && number_in(std::string_view(name).substr(prefix.size()), epoch))
      found[epoch] = entry;
  }
  return found;
}

}  // namespace

void save_folder(const fs::path& target, const Save& save) {
  const auto aside = partial(target);
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

void Checkpoints::save(const RunState& state, const Save& save) {
  fs::create_directories(folder_);
  save_folder(folder_ / fmt::format("{}{:06}", prefix, state.epoch), [&](const fs::path& folder) {
    save(folder);
    const nlohmann::ordered_json values = {{"epoch", state.epoch}, {"metrics_lines", state.metrics_lines}};
    datasets::write_file(folder / "state.json", values.dump() + "\n");
  });
  tidy();
}

std::optional<fs::path> Checkpoints::newest() const {
  const auto found = whole_checkpoints(folder_);
  return found.empty() ? std::nullopt : std::optional(found.rbegin()->second);
}

void Checkpoints::tidy() const {
  auto whole = whole_checkpoints(folder_);
  while (std::ssize(whole) > keep_) {
    const auto oldest = whole.extract(whole.begin()).mapped();
    fs::rename(oldest, partial(oldest));
  }
  if (!fs::exists(folder_)) return;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (entry.path().extension() == ".partial") fs::remove_all(entry.path());
  }
}

RunState read_state(const fs::path& checkpoint) {
  const auto path = checkpoint / "state.json";
  try {
    const auto values = nlohmann::json::parse(std::ifstream(path));
    const RunState state = {.epoch = values.at("epoch"), .metrics_lines = values.at("metrics_lines")};
    require(state.epoch > 0 && state.metrics_lines >= 0, "{} is broken: epoch {}, {} lines of metrics", path.string(),
            state.epoch, state.metrics_lines);
    return state;
  } catch (const nlohmann::json::exception& error) {
    require(false, "{} is broken: {}", path.string(), error.what());
    throw;
  }
}

}  // namespace sartor
