// A CPU that counts what some operations work on.
#pragma once

#include "core/cpu_backend.h"
#include "factorization/ranking/bpr.h"
#include "factorization/sgd/sgd.h"
#include "operations.h"
#include "sparse/filters/multiply_sparse.h"
#include "sparse/row_similarity.h"

namespace sartor::testing {

class CountingCpu : public cuda::CpuBackend {
 public:
  // Where the counts are added up: searched or multiplied rows, and trained ratings or pairs.
  explicit CountingCpu(int threads, int64_t& counted)
      : CpuBackend(threads, cuda::best_isa(cuda::Isa::v4_vnni)), counted_(counted), table_(CpuBackend::operations()) {
    table_.row_similarity = [](cuda::Context& context, const cuda::RowSimilarityTask& task) {
      of(context).counted_ += task.queries.rows;
      of(context).plain().row_similarity(context, task);
    };
    table_.multiply_sparse = [](cuda::Context& context, const cuda::MultiplySparseTask& task) {
      of(context).counted_ += task.left.rows;
      of(context).plain().multiply_sparse(context, task);
    };
    table_.sgd_rounds = [](cuda::Context& context, const cuda::SgdTask& task) {
      for (int64_t round = task.first_round; round < task.last_round; round++) {
        of(context).add_cells(task.grid.cells, task.grid.blocks, task.first_users, task.last_users, round);
      }
      of(context).plain().sgd_rounds(context, task);
    };
    table_.bpr_epoch = [](cuda::Context& context, const cuda::BprTask& task) {
      for (int64_t diagonal = task.first_diagonal; diagonal < task.last_diagonal; diagonal++) {
        of(context).add_cells(task.cells, task.blocks, task.first_row, task.last_row, diagonal);
      }
      of(context).plain().bpr_epoch(context, task);
    };
  }

  const cuda::Operations& operations() const override { return table_; }

 private:
  static CountingCpu& of(cuda::Context& context) { return static_cast<CountingCpu&>(context.backend()); }
  const cuda::Operations& plain() const { return CpuBackend::operations(); }

  void add_cells(const int64_t* cells, int64_t blocks, int64_t first, int64_t last, int64_t round) const {
    for (int64_t users = first; users < last; users++) {
      const int64_t cell = users * blocks + (users + round) % blocks;
      counted_ += cells[cell + 1] - cells[cell];
    }
  }

  int64_t& counted_;
  cuda::Operations table_;
};

}  // namespace sartor::testing
