// Computes results for many batches.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <utility>

#include "models/tensors/transfer.h"
#include "optimization/ahead.h"
#include "runtime/collective.h"

namespace sartor {

// For each batch 0 to count - 1, in order: prepare(i) makes a pointer to it, with `arrival`, compute(batch) its result,
// and use(i, result) gets that on the CPU. On an accelerator, batches are prepared and sent on another thread ahead of
// time, and results are used one batch late, so that neither side waits for the other.
template <class Prepare, class Compute, class Use> void score_batches(int64_t count, const Transfer& transfer,
                                                                      const Prepare& prepare, const Compute& compute,
                                                                      const Use& use) {
  const bool waits = !transfer.copies();
  Ahead<decltype(prepare(0))> ahead(0, count, waits ? 0 : 2, prepare);
  std::deque<std::pair<int64_t, Transfer::Fetch>> results;
  const auto use_all_but = [&](size_t kept) {
    for (; results.size() > kept; results.pop_front()) use(results.front().first, results.front().second.take());
  };
  for (int64_t i = 0; i < count; i++) {
    const auto batch = ahead.next();
    transfer.await(batch->arrival);
    results.emplace_back(i, transfer.fetch(compute(*batch)));
    use_all_but(waits ? 0 : 1);
  }
  use_all_but(0);
}

// The same for the batches that fall to this rank: the ranks take turns.
template <class Prepare, class Compute, class Use> void score_batches(int64_t count, const Collective& ranks,
                                                                      const Transfer& transfer, const Prepare& prepare,
                                                                      const Compute& compute, const Use& use) {
  const auto batch_of = [&](int64_t n) { return ranks.rank() + n * ranks.size(); };
  const int64_t mine = std::max<int64_t>(0, (count - ranks.rank() + ranks.size() - 1) / ranks.size());
  score_batches(
      mine, transfer, [&](int64_t n) { return prepare(batch_of(n)); }, compute,
      [&](int64_t n, const auto& result) { use(batch_of(n), result); });
}

}  // namespace sartor
