// Sums of vectors whose rounding depends neither on threads nor on processes.
#pragma once

#include <cassert>
#include <cstdint>
#include <span>
#include <vector>

namespace sartor {

// The vectors come in blocks. Each block is added up by one thread of one process, in order, and total() adds the
// blocks in order. Blocks may be added to at the same time.
class OrderedSums {
 public:
  OrderedSums(int64_t blocks, int64_t size) : size_(size), sums_(blocks * size) {}

  void add(int64_t block, std::span<const double> values) {
    assert(std::ssize(values) == size_);
    for (int64_t at = 0; at < size_; at++) sums_[block * size_ + at] += values[at];
  }

  // Adds the elements of `more`, which is as long as values(). Exact if each block is zero in all but one of them.
  void merge(std::span<const double> more) {
    assert(more.size() == sums_.size());
    for (size_t at = 0; at < more.size(); at++) sums_[at] += more[at];
  }

  std::vector<double> total() const {
    std::vector<double> total(size_);
    for (size_t at = 0; at < sums_.size(); at++) total[at % size_] += sums_[at];
    return total;
  }

  std::span<double> values() { return sums_; }  // (blocks, size)
  std::span<const double> values() const { return sums_; }

 private:
  int64_t size_;
  std::vector<double> sums_;
};

}  // namespace sartor
