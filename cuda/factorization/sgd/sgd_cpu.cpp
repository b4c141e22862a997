#include "factorization/sgd/sgd_cpu.h"

#include <numeric>
#include <vector>

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "factorization/sgd/free_cells.h"
#include "factorization/sgd/sgd_kernels.h"

namespace sartor::cuda {
namespace {

template <class Train> void in_rounds(int threads, const SgdTask& task, const Train& train) {
  for (int64_t round = task.first_round; round < task.last_round; round++) {
    parallel_for(threads, task.last_users - task.first_users, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t users = task.first_users + begin; users < task.first_users + end; users++) {
        train(GridCell{users, (users + round) % task.grid.blocks});
      }
    });
  }
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
  std::vector<double> errors(task.grid.blocks * task.grid.blocks);
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
