#include "engine/run.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <exception>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "base/require.h"
#include "runtime/runtime.h"
#include "runtime/signals.h"
#include "schema/config.h"
#include "schema/document.h"
#include "schema/log.h"
#include "storage/atomic_file.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string text_of(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";  // of broken UTF-8
}

Json read_json(const fs::path& path) {
  Json json;
  try {
    json = Json::parse(std::ifstream(path));
  } catch (const Json::exception& error) {
    require(false, "{} is broken: {}", path.string(), error.what());
  }
  require(json.is_object(), "{} is broken: expected an object", path.string());
  return json;
}

Json to_json(const Scores& scores) {
  auto json = Json::object();
  for (const auto& [of, metrics] : scores) {
    json[of] = Json::object();
    for (const auto& [name, value] : metrics) json[of][name] = value;
  }
  return json;
}

Claim claim(const RunRequest& request) {
  return request.resume ? Claim::resume : request.overwrite ? Claim::overwrite : Claim::fresh;
}

bool below(std::string_view path, std::string_view section) {
  return path.starts_with(section) && (path.size() == section.size() || path[section.size()] == '.');
}

// Whether the configs differ at all. Throws if they do where they may not.
bool changed(const RunRequest& request, const fs::path& run_yaml) {
  const auto differing = differences(load_document(run_yaml), parse_document(request.config, "the config"));
  for (const auto& [path, before, after] : differing) {
    const auto allowed = [&](const auto& section) { return below(path, section); };
    require(std::ranges::any_of(request.may_change, allowed),
            "{}: the run began with {}, --resume cannot continue with {}", path, before.empty() ? "nothing" : before,
            after.empty() ? "nothing" : after);
  }
  return !differing.empty();
}

// Whether the folder holds the run that this launch began before its processes were restarted.
bool begun_by(const Launch& launch, const fs::path& folder) {
  const auto path = folder / "provenance.json";
  if (launch.restarts == 0 || !fs::exists(path)) return false;
  const auto starts = read_json(path).value("starts", Json::array());
  return !starts.empty() && starts.back().value("launch", "") == launch.id;
}

// What a killed process left in a run folder, beside its checkpoints.
void remove_partial(const fs::path& folder) {
  for (const char* name : {"model.partial", "evaluation.partial"}) fs::remove_all(folder / name);
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with('.') && name.find(".partial-") != name.npos) fs::remove(entry.path());
  }
}

std::string in_words(const Scores& scores) {
  constexpr size_t most = 4;  // of each: progress is one line
  std::string text;
  for (const auto& [of, metrics] : scores) {
    text += fmt::format("{}{}", text.empty() ? "" : "  ", of);
    for (const auto& [name, value] : std::span(metrics).first(std::min(metrics.size(), most))) {
      text += fmt::format(" {} {:.4g}", name, value);
    }
  }
  return text;
}

}  // namespace

Run::Run(RunRequest request)
    : request_(std::move(request)),
      checkpoints_(request_.folder / "checkpoints", request_.unit, request_.checkpoint.keep),
      best_(request_.folder / "best", request_.unit, 1) {
  const bool first = !request_.ranks || request_.ranks->first();
  if (first) {
    if (begun_by(request_.launch, request_.folder)) {
      log_info("restarted by torchrun: {} goes on", request_.folder.string());
      request_.resume = true;
      request_.overwrite = false;
    }
    folder_.emplace(request_.folder, claim(request_));
    if (request_.resume) {
      complete_ = !changed(request_, folder_->path() / "run.yaml") && fs::exists(folder_->path() / "results.json");
      resumable_ = checkpoints_.newest_first();
    }
  }
  if (request_.ranks) {
    std::istringstream told(
        request_.ranks->from_first(fmt::format("{} {}", int{complete_}, fmt::join(resumable_, " "))));
    told >> complete_;
    resumable_.assign(std::istream_iterator<int64_t>(told), {});
  }
  use_newest([](const auto&) {});
}

// With the state of the newest checkpoint that all ranks can use, forgets those after it.
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
    if ((request_.ranks ? request_.ranks->sum({failed})[0] : failed) == 0) return;
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
  if (request_.resume && folder_) {
    const auto before = read_json(folder_->path() / "provenance.json").value(name, value);
    require(before == value, "{} is {}, the run began with {}", name, value, before);
  }
  facts_.emplace_back(name, value);
}

void Run::start_writing() {
  const auto& folder = folder_->path();
  auto provenance = request_.resume ? read_json(folder / "provenance.json") : Json::object();
  for (const auto& [name, value] : facts_) provenance[name] = value;
  Json start = {{"time", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))},
                {"done_before", state_.done},
                {"command", request_.command},
                {"device", request_.device},
                {"world_size", request_.ranks ? request_.ranks->size() : 1},
                {"versions", versions()}};
  if (!request_.launch.id.empty()) start["launch"] = request_.launch.id;
  provenance["starts"].push_back(std::move(start));
  if (request_.resume) {
    remove_partial(folder);
    checkpoints_.put_aside_after(state_.done);
    checkpoints_.tidy();
    fs::remove(folder / "results.json");
  } else {  // here, so that publish() makes their names last
    fs::create_directory(folder / "checkpoints");
    datasets::write_file(folder / "metrics.jsonl", "");
  }
  datasets::write_file(folder / "run.yaml", request_.config);
  datasets::write_file(folder / "provenance.json", text_of(provenance, 2));
  folder_->publish();
  metrics_.emplace(folder_->path() / "metrics.jsonl", state_.metrics_lines);
}

Steps Run::steps(int64_t count, int64_t per_epoch) {
  require(state_.done <= count, "{} has trained {} {}s already, the config asks for {}", request_.folder.string(),
          state_.done, request_.unit, count);
  steps_ = count;
  per_epoch_ = per_epoch;
  if (folder_) {
    start_writing();
    if (!request_.device.empty()) log_info("device: {}", request_.device);
    progress_.emplace(request_.unit, count, state_.done);
  }
  logged_ = std::chrono::steady_clock::now();
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
  Json line = {{request_.unit, step}, {"seconds", std::round(seconds.count() * 1000) / 1000}};
  line.update(to_json(scores));
  metrics_->append(text_of(line));
  latest_ = in_words(scores);
}

bool Run::checkpoint_due(int64_t step, bool good) {
  stopping_ = stop_signal();
  if (request_.ranks) {  // one that was signalled stops all
    std::vector<double> signalled;
    for (const int signal : stop_signals) signalled.push_back(stopping_ == signal ? 1 : 0);
    signalled = request_.ranks->sum(std::move(signalled));
    const auto first = std::ranges::find_if(signalled, [](double ranks) { return ranks > 0; }) - signalled.begin();
    stopping_ = first < std::ssize(stop_signals) ? stop_signals[first] : 0;
  }
  if (stopping_ != 0 || step == steps_) return true;
  const auto& [strategy, every, keep] = request_.checkpoint;
  return good && strategy != IntervalStrategy::no &&
         step % (strategy == IntervalStrategy::epoch ? per_epoch_ : every) == 0;
}

void Run::save_checkpoint(int64_t step, const Save& save) {
  if (!folder_) return;
  metrics_->sync();
  checkpoints_.save({.done = step, .metrics_lines = metrics_->lines()}, save);
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
  save_folder(folder / "model", save_model);
  auto results = to_json(scores);
  if (!baselines.empty()) results["baselines"] = to_json(baselines);
  metrics_->sync();
  datasets::write_file(folder / "results.json", text_of(results, 2));
  progress_.reset();
}

}  // namespace sartor
