#include "linear/invert_spd_cpu.h"

#include <algorithm>
#include <span>
#include <vector>

#include "base/require.h"
#include "core/cpu_backend.h"
#include "core/device_buffer.h"
#include "core/parallel_for.h"
#include "transformer/matmul.h"

namespace sartor::cuda {
namespace {

constexpr int64_t large = 512, small = 32;  // columns that are eliminated together; the pivot block of the first
constexpr int64_t strip = 1024;             // rows that are updated together

// The lower triangle of a matrix with rows of `stride` elements.
struct Lower {
  float* data;
  int64_t size, stride;

  float& at(int64_t i, int64_t j) const { return data[i * stride + j]; }
  float& symmetric(int64_t i, int64_t j) const { return i >= j ? at(i, j) : at(j, i); }
};

// Eliminates all columns of a small matrix one after the other: it becomes -A^-1.
void eliminate_columns(const Lower& a, int64_t first, float* pivots) {
  for (int64_t k = 0; k < a.size; k++) {
    const float pivot = a.at(k, k);
    require(pivot > 0, "invert_spd: the matrix is not positive definite: pivot {} is {}", first + k, pivot);
    for (int64_t i = 0; i < a.size; i++) pivots[i] = i == k ? 0 : a.symmetric(i, k);
    const float inverse = 1 / pivot;
    for (int64_t i = 0; i < a.size; i++) {
      const float factor = pivots[i] * inverse;
      for (int64_t j = 0; j <= i; j++) a.at(i, j) -= factor * pivots[j];
    }
    for (int64_t i = 0; i < a.size; i++) a.symmetric(i, k) = pivots[i] * inverse;
    a.at(k, k) = -inverse;
  }
}

// Strips of rows, which the peers have in turn.
class Strips {
 public:
  Strips(Peers* peers, int64_t rows) : peers_(peers), rows_(rows) {}

  bool shared() const { return peers_ != nullptr; }
  int64_t rows_of(int64_t first) const { return std::min(strip, rows_ - first); }
  bool own(int64_t row) const { return !shared() || owner(row) == peers_->rank(); }

  // All-gathers rows of `width` elements. Rows before `pivots` come from the owner of the row `pivots`.
  void exchange(int64_t pivots, int64_t width, float* rows) {
    const auto from = [&](int64_t row) { return owner(std::max(row, pivots)); };
    std::vector<int64_t> bounds = {0}, order;
    for (int rank = 0; rank < peers_->size(); rank++) {
      for (int64_t row = 0; row < rows_; row++) {
        if (from(row) == rank) order.push_back(row);
      }
      bounds.push_back(std::ssize(order) * width);
    }
    packed_.resize(rows_ * width);
    for (int64_t at = 0; at < rows_; at++) {
      if (from(order[at]) == peers_->rank()) std::copy_n(rows + order[at] * width, width, &packed_[at * width]);
    }
    peers_->gather(std::span(packed_), bounds);
    for (int64_t at = 0; at < rows_; at++) std::copy_n(&packed_[at * width], width, rows + order[at] * width);
  }

  // All-gathers the rows of a matrix, as many strips as peers at a time.
  void gather(const Lower& a) {
    const int64_t size = peers_->size();
    for (int64_t first = 0; first < rows_; first += size * strip) {
      std::vector<int64_t> bounds;
      for (int64_t rank = 0; rank <= size; rank++) bounds.push_back(std::min(rank * strip, rows_ - first) * a.stride);
      peers_->gather(std::span(a.data + first * a.stride, bounds.back()), bounds);
    }
  }

 private:
  int64_t owner(int64_t row) const { return row / strip % peers_->size(); }

  Peers* peers_;
  int64_t rows_;
  std::vector<float> packed_;
};

// Eliminates blocks of columns with matrix products.
class Eliminator {
 public:
  // first: row of the whole matrix, for messages.
  Eliminator(Context& context, const Lower& a, int64_t block, int64_t first, Peers* peers = nullptr)
      : context_(context),
        threads_(cpu(context).threads),
        a_(a),
        strips_(peers, a.size),
        block_(std::min(block, a.size)),
        first_(first),
        panel_(context, a.size * block_),
        product_(context, a.size * block_),
        pivot_(context, block_ * block_) {}

  void eliminate() {
    for (int64_t k = 0; k < a_.size; k += block_) eliminate(k, std::min(block_, a_.size - k));
    if (strips_.shared()) strips_.gather(a_);
  }

