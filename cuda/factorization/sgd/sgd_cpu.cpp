#include "factorization/sgd/sgd_cpu.h"

#include <atomic>
#include <numeric>
#include <span>
#include <thread>
#include <vector>

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "factorization/sgd/free_cells.h"
#include "factorization/sgd/sgd_kernels.h"

namespace sartor::cuda {
namespace {

// Threads take cells round by round, and wait only for the cells that trained on the same users or items before.
template <class Train> void in_rounds(int threads, const SgdTask& task, const Train& train) {
  const int64_t size = task.last_users - task.first_users, blocks = task.grid.blocks;
  std::vector<std::atomic<int64_t>> done(size);  // rounds that each block of users has finished
  const auto wait_for = [&](int64_t users, int64_t rounds) {
    while (done[users].load(std::memory_order_acquire) < rounds) std::this_thread::yield();
  };
  parallel_for(threads, (task.last_round - task.first_round) * size, 1, [&](int64_t cell, int64_t, int) {
    const int64_t round = cell / size, users = cell % size;
    // The items were last those of the next block of users, a round before, or as many rounds as blocks are left out.
    const int64_t distance = users + 1 < size ? 1 : blocks - size + 1;
    wait_for(users, round);
    wait_for((users + 1) % size, round - distance + 1);
    const int64_t block = task.first_users + users;
    train(GridCell{block, (block + task.first_round + round) % blocks});
    done[users].store(round + 1, std::memory_order_release);
  });
}

template <class Train> void in_any_order(int threads, const SgdTask& task, const Train& train) {
  std::vector<GridCell> cells;
  for (int64_t round = task.first_round; round < task.last_round; round++) {
    for (int64_t users = task.first_users; users < task.last_users; users++) {
      cells.push_back({users, (users + round) % task.grid.blocks});
    }
  }
  FreeCells free(std::move(cells), task.grid.blocks);
  parallel_for(threads, threads, 1, [&](int64_t, int64_t, int) {
    while (const auto cell = free.take()) {
      train(*cell);
      free.give_back(*cell);
    }
  });
}

}  // namespace

void sgd_rounds_cpu(Context& context, const SgdTask& task) {
  const CpuBackend& device = cpu(context);
  const SgdKernels& kernels = best_of(device.isa, v3::sgd_kernels, v4::sgd_kernels);
  const int64_t cells = task.grid.blocks * task.grid.blocks;
  std::vector<double> own(task.cell_errors ? 0 : cells);
  const std::span errors(task.cell_errors ? task.cell_errors : own.data(), cells);
  const auto train = [&](GridCell at) {
    const int64_t cell = task.grid.cell(at.users, at.items);
    errors[cell] = kernels.train(task, task.grid.cells[cell], task.grid.cells[cell + 1]);
  };
  if (task.params.deterministic || device.threads == 1) {
    in_rounds(device.threads, task, train);
  } else {
    in_any_order(device.threads, task, train);
  }
  *task.squared_error = std::accumulate(errors.begin(), errors.end(), 0.0);
}

}  // namespace sartor::cuda
