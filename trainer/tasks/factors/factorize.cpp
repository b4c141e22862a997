#include "tasks/factors/factorize.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <span>

#include "core/profiler_range.h"
#include "engine/judgement.h"
#include "engine/results_table.h"
#include "schema/log.h"
#include "storage/atomic_file.h"
#include "tasks/factors/user_ratings.h"

namespace sartor {
namespace {

constexpr int64_t block = 4096;  // users read at a time, which bounds memory

// Adds what inference needs in addition to the factors: ids and the items that each user has rated.
void add_ids(TrainedModel& model, const datasets::Prepared& data) {
  model.users = data.read_user_ids();
  model.items = data.read_item_ids();
  model.data_hash = data.data_hash;
  model.seen_offsets = {0};
  model.seen_items.clear();
  model.seen_ratings.clear();
  model.seen_items.reserve(data.train.size() + data.validation.size());
  model.seen_ratings.reserve(model.seen_items.capacity());
  for (int64_t first = 0; first < data.users; first += block) {
    const auto seen = read_users({&data.train, &data.validation}, first, std::min(block, data.users - first));
    for (const auto offset : std::span(seen.offsets).subspan(1)) {
      model.seen_offsets.push_back(std::ssize(model.seen_items) + offset);
    }
    model.seen_items.insert(model.seen_items.end(), seen.items.begin(), seen.items.end());
    model.seen_ratings.insert(model.seen_ratings.end(), seen.values.begin(), seen.values.end());
  }
}

// Trains one epoch and returns its duration in seconds.
double train_epoch(Factorizer& factorizer) {
  const cuda::ProfilerRange range("epoch");
  const auto start = std::chrono::steady_clock::now();
  factorizer.train_epoch();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// A factorizer and the evaluations of its epochs.
class Training {
 public:
  Training(const FactorizeConfig& config, const datasets::Prepared& data, Factorizer& factorizer, Runtime& runtime,
           Run& run)
      : config_(config), data_(data), factorizer_(factorizer), runtime_(runtime), run_(run) {
    require(config.early_stopping.patience == 0 || data.validation.size() > 0,
            "early_stopping requires validation ratings, {} has none", config.data.path);
  }

  void operator()() {
    run_.restore(*this);
    const int64_t epochs = factorizer_.epochs();
    for (const auto epoch : run_.steps(epochs)) {
      if (enough()) break;  // also true for a resumed run that had stopped early
      run_.ranks().name_step(fmt::format("epoch {}", epoch));
      Scores scores = {{"train", {{"seconds", train_epoch(factorizer_)}}}};
      std::ranges::copy(factorizer_.training_metrics(), std::back_inserter(scores.front().second));
      const bool due = epoch % config_.evaluation.every == 0 || epoch == epochs;
      if (due && data_.validation.size() > 0) {
        scores.emplace_back("validation", evaluate(runtime_.context, *factorizer_.model(), data_, HeldOut::validation,
                                                   config_.evaluation, run_.ranks()));
        if (stops_early()) judge(epoch, scores.back().second);
      }
      run_.log(epoch, scores);
      run_.checkpoint(epoch, *this);
    }
    if (stops_early() && judgement_.best) factorizer_.load(run_.best(judgement_.best_step));
  }

  void save(const std::filesystem::path& folder) const {
    factorizer_.save(folder);
    if (stops_early()) datasets::write_file(folder / "evaluations.json", to_text(judgement_.record()));
  }
  void load(const std::filesystem::path& folder) {
    factorizer_.load(folder);
    if (!stops_early()) return;
    read_record(folder / "evaluations.json", [&](const Record& record) { judgement_ = Judgement::of(record); });
  }

 private:
  bool stops_early() const { return config_.early_stopping.patience > 0; }
  bool enough() const { return stops_early() && judgement_.without_better >= config_.early_stopping.patience; }

  void judge(int64_t epoch, const std::vector<Metric>& metrics) {
    const auto& [name, patience, minimum_improvement] = config_.early_stopping;
    const auto metric = std::ranges::find(metrics, name, &Metric::name);
    require(metric != metrics.end(), "early_stopping.metric is {}, the evaluation of this model has no such metric",
            name);
    if (!judgement_.take(*metric, minimum_improvement, epoch)) return;
    run_.keep_best(epoch, [&](const auto& folder) { factorizer_.save(folder); });
  }

  const FactorizeConfig& config_;
  const datasets::Prepared& data_;
  Factorizer& factorizer_;
  Runtime& runtime_;
  Run& run_;
  Judgement judgement_;
};

}  // namespace

void factorize(const FactorizeConfig& config, const MakeFactorizer& make, Runtime& runtime, Run& run) {
  const auto data = datasets::open_prepared(config.data.path);
  run.record("data_hash", data.data_hash);
  Collective& ranks = run.ranks();
  std::unique_ptr<Factorizer> factorizer = make(data, runtime.context, ranks);
  Training(config, data, *factorizer, runtime, run)();

  if (ranks.size() > 1) log_info("sent to other ranks in training: {}", traffic_of_all(ranks));
  ranks.name_step("evaluation");
  const std::unique_ptr<TrainedModel> model = factorizer->model();
  factorizer.reset();  // frees its copy of the ratings before the test evaluation
  const auto evaluated = [&](const TrainedModel& model, HeldOut split) {
    return evaluate(runtime.context, model, data, split, config.evaluation, ranks);
  };
  const auto test = evaluated(*model, HeldOut::test);
  Scores scores = {{"test", test}}, baselines;
  if (data.validation.size() > 0) scores.emplace_back("validation", evaluated(*model, HeldOut::validation));
  for (const auto& [name, baseline] :
       {std::pair("popularity", popularity_baseline(data)), {"user_mean", user_mean_baseline(data)}}) {
    baselines.emplace_back(name, evaluated(baseline, HeldOut::test));
  }
  on_first(ranks, [&] {
    add_ids(*model, data);
    run.finish([&](const auto& folder) { model->save(folder); }, scores, baselines);
    print_results(test, baselines);
    return "";
  });
}

}  // namespace sartor
