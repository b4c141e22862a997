// Exchange between the ranks of contrastive_epoch on CPUs.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "factorization/ranking/contrastive.h"
#include "factorization/ranking/contrastive_kernels.h"

namespace sartor::cuda {

// Each rank computes contiguous slots of a batch and then gets those of the others, so that all update the same items.
class BatchExchange {
 public:
  struct Slots {
    int64_t begin, end;
  };

  // tile: slots that are computed together.
  BatchExchange(const ContrastiveTask& task, int64_t tile)
      : task_(task), tile_(tile), sends_shares_(task.params.history_weight > 0) {}

  // The slots of this rank in a batch of so many users.
  Slots own(int64_t users) const { return slots_of(task_.peers ? task_.peers->rank() : 0, users); }

  // Completes the users' shares, rows and squares, and the negatives that were found for each. All directions must have
  // been computed.
  void run(std::span<const BatchUser> users, std::vector<std::vector<int32_t>>& found);

 private:
  Slots slots_of(int64_t rank, int64_t users) const;
  void exchange_numbers(std::span<const BatchUser> users, const std::vector<std::vector<int32_t>>& found);
  void exchange_negatives(int64_t users, std::vector<std::vector<int32_t>>& found);
  int64_t width() const;
  int64_t found_by(int64_t slot) const;

  const ContrastiveTask& task_;
  int64_t tile_;
  bool sends_shares_;           // otherwise a share follows from the direction
  std::vector<float> numbers_;  // of each user: row, share, squares, and how many negatives were found
  std::vector<int32_t> negatives_;
};

}  // namespace sartor::cuda
