#include "tasks/factorize.h"

#include <chrono>

#include "tasks/results_table.h"
#include "tasks/user_ratings.h"

namespace sartor {
namespace {

// What inference needs beside the factors: ids, and what each user has seen.
FactorModel with_ids(FactorModel model, const FactorizationConfig& config, const datasets::Prepared& data) {
  model.users = data.read_user_ids();
  model.items = data.read_item_ids();
  model.popularity_weight = config.popularity_weight;
  model.data_hash = data.data_hash;
  const auto seen = read_items_of({&data.train, &data.validation}, 0, data.users);
  model.seen_offsets = seen.offsets;
  model.seen_items = seen.items;
  return model;
}

}  // namespace

void factorize(const FactorizeConfig& config, Runtime& runtime, Run& run) {
  const auto data = datasets::open_prepared(config.data.path);
  run.record("data_hash", data.data_hash);
  Als model(config.model.als, data, runtime.context);
  run.restore(model);

  const auto judged = [&](HeldOut split) {
    FactorModel factors = model.factors();
    factors.popularity_weight = config.model.popularity_weight;
    return evaluate(runtime.context, factors, data, split, config.evaluation);
  };
  for (const auto epoch : run.epochs(config.model.epochs)) {
    const auto start = std::chrono::steady_clock::now();
    model.train_epoch();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    Scores scores = {{"train", {{"seconds", seconds.count()}}}};
    if (data.validation.size() > 0) scores.emplace_back("validation", judged(HeldOut::validation));
    run.log(epoch, scores);
    run.checkpoint(epoch, model);
  }

  const auto test = judged(HeldOut::test);
  Scores scores = {{"test", test}}, baselines;
  if (data.validation.size() > 0) scores.emplace_back("validation", judged(HeldOut::validation));
  for (const auto& [name, baseline] :
       {std::pair("popularity", popularity_baseline(data)), {"user_mean", user_mean_baseline(data)}}) {
    baselines.emplace_back(name, evaluate(runtime.context, baseline, data, HeldOut::test, config.evaluation));
  }
  run.finish([&](const auto& folder) { with_ids(model.factors(), config.model, data).save(folder); }, scores,
             baselines);
  print_results(test, baselines);
}

}  // namespace sartor
