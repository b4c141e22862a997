#include "engine/run.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <exception>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "base/require.h"
#include "resume/record.h"
#include "runtime/runtime.h"
#include "runtime/signals.h"
#include "schema/document.h"
#include "schema/log.h"
#include "storage/atomic_file.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;

// Removes partial outputs of a killed process from a run folder, except checkpoints.
void remove_partial(const fs::path& folder) {
  for (const char* name : {"model.partial", "evaluation.partial"}) fs::remove_all(folder / name);
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with('.') && name.find(".partial-") != name.npos) fs::remove(entry.path());
  }
}

}  // namespace

Run::Run(RunRequest request)
    : request_(std::move(request)),
      ranks_(request_.ranks ? *request_.ranks : alone_),
      checkpoints_(request_.folder / "checkpoints", request_.unit, request_.checkpoint.keep),
      best_(request_.folder / "best", request_.unit, 1) {
  std::istringstream told(on_first(ranks_, [&] { return claim(); }));
  told >> complete_;
  resumable_.assign(std::istream_iterator<int64_t>(told), {});
  use_newest([](const auto&) {});
}

// Locks the folder on rank 0. Returns, for all ranks, whether the run is complete and the completed steps of each
// checkpoint to resume from.
std::string Run::claim() {
  const auto& name = request_.folder;
  claim_ = claim_of(request_.start, name / "provenance.json", name);
  require_claimable(name, claim_);
  folder_.emplace(name, claim_, name);
  if (claim_ != Claim::resume) return "0";
  const bool changed = config_changed("run", load_document(name / "run.yaml"), request_.config, request_.may_change);
  const bool complete = !changed && fs::exists(name / "results.json");
  return fmt::format("{} {}", int{complete}, fmt::join(checkpoints_.newest_first(), " "));
}

// Sets state_ from the newest checkpoint that all ranks can use and drops the later ones from resumable_.
void Run::use_newest(const std::function<void(const fs::path& folder)>& use) {
  while (!resumable_.empty()) {
    const auto path = checkpoints_.path_of(resumable_.front());
    std::exception_ptr fault;
    std::string why = "another rank cannot read it";
    try {
      const auto state = checkpoints_.state_of(path);
      use(path);
      state_ = state;
    } catch (const std::exception& error) {
      fault = std::current_exception();
      why = error.what();
    }
    const double failed = fault ? 1 : 0;
    if (ranks_.sum({failed})[0] == 0) return;
    if (resumable_.size() == 1) {
      if (fault) std::rethrow_exception(fault);
      throw std::runtime_error(fmt::format("{}: {}", path.string(), why));
    }
    resumable_.erase(resumable_.begin());
    const auto before = checkpoints_.path_of(resumable_.front());
    if (folder_) log_warning("{} is damaged, {} is used instead: {}", path.string(), before.string(), why);
  }
}

void Run::record(const std::string& name, const std::string& value) {
  on_first(ranks_, [&] {
    if (claim_ == Claim::resume) {
      const auto before = read_record(folder_->path() / "provenance.json").value(name, value);
      require(before == value, "{} is {}, the run began with {}", name, value, before);
    }
    return "";
  });
  facts_.emplace_back(name, value);
}

void Run::start_writing() {
  const auto& folder = folder_->path();
  const auto record = next_record();
  if (claim_ == Claim::resume) {
    remove_partial(folder);
    checkpoints_.put_aside_after(state_.done);
    checkpoints_.tidy();
    fs::remove(folder / "results.json");
  } else {  // before publish(), which syncs the new names to disk
    fs::create_directory(folder / "checkpoints");
    datasets::write_file(folder / "metrics.jsonl", "");
  }
  datasets::write_file(folder / "run.yaml", request_.config.yaml());
  write_record(folder / "provenance.json", record);
  folder_->publish(put_aside);
  metrics_.emplace(folder_->path() / "metrics.jsonl", state_.metrics_lines);
}

