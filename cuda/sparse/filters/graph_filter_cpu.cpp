#include "sparse/filters/graph_filter_cpu.h"

#include <algorithm>
#include <utility>

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "sparse/filters/filter_kernels.h"

namespace sartor::cuda {
namespace {

// Signals first to last - 1, one per lane of matrices (items, lanes) and (users, lanes).
//
//   b_K = c_K x,   b_k = c_k x + 2 (1 - 2 P) b_{k+1} - b_{k+2},   h(P) x = c_0 x + (1 - 2 P) b_1 - b_2
class Lanes {
 public:
  static int64_t floats(const GraphFilterTask& task, const FilterKernels& kernels) {
    return (2 * task.by_item.rows + task.by_user.rows) * kernels.lanes;
  }

  Lanes(const GraphFilterTask& task, const FilterKernels& kernels, float* memory)
      : task_(task),
        kernels_(kernels),
        next_(memory),
        after_(next_ + task.by_item.rows * kernels.lanes),
        of_users_(after_ + task.by_item.rows * kernels.lanes) {}

  void filter(int64_t first, int64_t last) {
    first_ = first;
    last_ = last;
    std::fill_n(next_, task_.by_item.rows * kernels_.lanes, 0.0f);
    std::fill_n(after_, task_.by_item.rows * kernels_.lanes, 0.0f);
    const int64_t degree = std::ssize(task_.coefficients) - 1;
    add_signals(task_.coefficients[degree], next_);
    for (int64_t k = degree - 1; k >= 0; k--) {
      if (k == degree - 1) {
        multiply_signals(task_.coefficients[degree]);
      } else {
        kernels_.multiply({.matrix = task_.by_user, .right = next_, .to = of_users_, .columns = kernels_.lanes}, 0,
                          task_.by_user.rows);
      }
      const float twice = k == 0 ? 1 : 2;
      kernels_.multiply({.matrix = task_.by_item,
                         .right = of_users_,
                         .to = after_,
                         .columns = kernels_.lanes,
                         .a = -2 * twice,
                         .plus = next_,
                         .b = twice,
                         .c = -1},
                        0, task_.by_item.rows);
      std::swap(next_, after_);
      add_signals(task_.coefficients[k], next_);
    }
    kernels_.transpose(next_, task_.by_item.rows, task_.scale, last - first, task_.filtered.row(first));
  }

 private:
  // Calls use(item, lane, value) for the entries of the signals.
  template <class Use> void each_entry(Use use) const {
    const auto& signals = task_.signals;
    for (int64_t row = first_; row < last_; row++) {
      for (int64_t at = signals.offsets[row]; at < signals.offsets[row + 1]; at++) {
        use(int64_t{signals.columns[at]}, row - first_, signals.values[at]);
      }
    }
  }
  void add_signals(float coefficient, float* to) const {
    each_entry(
        [&](int64_t item, int64_t lane, float value) { to[item * kernels_.lanes + lane] += coefficient * value; });
  }
  // of_users = coefficient R x
  void multiply_signals(float coefficient) const {
    std::fill_n(of_users_, task_.by_user.rows * kernels_.lanes, 0.0f);
    const auto& by_item = task_.by_item;
    each_entry([&](int64_t item, int64_t lane, float value) {
      for (int64_t at = by_item.offsets[item]; at < by_item.offsets[item + 1]; at++) {
        of_users_[int64_t{by_item.columns[at]} * kernels_.lanes + lane] += by_item.values[at] * (coefficient * value);
      }
    });
  }

  const GraphFilterTask& task_;
  const FilterKernels& kernels_;
  float *next_, *after_;  // b_{k+1} and b_{k+2}
  float* of_users_;
  int64_t first_ = 0, last_ = 0;
};

}  // namespace

void graph_filter_cpu(Context& context, const GraphFilterTask& task) {
  const FilterKernels& kernels = filter_kernels(cpu(context).isa);
  const int threads = cpu(context).threads;
  const int64_t own = Lanes::floats(task, kernels);
  auto* const memory = static_cast<float*>(context.scratch(threads * own * sizeof(float)));
  parallel_for(threads, task.signals.rows, kernels.lanes, [&](int64_t begin, int64_t end, int thread) {
    Lanes(task, kernels, memory + thread * own).filter(begin, end);
  });
}

}  // namespace sartor::cuda
