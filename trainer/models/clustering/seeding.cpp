#include "models/clustering/seeding.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "clustering/kmeans.h"
#include "core/cpu_backend.h"
#include "core/parallel_for.h"

namespace sartor {
namespace {

constexpr int64_t block = 4096;  // rows whose distances are summed together
constexpr int64_t width = cuda::most_candidates;

double uniform(uint64_t seed, uint64_t index) { return static_cast<double>(random_bits(seed, index) >> 11) * 0x1p-53; }

class SpreadRows {
 public:
  SpreadRows(cuda::Context& cpu, cuda::Rows<const float> rows)
      : context_(cpu),
        rows_(rows),
        blocks_((rows.rows + block - 1) / block),
        closest_(rows.rows, INFINITY),
        distances_(rows.rows * width) {}

  // Chooses the best of the candidates.
  int64_t take(const std::vector<int64_t>& candidates) {
    std::vector<float> chosen;
    for (const int64_t row : candidates) chosen.insert(chosen.end(), rows_.row(row), rows_.row(row) + rows_.columns);
    const auto count = std::ssize(candidates);
    cuda::candidate_distances(context_, {rows_, {chosen.data(), count, rows_.columns}, distances_.data()});
    const auto potentials = sum_if_taken();
    const auto total = [&](int64_t t) {
      double sum = 0;
      for (const auto& each : potentials) sum += each[t];
      return sum;
    };
    int64_t best = 0;
    for (int64_t t = 1; t < count; t++) {
      if (total(t) < total(best)) best = t;
    }
    sums_.clear();
    for (const auto& each : potentials) sums_.push_back(each[best]);
    each_block([&](int64_t begin, int64_t end, int64_t) {
      for (int64_t r = begin; r < end; r++) closest_[r] = std::min(closest_[r], distances_[r * width + best]);
    });
    return candidates[best];
  }

  // The row at which the running sum of the squared distances exceeds this part of their sum.
  int64_t at(double part) const {
    double left = part * std::accumulate(sums_.begin(), sums_.end(), 0.0);
    int64_t b = 0;
    for (; b < blocks_ - 1 && left >= sums_[b]; b++) left -= sums_[b];
    int64_t last = b * block;  // the last row with a distance above 0, because sums are rounded
    for (int64_t r = b * block; r < std::min((b + 1) * block, rows_.rows); r++) {
      if (closest_[r] > 0) last = r;
      left -= static_cast<double>(closest_[r]);
      if (left < 0) return r;
    }
    return last;
  }

 private:
  // Sums of each block's squared distances if a candidate is taken.
  std::vector<std::array<double, width>> sum_if_taken() const {
    std::vector<std::array<double, width>> sums(blocks_);
    each_block([&](int64_t begin, int64_t end, int64_t b) {
      for (int64_t r = begin; r < end; r++) {
        for (int64_t t = 0; t < width; t++) {
          sums[b][t] += static_cast<double>(std::min(closest_[r], distances_[r * width + t]));
        }
      }
    });
    return sums;
  }

  template <class Use> void each_block(Use use) const {
    cuda::parallel_for(cuda::cpu(context_).threads, blocks_, 1,
                       [&](int64_t b, int64_t, int) { use(b * block, std::min((b + 1) * block, rows_.rows), b); });
  }

  cuda::Context& context_;
  cuda::Rows<const float> rows_;
  int64_t blocks_;
  std::vector<float> closest_;    // (N) squared distance to the nearest row chosen
  std::vector<float> distances_;  // (N, width) squared distances to the candidates
  std::vector<double> sums_;      // (blocks) of closest_
};

}  // namespace

std::vector<int64_t> choose_spread_rows(cuda::Context& cpu, cuda::Rows<const float> rows, int64_t count,
                                        uint64_t seed) {
  const auto tries = std::min<int64_t>(2 + static_cast<int64_t>(std::log(static_cast<double>(count))), width);
  SpreadRows spread(cpu, rows);
  std::vector<int64_t> chosen = {
      spread.take({static_cast<int64_t>(uniform(seed, 0) * static_cast<double>(rows.rows))})};
  while (std::ssize(chosen) < count) {
    std::vector<int64_t> candidates;
    for (int64_t t = 0; t < tries; t++) candidates.push_back(spread.at(uniform(seed, chosen.size() * width + t)));
    chosen.push_back(spread.take(candidates));
  }
  return chosen;
}

std::vector<int64_t> choose_random_rows(int64_t rows, int64_t count, uint64_t seed) {
  std::vector<int64_t> order(rows);
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = 0; i < count; i++) {
    const auto left = static_cast<double>(rows - i);
    std::swap(order[i], order[i + static_cast<int64_t>(uniform(seed, i) * left)]);
  }
  order.resize(count);
  return order;
}

}  // namespace sartor
