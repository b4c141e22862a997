#include "clustering/linkage_cpu.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "clustering/linkage_kernels.h"
#include "core/cpu_backend.h"
#include "core/parallel_for.h"

namespace sartor::cuda {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

int64_t panels_of(int64_t rows) { return (rows + linkage_panel - 1) / linkage_panel; }

// Rows as panels of columns, for LinkageKernels::squares.
class Panels {
 public:
  Panels(Rows<const float> rows, float* memory) : d_(rows.columns), data_(memory) {
    for (int64_t r = 0; r < panels_of(rows.rows) * linkage_panel; r++) {
      float* to = data_ + r / linkage_panel * d_ * linkage_panel + r % linkage_panel;
      for (int64_t c = 0; c < d_; c++) to[c * linkage_panel] = r < rows.rows ? rows.row(r)[c] : 0;
    }
  }

  static int64_t floats(int64_t rows, int64_t d) { return panels_of(rows) * linkage_panel * d; }
  const float* operator[](int64_t panel) const { return data_ + panel * d_ * linkage_panel; }

 private:
  int64_t d_;
  float* data_;
};

std::vector<double> doubles_of(Rows<const float> rows, int64_t first, int64_t count) {
  return {rows.row(first), rows.row(first + count)};
}

// ---- single linkage ----

std::vector<RowMerge> grow_tree(const LinkageTask& task, const LinkageKernels& kernels, const Panels& panels,
                                double* scratch) {
  const auto& rows = task.rows;
  const int64_t n = rows.rows, padded = panels_of(n) * linkage_panel;
  double *nearest = scratch, *penalties = nearest + padded, *squares = penalties + padded;
  std::fill_n(nearest, padded, infinity);
  std::fill_n(penalties, padded, 0.0);
  std::vector<RowMerge> merges;
  for (int64_t last = 0; std::ssize(merges) < n - 1;) {
    penalties[last] = infinity;  // is in the tree
    const auto x = doubles_of(rows, last, 1);
    for (int64_t p = 0; p < panels_of(n); p++) {
      kernels.squares(x.data(), 1, rows.columns, panels[p], squares + p * linkage_panel, padded);
    }
    kernels.lower(squares, n, nearest);
    double least = infinity;
    const int64_t next = std::max<int64_t>(kernels.first_minimum(nearest, penalties, n, least), 0);
    merges.push_back({last, next, std::sqrt(least)});
    last = next;
  }
  return merges;
}

// ---- the others ----

// Distances between clusters, in slots. A cluster is called by one of its rows.
class DistanceMatrix {
 public:
  DistanceMatrix(const LinkageTask& task, const LinkageKernels& kernels, double* memory)
      : method_(task.method),
        kernels_(kernels),
        slots_(task.rows.rows),
        stride_(slots_),
        live_(slots_),
        values_(memory),
        sizes_(slots_, 1),
        penalties_(slots_, 0),
        rows_(slots_) {
    std::iota(rows_.begin(), rows_.end(), 0);
  }

  void compute(Rows<const float> rows, const Panels& panels, int threads);

  int64_t live() const { return live_; }
  int64_t row_of(int64_t slot) const { return rows_[slot]; }
  int64_t first_live() const { return std::ranges::find(penalties_, 0.0) - penalties_.begin(); }
  double at(int64_t x, int64_t y) const { return values_[x * stride_ + y]; }

  // First of the clusters nearest to x if it is nearer than `least`, which becomes its distance; otherwise -1.
  int64_t nearest(int64_t x, double& least) const {
    return kernels_.first_minimum(values_ + x * stride_, penalties_.data(), slots_, least);
  }

  // Merges two clusters into slot y.
  void unite(int64_t x, int64_t y);

  // Removes empty slots if they are half of all. Returns the new number of each slot, or nothing.
  std::vector<int64_t> compact();

