// Trains sgd on a prepared file and prints the seconds, including the reading and shuffling of the ratings, and the
// RMSE of the test ratings as one line of JSON.
//
//   sgd_bench FILE THREADS FACTORS EPOCHS LEARNING_RATE DECAY REGULARIZATION
#include <fmt/core.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "models/factorization/gradient/sgd.h"

namespace sartor {
namespace {

double test_rmse(const TrainedModel& model, const datasets::StoredRatings& test) {
  UserRatings ratings = {.offsets = test.offsets(), .items = {}, .values = {}};
  ratings.items.resize(test.size());
  ratings.values.resize(test.size());
  test.read(0, test.rows(), ratings.items, ratings.values);
  const auto predicted = model.predict(0, ratings);
  double squares = 0;
  for (size_t at = 0; at < predicted.size(); at++) squares += std::pow(predicted[at] - ratings.values[at], 2);
  return std::sqrt(squares / static_cast<double>(test.size()));
}

int run(char** words) {
  auto context = cuda::Context::cpu(std::atoi(words[2]));
  const auto data = datasets::open_prepared(words[1]);
  SgdConfig config;
  config.factors = std::atoll(words[3]);
  config.epochs = std::atoll(words[4]);
  config.learning_rate = std::strtof(words[5], nullptr);
  config.bias_learning_rate = config.learning_rate / 2;
  config.learning_rate_decay = std::strtof(words[6], nullptr);
  config.regularization = std::strtof(words[7], nullptr);
  config.bias_regularization = config.regularization / 8;
  const auto start = std::chrono::steady_clock::now();
  Sgd sgd(config, data, context);
  for (int64_t epoch = 0; epoch < config.epochs; epoch++) sgd.train_epoch();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  fmt::print("{{\"seconds\": {:.6f}, \"rmse\": {:.6f}}}\n", seconds, test_rmse(*sgd.model(), data.test));
  return 0;
}

}  // namespace
}  // namespace sartor

int main(int count, char** words) {
  if (count == 8) return sartor::run(words);
  std::fputs("usage: sgd_bench FILE THREADS FACTORS EPOCHS LEARNING_RATE DECAY REGULARIZATION\n", stderr);
  return 2;
}
