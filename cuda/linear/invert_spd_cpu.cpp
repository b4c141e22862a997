#include "linear/invert_spd_cpu.h"

#include <algorithm>
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

// Eliminates blocks of columns with matrix products.
class Eliminator {
 public:
  // first: row of the whole matrix, for messages.
  Eliminator(Context& context, const Lower& a, int64_t block, int64_t first)
      : context_(context),
        threads_(cpu(context).threads),
        a_(a),
        block_(std::min(block, a.size)),
        first_(first),
        panel_(context, a.size * block_),
        product_(context, a.size * block_),
        pivot_(context, block_ * block_) {}

  void eliminate() {
    for (int64_t k = 0; k < a_.size; k += block_) eliminate(k, std::min(block_, a_.size - k));
  }

 private:
  void eliminate(int64_t k, int64_t width) {
    take_panel(k, width);
    for (int64_t i = 0; i < width; i++) std::copy_n(&a_.at(k + i, k), i + 1, pivot_.data() + i * width);
    const Lower pivot = {pivot_.data(), width, width};
    if (width > small) {
      Eliminator(context_, pivot, small, first_ + k).eliminate();
    } else {
      std::vector<float> pivots(width);
      eliminate_columns(pivot, first_ + k, pivots.data());
    }
    for (int64_t i = 0; i < width; i++) {
      for (int64_t j = i + 1; j < width; j++) pivot_.data()[i * width + j] = pivot.at(j, i);
    }
    // product = -panel D^-1
    multiply(a_.size, width, width, {panel_.data(), width, 1, Store::fp32}, {pivot_.data(), width, 1, Store::fp32},
             product_.data(), width, false);
    for (int64_t row = 0; row < a_.size; row += strip) {
      const int64_t rows = std::min(strip, a_.size - row);
      multiply(rows, row + rows, width, {product_.data() + row * width, width, 1, Store::fp32},
               {panel_.data(), 1, width, Store::fp32}, a_.data + row * a_.stride, a_.stride, true);
    }
    give_panel(k, width);
    for (int64_t i = 0; i < width; i++) std::copy_n(pivot_.data() + i * width, i + 1, &a_.at(k + i, k));
  }

  // Columns k to k + width - 1 of A, with zeros in place of the pivot block.
  void take_panel(int64_t k, int64_t width) {
    parallel_for(threads_, a_.size, strip, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; i++) {
        float* const row = panel_.data() + i * width;
        for (int64_t j = 0; j < width; j++) row[j] = i >= k + width ? a_.at(i, k + j) : i < k ? a_.at(k + j, i) : 0;
      }
    });
  }
  void give_panel(int64_t k, int64_t width) {
    parallel_for(threads_, a_.size, strip, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; i++) {
        if (k <= i && i < k + width) continue;
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
  int64_t block_, first_;
  DeviceBuffer<float> panel_, product_;  // (size, block)
  DeviceBuffer<float> pivot_;            // (block, block)
};

}  // namespace

void invert_spd_cpu(Context& context, const InvertSpdTask& task) {
  const int64_t n = task.matrix.rows;
  const Lower a = {task.matrix.data, n, n};
  Eliminator(context, a, n > large ? large : small, 0).eliminate();
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