 private:
  Linkage method_;
  const LinkageKernels& kernels_;
  int64_t slots_, stride_, live_;
  double* values_;  // (slots, stride); infinite on the diagonal
  std::vector<double> sizes_, penalties_;
  std::vector<int64_t> rows_;
};

// Computes blocks on and above the diagonal, and writes each a second time, transposed.
void DistanceMatrix::compute(Rows<const float> rows, const Panels& panels, int threads) {
  const int64_t blocks = panels_of(slots_), d = rows.columns;
  parallel_for(threads, blocks, 1, [&](int64_t i, int64_t, int) {
    const int64_t first = i * linkage_panel, count = std::min(linkage_panel, slots_ - first);
    const auto x = doubles_of(rows, first, count);
    double block[linkage_panel * linkage_panel];
    for (int64_t j = i; j < blocks; j++) {
      kernels_.squares(x.data(), count, d, panels[j], block, linkage_panel);
      const int64_t other = j * linkage_panel, others = std::min(linkage_panel, slots_ - other);
      if (method_ == Linkage::average) {
        for (double& value : block) value = std::sqrt(value);
      }
      for (int64_t r = 0; r < count; r++) {
        std::copy_n(block + r * linkage_panel, others, values_ + (first + r) * stride_ + other);
      }
      for (int64_t c = 0; c < others && j > i; c++) {
        double* to = values_ + (other + c) * stride_ + first;
        for (int64_t r = 0; r < count; r++) to[r] = block[r * linkage_panel + c];
      }
    }
  });
  for (int64_t slot = 0; slot < slots_; slot++) values_[slot * stride_ + slot] = infinity;
}

void DistanceMatrix::unite(int64_t x, int64_t y) {
  double* row = values_ + y * stride_;
  kernels_.unite(method_, values_ + x * stride_, row, sizes_.data(), slots_, sizes_[x], sizes_[y], at(x, y));
  row[y] = infinity;
  penalties_[x] = infinity;
  sizes_[y] += sizes_[x];
  live_--;
  for (int64_t slot = 0; slot < slots_; slot++) {
    if (penalties_[slot] == 0) values_[slot * stride_ + y] = row[slot];
  }
}

std::vector<int64_t> DistanceMatrix::compact() {
  if (2 * live_ > slots_ || live_ < 64) return {};
  std::vector<int64_t> kept, places(slots_, -1);
  for (int64_t slot = 0; slot < slots_; slot++) {
    if (penalties_[slot] != 0) continue;
    places[slot] = std::ssize(kept);
    kept.push_back(slot);
  }
  for (int64_t to = 0; to < live_; to++) {
    const double* from = values_ + kept[to] * stride_;
    for (int64_t c = 0; c < live_; c++) values_[to * live_ + c] = from[kept[c]];
    sizes_[to] = sizes_[kept[to]];
    rows_[to] = rows_[kept[to]];
  }
  slots_ = stride_ = live_;
  sizes_.resize(live_);
  rows_.resize(live_);
  penalties_.assign(live_, 0);
  return places;
}

// Merges pairs of clusters that are each other's nearest, at the end of a chain of nearest neighbors.
std::vector<RowMerge> follow_chains(const LinkageTask& task, DistanceMatrix& matrix) {
  std::vector<RowMerge> merges;
  std::vector<int64_t> chain;
  while (matrix.live() > 1) {
    if (chain.empty()) chain.push_back(matrix.first_live());
    int64_t x = chain.back(), y = chain.size() > 1 ? chain[chain.size() - 2] : -1;
    double least = y >= 0 ? matrix.at(x, y) : infinity;
    const int64_t nearer = matrix.nearest(x, least);
    if (nearer >= 0 || y < 0) {
      chain.push_back(nearer);
      continue;
    }
    chain.resize(chain.size() - 2);
    if (x > y) std::swap(x, y);
    merges.push_back({matrix.row_of(x), matrix.row_of(y),
                      task.method == Linkage::average ? least : std::sqrt(std::max(least, 0.0))});
    matrix.unite(x, y);
    if (const auto places = matrix.compact(); !places.empty()) {
      for (int64_t& slot : chain) slot = places[slot];
    }
  }
  return merges;
}

}  // namespace

int64_t linkage_bytes(Linkage method, int64_t rows, int64_t columns) {
  const int64_t panels = Panels::floats(rows, columns) * static_cast<int64_t>(sizeof(float));
  const int64_t numbers = method == Linkage::single ? 3 * panels_of(rows) * linkage_panel : rows * rows;
  return panels + numbers * static_cast<int64_t>(sizeof(double));
}

void linkage_cpu(Context& context, const LinkageTask& task) {
  const auto& [isa, threads] = std::pair(cpu(context).isa, cpu(context).threads);
  const LinkageKernels& kernels = best_of(isa, v3::linkage_kernels, v4::linkage_kernels);
  const auto& [rows, method, merges] = task;
  auto* memory = static_cast<float*>(context.scratch(linkage_bytes(method, rows.rows, rows.columns)));
  const Panels panels(rows, memory);
  auto* numbers = reinterpret_cast<double*>(memory + Panels::floats(rows.rows, rows.columns));
  if (method == Linkage::single) return name_merges(grow_tree(task, kernels, panels, numbers), merges);
  DistanceMatrix matrix(task, kernels, numbers);
  matrix.compute(rows, panels, threads);
  name_merges(follow_chains(task, matrix), merges);
}

}  // namespace sartor::cuda
