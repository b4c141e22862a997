#include "tasks/data/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/require.h"
#include "interactions/write_prepared.h"
#include "runtime/progress.h"
#include "runtime/signals.h"
#include "schema/config.h"
#include "schema/log.h"
#include "storage/watched_files.h"
#include "tables/presets.h"
#include "tasks/data/sources.h"

namespace sartor {
namespace {

using Json = nlohmann::ordered_json;

// Shows progress, stops reading on a signal, and rejects a source without ratings.
class WatchedSource final : public datasets::RatingSource {
 public:
  WatchedSource(std::unique_ptr<datasets::RatingSource> source, datasets::Rejects& rejects)
      : source_(std::move(source)), rejects_(rejects) {}

  bool next(datasets::RatingBatch& batch) override {
    if (const int signal = stop_signal()) throw Stopped(signal, "stopped, nothing written");
    const bool more = source_->next(batch);
    progress_.update(rows_ += batch.size());
    if (!more && rows_ == 0 && rejects_.total() > 0) rejects_.refuse_all();
    return more;
  }
  bool has_times() const override { return source_->has_times(); }

 private:
  std::unique_ptr<datasets::RatingSource> source_;
  datasets::Rejects& rejects_;
  Progress progress_{"row", 0};
  int64_t rows_ = 0;
};

// The ratings of one source, then those of another.
class Joined final : public datasets::RatingSource {
 public:
  Joined(std::unique_ptr<datasets::RatingSource> first, std::unique_ptr<datasets::RatingSource> second)
      : first_(std::move(first)), second_(std::move(second)) {}

  bool next(datasets::RatingBatch& batch) override {
    if (first_ && first_->next(batch)) {
      rows_ += batch.size();
      return true;
    }
    first_.reset();
    return second_->next(batch);
  }
  bool has_times() const override { return second_->has_times(); }
  int64_t rows_of_first() const { return rows_; }

 private:
  std::unique_ptr<datasets::RatingSource> first_, second_;
  int64_t rows_ = 0;
};

// Opens the table and, for split.method files, the test table. Those of `joined` are read one after the other.
std::unique_ptr<datasets::RatingSource> open_source(const PrepareConfig& config, datasets::Rejects& rejects,
                                                    const Joined*& joined) {
  auto source = datasets::open_ratings(config.source, rejects);
  if (!config.test_path) return source;
  auto test = datasets::open_ratings(config.test_source(), rejects);
  const auto times = [](const auto& table) { return table->has_times() ? "times" : "no times"; };
  require(source->has_times() == test->has_times(), "{} has {}, {} has {}", *config.test_path, times(test),
          config.source.table.path, times(source));
  auto both = std::make_unique<Joined>(std::move(source), std::move(test));
  joined = both.get();
  return both;
}

// The part of the config that determines the result, without paths. Hashed with the sources.
std::string treatment(const PrepareConfig& config) {
  auto source = config.source;
  source.table.path.clear();
  auto text = to_yaml(source) + to_yaml(config.cleaning) + to_yaml(config.split);
  if (config.test_path)
    text += fmt::format("test_files: {}\n", datasets::table_files(config.test_source().table).size());
  return text;
}

// All input files, those of the test table last.
std::vector<std::string> input_files(const PrepareConfig& config) {
  require_readable_twice(config.source.table, "for its SHA-256");
  auto files = datasets::table_files(config.source.table);
  if (!config.test_path) return files;
  require_readable_twice(config.test_source().table, "for its SHA-256");
  std::ranges::copy(datasets::table_files(config.test_source().table), std::back_inserter(files));
  return files;
}

}  // namespace

void prepare(const PrepareConfig& config, Runtime&) {
  const auto files = input_files(config);
  const datasets::WatchedFiles watched(files);
  auto hashing = std::async(std::launch::async, describe_files, files);

  datasets::Rejects rejects(config.rejects_path(), config.source.unfit);
  const Joined* joined = nullptr;
  WatchedSource source(open_source(config, rejects, joined), rejects);
  const auto scratch = std::filesystem::absolute(config.output).parent_path();
  auto data = datasets::collect(source, config.cleaning, scratch);

  auto split = config.split;
  if (joined) {
    split.first_test_row = joined->rows_of_first();
    split.test_rows = data.received - joined->rows_of_first();
    require(*split.test_rows > 0, "{}: there are no ratings", *config.test_path);
  }

  const Json sources = hashing.get();
  watched.check();
  const int64_t users = data.users.size(), items = data.items.size();
  const int64_t kept = std::ssize(data.ratings), repeated = data.received - kept;
  const Json provenance = {{"sources", sources},
                           {"config", to_yaml(config)},
                           {"rows",
                            {{"read", data.received + rejects.total()},
                             {"kept", kept},
                             {"rejected", rejects.total()},
                             {"repeated", repeated}}},
                           {"reasons", rejects.counts()},
                           {"versions", versions()}};
  const auto report = datasets::write_prepared(
      config.output, std::move(data), split,
      {provenance.dump(2, ' ', false, Json::error_handler_t::replace), data_hash(sources, treatment(config))});
  rejects.finish();

  log_info("{}: {} ratings of {} users and {} items; {} rejected, {} repeated", config.output, kept, users, items,
           rejects.total(), repeated);
  log_info("train {}, validation {}, test {}; {} test users and {} test items have no training ratings", report.train,
           report.validation, report.test, report.cold_users, report.cold_items);
  if (rejects.total() > 0) log_warning("rejected rows and reasons are in {}", config.rejects_path());
}

}  // namespace sartor
