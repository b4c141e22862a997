// The checkpoints of a run: folders that are written atomically.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace sartor {

// State of a run at a checkpoint, in addition to the model: state.json.
struct RunState {
  int64_t done = 0;           // completed epochs or steps
  int64_t metrics_lines = 0;  // lines in metrics.jsonl
};

// Writes files into an existing empty folder.
using Save = std::function<void(const std::filesystem::path& folder)>;

// Creates the folder `target` atomically: `save` writes to TARGET.partial, which is synced and renamed. An exception
// leaves nothing behind, a crash at most TARGET.partial. `target` must not exist.
void save_folder(const std::filesystem::path& target, const Save& save);

// Checkpoint folders FOLDER/epoch-000012/ or FOLDER/step-000500/, each with the files of the model and state.json.
class Checkpoints {
 public:
  // unit: "epoch" or "step". keep: number of checkpoints that tidy() keeps.
  Checkpoints(std::filesystem::path folder, std::string unit, int64_t keep)
      : folder_(std::move(folder)), unit_(std::move(unit)), keep_(keep) {}

  // Saves a checkpoint, replacing one with the same state.done, then calls tidy(). Throws what `save` throws, and
  // std::system_error; the other checkpoints are kept in that case.
  void save(const RunState& state, const Save& save);

  std::filesystem::path path_of(int64_t done) const;

  // The completed epochs or steps of each checkpoint, newest first.
  std::vector<int64_t> newest_first() const;

  // Renames checkpoints after `done` to NAME.damaged. Only the process that writes the run may call it.
  void put_aside_after(int64_t done) const;

  // Removes incomplete checkpoints of a killed process, and all but the `keep` newest. Only the process that writes the
  // run may call it.
  void tidy() const;

  // Reads CHECKPOINT/state.json. Throws std::invalid_argument if it is invalid.
  RunState state_of(const std::filesystem::path& checkpoint) const;

 private:
  std::map<int64_t, std::filesystem::path> whole() const;

  std::filesystem::path folder_;
  std::string unit_;
  int64_t keep_;
};

}  // namespace sartor
