#include "tasks/factors/factorize.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <span>

#include "core/profiler_range.h"
#include "engine/results_table.h"
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

}  // namespace

void factorize(const PreparedConfig& config, const EvaluationConfig& evaluation, const MakeFactorizer& make,
               Runtime& runtime, Run& run) {
  const auto data = datasets::open_prepared(config.path);
  run.record("data_hash", data.data_hash);
  Collective& ranks = run.ranks();
  std::unique_ptr<Factorizer> factorizer = make(data, runtime.context, ranks);
  run.restore(*factorizer);

  const auto evaluated = [&](const TrainedModel& model, HeldOut split) {
    return evaluate(runtime.context, model, data, split, evaluation, ranks);
  };
  for (const auto epoch : run.steps(factorizer->epochs())) {
    ranks.name_step(fmt::format("epoch {}", epoch));
    Scores scores = {{"train", {{"seconds", train_epoch(*factorizer)}}}};
    if (data.validation.size() > 0)
      scores.emplace_back("validation", evaluated(*factorizer->model(), HeldOut::validation));
    run.log(epoch, scores);
    run.checkpoint(epoch, *factorizer);
  }

  ranks.name_step("evaluation");
  const std::unique_ptr<TrainedModel> model = factorizer->model();
  factorizer.reset();  // frees its copy of the ratings before the test evaluation
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
