// The checkpoints of a run: folders of which each is there whole or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace sartor {

// What a run was when its checkpoint was made, beside the model: state.json.
struct RunState {
  int64_t done = 0;           // epochs or steps
  int64_t metrics_lines = 0;  // of metrics.jsonl
};

// Fills a folder that exists and is empty.
using Save = std::function<void(const std::filesystem::path& folder)>;

// Makes `target` out of what `save` writes: aside in TARGET.partial, synced, renamed. An exception leaves nothing, and
// a crash at most TARGET.partial; `target` must not exist.
void save_folder(const std::filesystem::path& target, const Save& save);

// FOLDER/epoch-000012/, or step-000500/: what the model saved, and state.json.
class Checkpoints {
 public:
  // unit: "epoch" or "step".
  Checkpoints(std::filesystem::path folder, std::string unit, int64_t keep)
      : folder_(std::move(folder)), unit_(std::move(unit)), keep_(keep) {}

  // Saves a checkpoint, in place of one that has done as much, then tidies up. Throws what `save` throws, and
  // std::system_error; other checkpoints are then still there.
  void save(const RunState& state, const Save& save);

  std::filesystem::path path_of(int64_t done) const;

  // What each checkpoint has done, the newest first.
  std::vector<int64_t> newest_first() const;

  // Renames those that have done more than `done` to NAME.damaged. Only for the run's one writer.
  void put_aside_after(int64_t done) const;

  // Removes what a killed process left half-done, and all but the `keep` newest. Only for the run's one writer.
  void tidy() const;

  // Reads CHECKPOINT/state.json. Throws std::invalid_argument if it is broken.
  RunState state_of(const std::filesystem::path& checkpoint) const;

 private:
  std::map<int64_t, std::filesystem::path> whole() const;

  std::filesystem::path folder_;
  std::string unit_;
  int64_t keep_;
};

}  // namespace sartor
