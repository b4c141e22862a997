#include "optimization/sampler.h"

#include <algorithm>
#include <numeric>

#include "base/random.h"
#include "base/require.h"

namespace sartor {
namespace {

constexpr int64_t window_steps = 50;

template <class Value> void shuffle(std::span<Value> values, uint64_t seed) {
  for (auto left = values.size(); left > 1; left--) {
    std::swap(values[left - 1], values[random_bits(seed, left) % left]);
  }
}

}  // namespace

Sampler::Sampler(SamplerConfig config, std::vector<int32_t> lengths, int ranks)
    : config_(config),
      lengths_(std::move(lengths)),
      ranks_(ranks),
      per_step_(config.per_device_batch_size * config.gradient_accumulation_steps * ranks) {
  require(!lengths_.empty(), "nothing to train on: there are no rows");
}

void Sampler::plan(int64_t epoch) {
  if (epoch == planned_) return;
  planned_ = epoch;
  const uint64_t seed = random_bits(static_cast<uint64_t>(config_.seed), static_cast<uint64_t>(epoch));
  order_.resize(lengths_.size());
  std::iota(order_.begin(), order_.end(), 0);
  shuffle(std::span(order_), seed);

  const int64_t steps = steps_per_epoch();
  begins_.resize(steps + 1);
  for (int64_t i = 0; i <= steps; i++) begins_[i] = std::min(i * per_step_, rows());
  if (!config_.group_by_length) return;

  const auto longer = [&](int64_t a, int64_t b) { return lengths_[a] > lengths_[b]; };
  for (int64_t begin = 0; begin < rows(); begin += window_steps * per_step_) {
    const auto end = std::min(begin + window_steps * per_step_, rows());
    std::stable_sort(order_.begin() + begin, order_.begin() + end, longer);
  }
  std::vector<int64_t> turn(steps);  // order of the steps after the second shuffle
  std::iota(turn.begin(), turn.end(), 0);
  shuffle(std::span(turn), random_bits(seed, 1));
  const auto first_row_longer = [&](int64_t a, int64_t b) { return longer(order_[begins_[a]], order_[begins_[b]]); };
  std::iter_swap(turn.begin(), std::min_element(turn.begin(), turn.end(), first_row_longer));

  std::vector<int64_t> shuffled, shuffled_begins = {0};
  for (const int64_t i : turn) {
    shuffled.insert(shuffled.end(), order_.begin() + begins_[i], order_.begin() + begins_[i + 1]);
    shuffled_begins.push_back(std::ssize(shuffled));
  }
  order_ = std::move(shuffled);
  begins_ = std::move(shuffled_begins);
}

std::span<const int64_t> Sampler::step(int64_t step) {
  plan(step / steps_per_epoch());
  const auto within = step % steps_per_epoch();
  return std::span(order_).subspan(begins_[within], begins_[within + 1] - begins_[within]);
}

std::vector<std::span<const int64_t>> Sampler::micro_batches(int64_t step, int rank) {
  const auto all = this->step(step);
  const int64_t per_round = config_.per_device_batch_size * ranks_;
  const int64_t rounds = (std::ssize(all) + per_round - 1) / per_round, pieces = rounds * ranks_;
  const auto begin = [&](int64_t piece) {
    return piece * (std::ssize(all) / pieces) + std::min(piece, std::ssize(all) % pieces);
  };
  std::vector<std::span<const int64_t>> mine;
  for (int64_t round = 0; round < rounds; round++) {
    const int64_t piece = round * ranks_ + rank;
    mine.push_back(all.subspan(begin(piece), begin(piece + 1) - begin(piece)));
  }
  return mine;
}

}  // namespace sartor
