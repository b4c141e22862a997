#include "tasks/data/prepare.h"

#include <future>
#include <nlohmann/json.hpp>

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

// The part of the config that determines the result, without paths. Hashed with the sources.
std::string treatment(const PrepareConfig& config) {
  auto source = config.source;
  source.table.path.clear();
  return to_yaml(source) + to_yaml(config.cleaning) + to_yaml(config.split);
}

}  // namespace

void prepare(const PrepareConfig& config, Runtime&) {
  require_readable_twice(config.source.table, "for its SHA-256");
  const auto files = datasets::table_files(config.source.table);
  const datasets::WatchedFiles watched(files);
  auto hashing = std::async(std::launch::async, describe_files, files);

  datasets::Rejects rejects(config.rejects_path(), config.source.unfit);
  WatchedSource source(datasets::open_ratings(config.source, rejects), rejects);
  const auto scratch = std::filesystem::absolute(config.output).parent_path();
  auto data = datasets::collect(source, config.cleaning, scratch);

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
      config.output, std::move(data), config.split,
      {provenance.dump(2, ' ', false, Json::error_handler_t::replace), data_hash(sources, treatment(config))});
  rejects.finish();

  log_info("{}: {} ratings of {} users and {} items; {} rejected, {} repeated", config.output, kept, users, items,
           rejects.total(), repeated);
  log_info("train {}, validation {}, test {}; {} test users and {} test items have no training ratings", report.train,
           report.validation, report.test, report.cold_users, report.cold_items);
  if (rejects.total() > 0) log_warning("rejected rows and reasons are in {}", config.rejects_path());
}

}  // namespace sartor
