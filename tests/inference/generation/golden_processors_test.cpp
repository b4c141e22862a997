// Penalties and filters of sampling leave the distributions that transformers' logits processors leave.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <set>

#include "decoding/sampling.h"
#include "inference/generation/golden_support.h"

namespace sartor::inference {
namespace {

using testing::golden;
using testing::json;

constexpr float forbidden = -std::numeric_limits<float>::infinity();

struct Matrix {
  int64_t rows = 0, columns = 0;
  std::vector<float> values;

  explicit Matrix(const json& golden) : rows(std::ssize(golden)), columns(std::ssize(golden[0])) {
    for (const auto& row : golden) {
      for (const auto& value : row) values.push_back(value.is_null() ? forbidden : value.get<float>());
    }
  }
  Matrix(int64_t rows, int64_t columns) : rows(rows), columns(columns), values(rows * columns) {}

  cuda::Rows<float> view() { return {values.data(), rows, columns}; }
  std::span<const float> row(int64_t index) const { return std::span(values).subspan(index * columns, columns); }
};

struct Phrases {
  std::vector<int32_t> offsets = {0}, ids;

  explicit Phrases(const json& phrases) {
    for (const auto& phrase : phrases) {
      for (const int32_t id : phrase) ids.push_back(id);
      offsets.push_back(static_cast<int32_t>(ids.size()));
    }
  }
  cuda::BannedTokens view() const { return {std::ssize(offsets) - 1, offsets.data(), ids.data()}; }
};

Matrix penalized(const json& file, const json& each) {
  auto logits = Matrix(each["logits"]);
  Matrix processed(logits.rows, logits.columns);
  std::vector<int32_t> history;
  for (const auto& row : file["history"]) history.insert(history.end(), row.begin(), row.end());
  const auto stride = std::ssize(file["history"][0]);
  std::vector<int32_t> lengths(logits.rows, static_cast<int32_t>(stride)), prompts(logits.rows, each["prompt"]);
  const auto& settings = each["settings"];
  const Phrases banned(settings.value("bad_words_ids", json::array()));
  const auto ends = file["ends"].get<std::vector<int32_t>>();
  auto context = cuda::Context::cpu(1);
  cuda::penalize(context, {.logits = logits.view(),
                           .history = {history.data(), stride, lengths.data(), prompts.data()},
                           .params = {.repetition = settings.value("repetition_penalty", 1.0f),
                                      .no_repeat_ngram = settings.value("no_repeat_ngram_size", 0),
                                      .min_new_tokens = settings.value("min_new_tokens", 0)},
                           .banned = banned.view(),
                           .end_ids = ends.data(),
                           .ends = std::ssize(ends),
                           .processed = processed.view()});
  return processed;
}

double log_sum(std::span<const float> logits) {
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x));
  return std::log(sum);
}

TEST(GoldenProcessors, ChangeTheLogitsAsInTransformers) {
  const auto file = golden("generate_processors.json");
  for (const auto& each : file["cases"]) {
    const auto found = penalized(file, each), expected = Matrix(each["processed"]);
    for (size_t i = 0; i < expected.values.size(); i++) {
      const float most = 1e-6f * std::abs(expected.values[i]);
      if (std::isinf(expected.values[i])) {
        EXPECT_EQ(found.values[i], forbidden) << each["settings"] << " at " << i;
      } else {
        EXPECT_NEAR(found.values[i], expected.values[i], most) << each["settings"] << " at " << i;
      }
    }
  }
}

// Draws so often that every token of noticeable probability occurs.
TEST(GoldenProcessors, LeaveTheDistributionOfTransformers) {
  constexpr int32_t draws = 4000;
  const auto file = golden("generate_processors.json");
  for (const auto& each : file["cases"]) {
    auto processed = penalized(file, each);
    const auto expected = Matrix(each["sampled"]), raw = Matrix(each["logits"]);
    const auto& settings = each["settings"];
    for (int64_t row = 0; row < expected.rows; row++) {
      Matrix repeated(draws, expected.columns), model(draws, expected.columns);
      std::vector<cuda::Draw> names(draws);
      for (int32_t draw = 0; draw < draws; draw++) {
        std::ranges::copy(processed.row(row), repeated.view().row(draw));
        std::ranges::copy(raw.row(row), model.view().row(draw));
        names[draw] = {.row = row, .variant = draw, .position = 9};
      }
      std::vector<int32_t> ids(draws);
      std::vector<float> of_model(draws), of_sampled(draws);
      auto context = cuda::Context::cpu(1);
      cuda::sample(context, {.logits = repeated.view(),
                             .model_logits = model.view(),
                             .draws = names.data(),
                             .params = {.greedy = false,
                                        .temperature = settings.value("temperature", 1.0f),
                                        .top_k = settings.value("top_k", 0),
                                        .top_p = settings.value("top_p", 1.0f),
                                        .min_p = settings.value("min_p", 0.0f)},
                             .ids = ids.data(),
                             .log_probabilities = of_model.data(),
                             .sampled_log_probabilities = of_sampled.data()});
      const auto kept = expected.row(row);
      const double sum = log_sum(kept), raw_sum = log_sum(raw.row(row));
      std::set<int32_t> drawn, noticeable;
      for (int32_t draw = 0; draw < draws; draw++) {
        const int32_t id = ids[draw];
        drawn.insert(id);
        ASSERT_TRUE(std::isfinite(kept[id])) << settings << " row " << row << " token " << id;
        ASSERT_NEAR(of_sampled[draw], kept[id] - sum, 1e-4) << settings << " row " << row;
        ASSERT_NEAR(of_model[draw], raw.row(row)[id] - raw_sum, 1e-4) << settings << " row " << row;
      }
      for (int32_t id = 0; id < std::ssize(kept); id++) {
        if (kept[id] - sum > std::log(0.005)) noticeable.insert(id);
      }
      EXPECT_TRUE(std::ranges::includes(drawn, noticeable)) << settings << " row " << row;
    }
  }
}

}  // namespace
}  // namespace sartor::inference
