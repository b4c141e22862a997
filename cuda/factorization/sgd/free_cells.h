// Cells of a grid for threads that take them in any order.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace sartor::cuda {

struct GridCell {
  int64_t users, items;  // blocks
};

// Each cell is taken once, and no two cells with a block in common at the same time.
class FreeCells {
 public:
  // cells: those to be computed, in the order of preference. `blocks` is the number of blocks of each side.
  FreeCells(std::vector<GridCell> cells, int64_t blocks)
      : left_(std::move(cells)), users_busy_(blocks), items_busy_(blocks) {}

  // Waits for a cell that is free. Empty if all have been taken.
  std::optional<GridCell> take() {
    std::unique_lock lock(guard_);
    for (;; given_back_.wait(lock)) {
      if (left_.empty()) return {};
      for (auto cell = left_.begin(); cell != left_.end(); ++cell) {
        if (users_busy_[cell->users] || items_busy_[cell->items]) continue;
        const GridCell taken = *cell;
        left_.erase(cell);
        users_busy_[taken.users] = items_busy_[taken.items] = true;
        return taken;
      }
    }
  }

  void give_back(GridCell cell) {
    {
      const std::lock_guard lock(guard_);
      users_busy_[cell.users] = items_busy_[cell.items] = false;
    }
    given_back_.notify_all();
  }

 private:
  std::mutex guard_;
  std::condition_variable given_back_;
  std::vector<GridCell> left_;
  std::vector<bool> users_busy_, items_busy_;
};

}  // namespace sartor::cuda
