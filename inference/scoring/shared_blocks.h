// Shares blocks of queries among the ranks of a task.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/collective.h"
#include "runtime/signals.h"
#include "scoring/pair_blocks.h"

namespace sartor::inference {

// Numbers and vectors of numbers as bytes, for another process of the same program.
class BytesOut {
 public:
  template <class T> void operator()(const T& number) { put(&number, sizeof number); }
  template <class T> void operator()(const std::vector<T>& numbers) {
    (*this)(numbers.size());
    put(numbers.data(), numbers.size() * sizeof(T));
  }
  std::string take() { return std::move(bytes_); }

 private:
  void put(const void* data, size_t size) { bytes_.append(static_cast<const char*>(data), size); }

  std::string bytes_;
};

class BytesIn {
 public:
  explicit BytesIn(std::string_view bytes) : bytes_(bytes) {}
  template <class T> void operator()(T& number) { get(&number, sizeof number); }
  template <class T> void operator()(std::vector<T>& numbers) {
    size_t size = 0;
    (*this)(size);
    numbers.resize(size);
    get(numbers.data(), size * sizeof(T));
  }
  bool empty() const { return bytes_.empty(); }

 private:
  void get(void* data, size_t size) {
    std::memcpy(data, bytes_.data(), size);
    bytes_.remove_prefix(size);
  }

  std::string_view bytes_;
};

// Shares queries with k results each. The queries come in rounds, whose blocks the ranks take whenever they are free.
// Or all ranks process all blocks, each with its part of a catalogue, and rank 0 merges the results. Rank 0 uses the
// results of a round while the others find those of the next one.
class SharedBlocks {
 public:
  SharedBlocks(Collective& ranks, int64_t k, bool by_parts = false)
      : ranks_(ranks), k_(k), by_parts_(by_parts && ranks.size() > 1) {}

  // Number of queries in a round, except the last one: a block for a single process. For several ranks as many blocks
  // as keep all of them busy, which rank 0 holds in memory: up to 128 MiB or a block per rank, whichever is more.
  int64_t queries_in_round() const {
    const int64_t block = queries_in_block(k_), ranks = ranks_.size();
    if (ranks == 1) return block;
    constexpr int64_t most_pairs_in_round = 1 << 24;
    if (by_parts_) return block * std::max<int64_t>(most_pairs_in_round / (block * k_ * ranks), 1);
    return block * std::max(std::min(8 * ranks, most_pairs_in_round / (block * k_)), ranks);
  }

  // Calls find(first, count) for every block of `queries` queries, each on one rank or, by parts, on all of them, and
  // use(first, count, found) for all of them in order on rank 0. `Found` has transfer(visit), which visits its members
  // for BytesOut and BytesIn, and merge(found), for the results of the same block in another part. All ranks must make
  // the same calls. Throws Stopped on all ranks if one has received a stop signal.
  template <class Found, class Find, class Use> void round(int64_t queries, Find find, Use use) {
    if (ranks_.size() == 1) {
      return for_each_block(queries, k_, [&](int64_t first, int64_t count) {
        use(first, count, find(first, count));
        stop_if_asked();
      });
    }
    const auto all = ranks_.gather_on_first(by_parts_ ? find_all(queries, find) : find_mine(queries, find));
    if (!ranks_.first()) return;
    std::vector<Found> found(blocks_of(queries));
    for (const auto& each : all) {
      for (BytesIn in(each); !in.empty();) {
        int64_t block = 0;
        in(block);
        if (!by_parts_ || &each == &all[0]) {
          found[block].transfer(in);
        } else {
          Found part;
          part.transfer(in);
          found[block].merge(part);
        }
      }
    }
    for_each_block(queries, k_, [&](int64_t first, int64_t count) { use(first, count, found[blocks_of(first)]); });
  }

 private:
  int64_t blocks_of(int64_t queries) const {
    const int64_t block = queries_in_block(k_);
    return (queries + block - 1) / block;
  }

  // The results of the blocks that this rank takes in this round.
  template <class Find> std::string find_mine(int64_t queries, Find find) {
    const std::string counter = fmt::format("blocks of round {}", rounds_++);
    const int64_t size = queries_in_block(k_), blocks = blocks_of(queries);
    BytesOut out;
    while (stop_signal() == 0) {
      const int64_t block = ranks_.next(counter);
      if (block >= blocks) break;
      auto found = find(block * size, std::min(size, queries - block * size));
      out(block);
      found.transfer(out);
    }
    stop_if_asked();
    return out.take();
  }

  // The results of all blocks in this rank's part.
  template <class Find> std::string find_all(int64_t queries, Find find) {
    BytesOut out;
    for (int64_t block = 0; block < blocks_of(queries) && stop_signal() == 0; block++) {
      const int64_t size = queries_in_block(k_), first = block * size;
      auto found = find(first, std::min(size, queries - first));
      out(block);
      found.transfer(out);
    }
    stop_if_asked();
    return out.take();
  }

  void stop_if_asked() const {
    if (const int signal = stop_signal_of_any(ranks_)) throw Stopped(signal, "stopped, nothing written");
  }

  Collective& ranks_;
  int64_t k_;
  bool by_parts_;
  int64_t rounds_ = 0;
};

}  // namespace sartor::inference