 private:
  void eliminate(int64_t k, int64_t width) {
    take_panel(k, width);
    if (strips_.shared()) strips_.exchange(k, width, panel_.data());
    float* const pivots = panel_.data() + k * width;
    for (int64_t i = 0; i < width; i++) std::copy_n(pivots + i * width, i + 1, pivot_.data() + i * width);
    std::fill_n(pivots, width * width, 0.0f);
    const Lower pivot = {pivot_.data(), width, width};
    if (width > small) {
      Eliminator(context_, pivot, small, first_ + k).eliminate();
    } else {
      std::vector<float> column(width);
      eliminate_columns(pivot, first_ + k, column.data());
    }
    for (int64_t i = 0; i < width; i++) {
      for (int64_t j = i + 1; j < width; j++) pivot_.data()[i * width + j] = pivot.at(j, i);
    }
    multiply_pivot(k, width);
    for (int64_t row = 0; row < a_.size; row += strip) {
      if (!strips_.own(row)) continue;
      const int64_t rows = strips_.rows_of(row);
      multiply(rows, row + rows, width, {product_.data() + row * width, width, 1, Store::fp32},
               {panel_.data(), 1, width, Store::fp32}, a_.data + row * a_.stride, a_.stride, true);
    }
    give_panel(k, width);
    for (int64_t i = 0; i < width; i++) std::copy_n(pivot_.data() + i * width, i + 1, &a_.at(k + i, k));
  }

  // product = -panel D^-1. The owner of the pivot block also needs the rows before it.
  void multiply_pivot(int64_t k, int64_t width) {
    const auto product = [&](int64_t row, int64_t rows) {
      multiply(rows, width, width, {panel_.data() + row * width, width, 1, Store::fp32},
               {pivot_.data(), width, 1, Store::fp32}, product_.data() + row * width, width, false);
    };
    if (!strips_.shared()) return product(0, a_.size);
    for (int64_t row = 0; row < a_.size; row += strip) {
      if (strips_.own(row) || (row < k && strips_.own(k))) product(row, strips_.rows_of(row));
    }
  }

  // Columns k to k + width - 1 of A.
  void take_panel(int64_t k, int64_t width) {
    parallel_for(threads_, a_.size, strip, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; i++) {
        float* const row = panel_.data() + i * width;
        for (int64_t j = 0; j < width; j++) row[j] = a_.symmetric(i, k + j);
      }
    });
  }
  void give_panel(int64_t k, int64_t width) {
    parallel_for(threads_, a_.size, strip, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; i++) {
        if ((k <= i && i < k + width) || !strips_.own(std::max(i, k))) continue;
        for (int64_t j = 0; j < width; j++) a_.symmetric(i, k + j) = -product_.data()[i * width + j];
      }
    });
  }

  void multiply(int64_t rows, int64_t columns, int64_t depth, const Operand& left, const Operand& right, float* c,
                int64_t c_stride, bool add) {
    const MatmulTask task = {.rows = rows,
                             .columns = columns,
                             .depth = depth,
                             .left = left,
                             .right = right,
                             .add = add,
                             .c = c,
                             .c_stride = c_stride,
                             .c_store = Store::fp32,
                             .products = Store::fp32};
    const int threads = a_.size > large ? threads_ : 1;
    matmul(task, threads, context_.scratch(matmul_scratch(task, threads)));
  }

  Context& context_;
  int threads_;
  Lower a_;
  Strips strips_;
  int64_t block_, first_;
  DeviceBuffer<float> panel_, product_;  // (size, block)
  DeviceBuffer<float> pivot_;            // (block, block)
};

}  // namespace

void invert_spd_cpu(Context& context, const InvertSpdTask& task) {
  const int64_t n = task.matrix.rows;
  const Lower a = {task.matrix.data, n, n};
  Eliminator(context, a, n > large ? large : small, 0, n > strip ? task.peers : nullptr).eliminate();
  constexpr int64_t tile = 64;
  parallel_for(cpu(context).threads, (n + tile - 1) / tile, 1, [&](int64_t begin, int64_t, int) {
    for (int64_t column = 0; column < std::min(n, (begin + 1) * tile); column += tile) {
      for (int64_t i = begin * tile; i < std::min(n, (begin + 1) * tile); i++) {
        for (int64_t j = column; j < std::min(i + 1, column + tile); j++) a.at(j, i) = a.at(i, j) = -a.at(i, j);
      }
    }
  });
}

}  // namespace sartor::cuda