// The contents of provenance.json, with this start appended.
Record Run::next_record() const {
  auto record = claim_ == Claim::resume ? read_record(folder_->path() / "provenance.json") : Record::object();
  for (const auto& [name, value] : facts_) record[name] = value;
  Record start = {{"time", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))},
                  {"done_before", state_.done},
                  {"command", request_.command},
                  {"device", request_.device},
                  {"world_size", ranks_.size()},
                  {"versions", versions()}};
  if (!request_.start.launch.id.empty()) start["launch"] = request_.start.launch.id;
  record["starts"].push_back(std::move(start));
  return record;
}

Steps Run::steps(int64_t count, int64_t per_epoch) {
  require(state_.done <= count, "{} has already trained {} {}s, the config asks for {}", request_.folder.string(),
          state_.done, request_.unit, count);
  steps_ = count;
  per_epoch_ = per_epoch;
  on_first(ranks_, [&] {
    start_writing();
    return "";
  });
  if (folder_) {
    if (!request_.device.empty()) log_info("device: {}", request_.device);
    progress_.emplace(request_.unit, count, state_.done);
  }
  logged_ = saved_ = std::chrono::steady_clock::now();
  return {this, state_.done + 1, count};
}

void Run::end_step(int64_t step) {
  if (progress_) progress_->update(step, latest_);
  if (stopping_ == 0) return;
  throw Stopped(stopping_, fmt::format("stopped by {} after {} {}: --resume continues {}", signal_name(stopping_),
                                       request_.unit, step, request_.folder.string()));
}

void Run::log(int64_t step, const Scores& scores) {
  if (!folder_) return;
  const auto now = std::chrono::steady_clock::now();
  const std::chrono::duration<double> seconds = now - std::exchange(logged_, now);
  Record line = {{request_.unit, step}, {"seconds", std::round(seconds.count() * 1000) / 1000}};
  line.update(to_json(scores));
  metrics_->append(to_text(line));
  latest_ = in_words(scores);
}

bool Run::checkpoint_due(int64_t step, const std::function<bool()>& good, std::optional<int> signal) {
  stopping_ = signal ? *signal : stop_signal_of_any(ranks_);
  const auto& [strategy, every, keep] = request_.checkpoint;
  const bool required = stopping_ != 0 || step == steps_;
  const auto by_strategy = [&, every = every] {
    if (strategy == IntervalStrategy::no) return false;
    if (strategy == IntervalStrategy::epoch) return step % per_epoch_ == 0;
    return every > 0 ? step % every == 0 : worth_saving();
  };
  if (!required && !by_strategy()) return false;
  return good() || required;
}

// Decided by rank 0, which saves.
bool Run::worth_saving() {
  return ranks_.from_first(std::chrono::steady_clock::now() - saved_ >= saving_ ? "1" : "0") == "1";
}

void Run::save_checkpoint(int64_t step, const Save& save) {
  if (!folder_) return;
  const auto start = std::chrono::steady_clock::now();
  metrics_->sync();
  checkpoints_.save({.done = step, .metrics_lines = metrics_->lines()}, save);
  saved_ = std::chrono::steady_clock::now();
  saving_ = saved_ - start;
}

void Run::keep_evaluation(const Save& save) {
  if (!folder_) return;
  fs::remove_all(folder_->path() / "evaluation");
  save_folder(folder_->path() / "evaluation", save);
}

void Run::finish(const Save& save_model, const Scores& scores, const Scores& baselines) {
  if (!folder_) return;
  const auto& folder = folder_->path();
  fs::remove_all(folder / "model");
  if (save_model) save_folder(folder / "model", save_model);
  auto results = to_json(scores);
  if (!baselines.empty()) results["baselines"] = to_json(baselines);
  metrics_->sync();
  write_record(folder / "results.json", results);
  progress_.reset();
}

}  // namespace sartor
