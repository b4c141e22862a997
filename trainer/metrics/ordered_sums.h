// Sums of vectors whose rounding does not depend on how the vectors are divided among processes.
#pragma once

#include <cassert>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace sartor {

// Adds vectors in the order in which they are given. Of several processes with consecutive parts of the vectors, only
// the first one adds them at once. The others postpone: they keep their vectors until start_from() gives them the sums
// of those before.
class OrderedSums {
 public:
  explicit OrderedSums(int64_t size, bool postponed = false) : sums_(size), postponed_(postponed) {}

  void add(std::span<const double> values) {
    assert(values.size() == sums_.size());
    if (postponed_) {
      kept_.insert(kept_.end(), values.begin(), values.end());
    } else {
      for (size_t at = 0; at < sums_.size(); at++) sums_[at] += values[at];
    }
  }

  // The sums become `sums`, to which postponed vectors are added.
  void start_from(std::span<const double> sums) {
    assert(sums.size() == sums_.size());
    sums_.assign(sums.begin(), sums.end());
    postponed_ = false;
    const std::vector<double> kept = std::exchange(kept_, {});
    for (size_t at = 0; at < kept.size(); at += sums_.size()) add(std::span(kept).subspan(at, sums_.size()));
  }

  const std::vector<double>& sums() const { return sums_; }

 private:
  std::vector<double> sums_, kept_;
  bool postponed_;
};

}  // namespace sartor
