// Runs penalize() and sample() on host data, and what they are compared with: double loops in double precision.
#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "decoding/sampling.h"
#include "support/backends.h"

namespace sartor::cuda {

constexpr float infinity = std::numeric_limits<float>::infinity();
const float nan_logit = std::numeric_limits<float>::quiet_NaN();

// A history on the host: per row its tokens and the number of those that are the prompt.
struct History {
  std::vector<std::vector<int32_t>> tokens;
  std::vector<int32_t> prompts;

  int64_t stride() const {
    int64_t longest = 0;
    for (const auto& row : tokens) longest = std::max<int64_t>(longest, std::ssize(row));
    return longest + 3;
  }
};

// The same in the memory of a context.
class DeviceHistory {
 public:
  DeviceHistory(Context& context, const History& history) : stride_(history.stride()) {
    std::vector<int32_t> ids(std::ssize(history.tokens) * stride_, -1), lengths;
    for (int64_t r = 0; r < std::ssize(history.tokens); r++) {
      std::copy(history.tokens[r].begin(), history.tokens[r].end(), ids.begin() + r * stride_);
      lengths.push_back(static_cast<int32_t>(history.tokens[r].size()));
    }
    ids_ = upload(context, ids);
    lengths_ = upload(context, lengths);
    prompts_ = upload(context, history.prompts);
  }
  TokenHistory view() const { return {ids_.data(), stride_, lengths_.data(), prompts_.data()}; }
  std::vector<int32_t> lengths() const { return lengths_.to_host(); }
  std::vector<int32_t> ids() const { return ids_.to_host(); }

 private:
  int64_t stride_;
  DeviceBuffer<int32_t> ids_, lengths_, prompts_;
};

struct Penalties {
  PenaltyParams params;
  std::vector<std::vector<int32_t>> banned;
  std::vector<int32_t> end_ids;
};

inline Matrix run_penalize(Context& context, const Matrix& logits, const History& history, const Penalties& rules,
                           const LastTokens& last = {}) {
  const DeviceRows input(context, logits), output(context, Matrix(logits.rows, logits.columns));
  const DeviceHistory tokens(context, history);
  std::vector<int32_t> offsets = {0}, banned;
  for (const auto& sequence : rules.banned) {
    banned.insert(banned.end(), sequence.begin(), sequence.end());
    offsets.push_back(static_cast<int32_t>(banned.size()));
  }
  const auto banned_offsets = upload(context, offsets), banned_ids = upload(context, banned);
  const auto end_ids = upload(context, rules.end_ids);
  penalize(context, {.logits = input.view(),
                     .history = tokens.view(),
                     .last = last,
                     .params = rules.params,
                     .banned = {std::ssize(rules.banned), banned_offsets.data(), banned_ids.data()},
                     .end_ids = end_ids.data(),
                     .ends = end_ids.size(),
                     .processed = output.view()});
  return output.download();
}

struct Sampled {
  std::vector<int32_t> ids;
  std::vector<float> log_probabilities, sampled_log_probabilities;
};

// `model` null: the logits themselves.
inline Sampled run_sample(Context& context, const Matrix& logits, const std::vector<Draw>& draws,
                          const SamplingParams& params, const Matrix* model = nullptr,
                          const TokenHistory& append = {}) {
  const DeviceRows input(context, logits), model_input(context, model ? *model : Matrix());
  const auto names = upload(context, draws);
  const DeviceBuffer<int32_t> ids(context, logits.rows);
  const DeviceBuffer<float> own(context, logits.rows), sampled(context, logits.rows);
  sample(context, {.logits = input.view(),
                   .model_logits = model ? model_input.view() : input.view(),
                   .draws = names.data(),
                   .params = params,
                   .ids = ids.data(),
                   .log_probabilities = own.data(),
                   .sampled_log_probabilities = sampled.data(),
                   .append = append});
  return {ids.to_host(), own.to_host(), sampled.to_host()};
}

// Draws with different names.
inline std::vector<Draw> draws(int64_t count, int64_t first = 0) {
  std::vector<Draw> names;
  for (int64_t i = first; i < first + count; i++)
    names.push_back({i / 10, static_cast<int32_t>(i % 10), static_cast<int32_t>(i % 7)});
  return names;
}

// `count` copies of a row.
inline Matrix repeated(const std::vector<float>& row, int64_t count) {
  Matrix rows(count, std::ssize(row));
  for (int64_t r = 0; r < count; r++) std::copy(row.begin(), row.end(), rows.row(r));
  return rows;
}

// Softmax in double precision; -inf and NaN have no probability.
inline std::vector<double> naive_softmax(const std::vector<double>& scores) {
  double largest = -infinity, total = 0;
  for (const double score : scores) largest = score > largest ? score : largest;
  std::vector<double> probabilities;
  for (const double score : scores) {
    probabilities.push_back(score == largest ? 1 : score > -infinity ? std::exp(score - largest) : 0);
    total += probabilities.back();
  }
  for (double& p : probabilities) p /= total;
  return probabilities;
}

// The distribution that sample() draws from, as transformers' TemperatureLogitsWarper, TopKLogitsWarper,
// TopPLogitsWarper and MinPLogitsWarper define it one after the other, except that ties at top_p go to the lower id.
inline std::vector<double> naive_distribution(const std::vector<float>& logits, const SamplingParams& params) {
  std::vector<double> scores;
  for (const float logit : logits) scores.push_back(logit / static_cast<double>(params.temperature));
  if (params.top_k > 0) {
    auto sorted = scores;
    std::sort(sorted.begin(), sorted.end(), std::greater());
    const double least = sorted[std::min<size_t>(params.top_k, sorted.size()) - 1];
    for (double& score : scores) score = score < least ? -infinity : score;
  }
  if (params.top_p < 1) {
    const auto probabilities = naive_softmax(scores);
    std::vector<int64_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
    double mass = 0;
    for (int64_t rank = 0; rank < std::ssize(order); rank++) {
      if (rank > 0 && mass >= params.top_p - 1e-9) scores[order[rank]] = -infinity;
      mass += probabilities[order[rank]];
    }
  }
  auto probabilities = naive_softmax(scores);
  const double largest = *std::max_element(probabilities.begin(), probabilities.end());
  for (size_t i = 0; i < scores.size(); i++) {
    if (probabilities[i] < params.min_p * largest * (1 - 1e-9)) scores[i] = -infinity;
  }
  return naive_softmax(scores);
}

}  // namespace sartor::cuda
