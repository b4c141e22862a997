#include "models/transformer/product.h"

#include <ATen/Parallel.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <type_traits>
#include <utility>

#include "base/require.h"
#include "core/isa.h"
#include "core/parallel_for.h"
#include "core/profiler_range.h"
#include "models/tensors/onednn.h"
#include "models/transformer/ops.h"
#include "models/transformer/ops/activation_kernels.h"
#include "transformer/product_kernels.h"
#include "transformer/rows_kernels.h"

namespace sartor::transformer {
namespace {

using namespace cuda;  // kernels

// Most rows of inputs of a block, which stay in the L2 cache during the loop over outputs; a multiple of the rows of
// the kernels' tiles.
constexpr int64_t block_rows = 120, tile_rows = 12;
constexpr int64_t ranges_per_thread = 8;  // so that threads end at about the same time

// Rows per call of oneDNN. Fixed, because oneDNN selects kernels by the number of rows, and their sums are rounded in
// different orders.
constexpr int64_t onednn_rows = 64;

bool has_amx() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("amx-bf16");
}

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Huge pages, since a product of few rows reads weights as fast as memory delivers them and would wait for page table
// entries. Pages that have not been taken do not occupy memory.
class HugePages {
 public:
  explicit HugePages(int64_t bytes)
      : bytes_(ceil_divide(bytes, huge_page) * huge_page),
        memory_(static_cast<char*>(std::aligned_alloc(huge_page, bytes_))) {
    if (!memory_) throw std::bad_alloc();
    madvise(memory_, bytes_, MADV_HUGEPAGE);
  }
  HugePages(const HugePages&) = delete;
  ~HugePages() { std::free(memory_); }

  // Memory of `bytes` bytes, aligned to cache lines; null if there is not enough left.
  void* take(int64_t bytes) {
    constexpr int64_t line = 64;
    if (bytes > bytes_ - used_) return nullptr;
    return memory_ + std::exchange(used_, ceil_divide(used_ + bytes, line) * line);
  }

 private:
  static constexpr int64_t huge_page = 2 << 20;
  int64_t bytes_, used_ = 0;
  char* memory_;
};

// Memory that shares huge pages with that of the previous calls, while some of it is in use.
at::Tensor weight_memory(int64_t bytes) {
  constexpr int64_t most_shared = 64 << 20;
  static std::mutex guard;
  static std::weak_ptr<HugePages> last;
  const std::lock_guard lock(guard);
  auto pages = last.lock();
  void* memory = pages ? pages->take(bytes) : nullptr;
  if (!memory) {
    pages = std::make_shared<HugePages>(std::max(bytes, most_shared));
    memory = pages->take(bytes);
    last = pages;
  }
  return at::from_blob(
      memory, {bytes}, [pages](void*) {}, at::kByte);
}

// Packs value(output, input) into panels: [padded outputs / panel][groups of inputs][panel][group], where `start` is
// called before the outputs of a panel, and `on_read` after parts of the weight.
template <class T, class Start, class Value> at::Tensor pack(int64_t inputs, int64_t outputs,
                                                             const std::function<void()>& on_read, const Start& start,
                                                             const Value& value) {
  constexpr int64_t part_bytes = 16 << 20;  // in fp32
  constexpr int64_t group = std::is_same_v<T, float> ? 1 : 4 / sizeof(T);
  const int64_t wide = panel_outputs(outputs), deep = ceil_divide(inputs, group) * group;
  auto packed = weight_memory(wide * deep * sizeof(T));
  T* const all = static_cast<T*>(packed.data_ptr());
  const auto pack_panel = [&](int64_t panel) {
    const int64_t first = panel * product_panel, count = std::min(product_panel, outputs - first);
    T* const to = all + first * deep;
    std::memset(to, 0, product_panel * deep * sizeof(T));
    for (int64_t lane = 0; lane < count; lane++) {
      start(first + lane);
      for (int64_t k = 0; k < inputs; k++)
        to[(k / group * product_panel + lane) * group + k % group] = value(first + lane, k);
    }
  };
  const int64_t panels = wide / product_panel, panel_bytes = product_panel * inputs * sizeof(float);
  const int64_t some = std::max<int64_t>(1, part_bytes / std::max<int64_t>(1, panel_bytes));
  for (int64_t begin = 0; begin < panels; begin += some) {
    cuda::parallel_for(at::get_num_threads(), std::min(some, panels - begin), 1,
                       [&](int64_t index, int64_t, int) { pack_panel(begin + index); });
    if (on_read) on_read();
  }
  return packed;
}

// Inverse of pack() for one output: calls use(input, element).
template <class T, class Use>
void each_packed(const at::Tensor& packed, int64_t inputs, int64_t output, const Use& use) {
  constexpr int64_t group = std::is_same_v<T, float> ? 1 : 4 / sizeof(T);
  const int64_t deep = ceil_divide(inputs, group) * group, lane = output % product_panel;
  const T* from = static_cast<const T*>(packed.const_data_ptr()) + (output - lane) * deep;
  for (int64_t k = 0; k < inputs; k++) use(k, from[(k / group * product_panel + lane) * group + k % group]);
}

float to_float(uint16_t bf16) { return c10::detail::f32_from_bits(bf16); }

// The kernel for an activation that follows a product, which applies gelu itself; nullopt if there is none.
std::optional<Curve> curve_after_product(Activation kind) {
  return kind == Activation::gelu ? std::nullopt : curve_of(kind);
}

// Applies an activation other than gelu to outputs first to first + count - 1 of rows of y.
void activate_block(Curve curve, Store store, void* y, int64_t rows, int64_t outputs, int64_t first, int64_t count) {
  const int64_t bytes = store == Store::fp32 ? 4 : 2;
  for (int64_t row = 0; row < rows; row++) {
    char* place = static_cast<char*>(y) + (row * outputs + first) * bytes;
    rows_kernels().activate({.count = count, .curve = curve, .store = store, .x = place, .up = nullptr, .y = place});
  }
}

// A block of a product: rows begin to end - 1, and `count` outputs from `first` on.
struct Block {
  int64_t begin, rows, first, count;
};

// Calls multiply(block) for blocks of rows and, if there are few of them, ranges of outputs, in parallel.
template <class Multiply> void each_block(int threads, int64_t rows, int64_t outputs, const Multiply& multiply) {
  if (rows == 0) return;
  const int64_t row_blocks = ceil_divide(rows, block_rows), panels = panel_outputs(outputs) / product_panel;
  const int64_t some_rows = ceil_divide(ceil_divide(rows, row_blocks), tile_rows) * tile_rows;
  const int64_t wanted = threads == 1 ? 1 : ceil_divide(ranges_per_thread * threads, row_blocks);
  const int64_t some_panels = ceil_divide(panels, std::min(wanted, panels)), ranges = ceil_divide(panels, some_panels);
  const int64_t blocks = ceil_divide(rows, some_rows);
  cuda::parallel_for(threads, blocks * ranges, 1, [&](int64_t index, int64_t, int) {
    const int64_t begin = index / ranges * some_rows, first = index % ranges * some_panels * product_panel;
    multiply(
        Block{begin, std::min(some_rows, rows - begin), first, std::min(some_panels * product_panel, outputs - first)});
  });
}

// Calls multiply(block, its first row of y) for all blocks, and applies an activation that the kernels do not.
template <class T, class Multiply> void each_product(int threads, int64_t rows, int64_t outputs, T* y,
                                                     std::optional<Activation> kind, const Multiply& multiply) {
  constexpr auto store = std::is_same_v<T, float> ? Store::fp32 : Store::bf16;
  const auto curve = kind ? curve_after_product(*kind) : std::nullopt;
  each_block(threads, rows, outputs, [&](const Block& block) {
    T* to = y + block.begin * outputs;
    multiply(block, to);
    if (curve) activate_block(*curve, store, to, block.rows, outputs, block.first, block.count);
  });
}

}  // namespace

Product::By Product::fastest(Precision precision) {
  static const bool amx = has_amx();
  return amx && precision == Precision::bf16 ? By::onednn : By::kernels;
}

Product::Product(const at::Tensor& weight, const at::Tensor& bias, Precision precision, By by,
                 const ProductOptions& options)
    : precision_(precision),
      by_(by),
      fine_inputs_(options.fine_inputs),
      inputs_(weight.size(1)),
      outputs_(weight.size(0)) {
  const auto& on_read = options.on_read;
  const auto dense = weight.detach().contiguous();
  require(precision != Precision::bf16 || cuda::best_isa() == cuda::Isa::v4,
          "precision is bf16, which requires a CPU with AVX-512; this CPU supports int8 and fp32");
  if (by == By::onednn) {
    weight_ = onednn_weight(dense.to(at::kBFloat16));
    if (bias.defined()) bias_ = bias.detach().to(at::kBFloat16, false, true);
    return;
  }
  bias_ = at::zeros({2, panel_outputs(outputs_)}, at::kFloat);
  if (bias.defined()) bias_[0].narrow(0, 0, outputs_).copy_(bias.detach());
  if (precision == Precision::int8) {
    pack_int8(dense, on_read);
    return;
  }
  const float* from = dense.const_data_ptr<float>();
  const auto rounded = [&](int64_t j, int64_t k) { return c10::BFloat16(from[j * inputs_ + k]); };
  const auto start = [](int64_t) {};
  if (precision == Precision::fp32) {
    const auto value = [&](int64_t j, int64_t k) { return from[j * inputs_ + k]; };
    weight_ = pack<float>(inputs_, outputs_, on_read, start, value);
  } else if (product_kernels().bf16) {
    weight_ = pack<uint16_t>(inputs_, outputs_, on_read, start, [&](int64_t j, int64_t k) { return rounded(j, k).x; });
  } else {
    weight_ = pack<float>(inputs_, outputs_, on_read, start,
                          [&](int64_t j, int64_t k) { return static_cast<float>(rounded(j, k)); });
  }
}

void Product::pack_int8(const at::Tensor& dense, const std::function<void()>& on_read) {
  sums_.resize(bias_.size(1));
  const float* from = dense.const_data_ptr<float>();
  float* inverse_scales = bias_.data_ptr<float>() + bias_.size(1);
  std::vector<float> scales(outputs_);
  const auto limit = static_cast<float>(product_kernels().largest_weight);
  const auto find_scale = [&](int64_t j) {
    float largest = 0;
    for (int64_t k = 0; k < inputs_; k++) largest = std::max(largest, std::abs(from[j * inputs_ + k]));
    scales[j] = largest > 0 ? limit / largest : 1;
    inverse_scales[j] = 1 / scales[j];
  };
  weight_ = pack<int8_t>(inputs_, outputs_, on_read, find_scale, [&](int64_t j, int64_t k) {
    const auto rounded = static_cast<int32_t>(std::lrint(from[j * inputs_ + k] * scales[j]));
    sums_[j] += rounded;
    return static_cast<int8_t>(rounded);
  });
}

at::Tensor Product::by_onednn(const at::Tensor& x, std::optional<Activation> kind) const {
  const ProfilerRange range("linear");
  const int64_t rows = x.size(0);
  const auto bias = bias_.defined() ? std::optional(bias_) : std::nullopt;
  const bool fused = kind && (*kind == Activation::gelu || *kind == Activation::gelu_tanh || *kind == Activation::relu);
  const char* name = !fused ? "none" : *kind == Activation::relu ? "relu" : "gelu";
  const char* algorithm = !fused || *kind == Activation::relu ? "" : *kind == Activation::gelu ? "none" : "tanh";
  auto y = at::empty({rows, outputs_}, x.options());
  // At least two ranges: for a single one oneDNN would start threads itself and divide sums by their number.
  cuda::parallel_for(
      at::get_num_threads(), std::max(rows, 2 * onednn_rows), onednn_rows, [&](int64_t begin, int64_t end, int) {
        const int64_t some = std::min(end, rows) - begin;
        if (some <= 0) return;
        const c10::InferenceMode inference;  // inference mode is per thread
        const auto block = at::constant_pad_nd(x.narrow(0, begin, some), {0, 0, 0, onednn_rows - some});
        y.narrow(0, begin, some).copy_(onednn_linear(block, weight_, bias, name, algorithm).narrow(0, 0, some));
      });
  return kind && !fused ? activation(y, *kind) : y;
}

void Product::by_fp32(const float* x, int64_t rows, float* y, int threads, std::optional<Activation> kind) const {
  const auto* panels = static_cast<const float*>(weight_.const_data_ptr());
  const Fp32Weights weights = {inputs_, outputs_, panels, bias_.const_data_ptr<float>()};
  each_product(threads, rows, outputs_, y, kind, [&](const Block& block, float* to) {
    const auto [begin, some, first, count] = block;
    product_kernels().fp32(x + begin * inputs_, some, weights, first, count, kind == Activation::gelu, to);
  });
}

void Product::by_bf16(const uint16_t* x, int64_t rows, uint16_t* y, int threads, std::optional<Activation> kind) const {
  const int64_t wide = bf16_inputs(inputs_);
  std::unique_ptr<uint16_t[]> filled;
  if (wide > inputs_) {
    filled = std::make_unique<uint16_t[]>(rows * wide);
    for (int64_t row = 0; row < rows; row++) std::copy_n(x + row * inputs_, inputs_, filled.get() + row * wide);
    x = filled.get();
  }
  const auto* panels = static_cast<const uint16_t*>(weight_.const_data_ptr());
  const Bf16Weights weights = {inputs_, outputs_, panels, bias_.const_data_ptr<float>()};
  each_product(threads, rows, outputs_, y, kind, [&](const Block& block, uint16_t* to) {
    const auto [begin, some, first, count] = block;
    product_kernels().bf16(x + begin * wide, some, weights, first, count, kind == Activation::gelu, to);
  });
}

void Product::by_int8(const float* x, int64_t rows, float* y, int threads, std::optional<Activation> kind) const {
  constexpr int64_t rows_to_round = 16;
  const int64_t wide = int8_inputs(inputs_), terms = fine_inputs_ ? 2 : 1;
  const auto values = std::make_unique_for_overwrite<uint8_t[]>(rows * terms * wide);
  const auto zeros = std::make_unique_for_overwrite<int32_t[]>(rows * terms);
  const auto inverse_scales = std::make_unique_for_overwrite<float[]>(rows * terms);
  const auto round = [&](const float* from, int64_t count, int64_t to) {
    product_kernels().round_rows(from, count, inputs_, &values[to * wide], &inverse_scales[to], &zeros[to]);
  };
  cuda::parallel_for(threads, rows, rows_to_round, [&](int64_t begin, int64_t end, int) {
    if (!fine_inputs_) return round(x + begin * inputs_, end - begin, begin);
    std::vector<float> remainder(inputs_);
    for (int64_t row = begin; row < end; row++) {
      const float* from = x + row * inputs_;
      const int64_t to = 2 * row;
      round(from, 1, to);
      for (int64_t k = 0; k < inputs_; k++) {
        remainder[k] = from[k] - static_cast<float>(values[to * wide + k] - zeros[to]) * inverse_scales[to];
      }
      round(remainder.data(), 1, to + 1);
    }
  });
  const float* bias = bias_.const_data_ptr<float>();
  const auto* panels = static_cast<const int8_t*>(weight_.const_data_ptr());
  const Int8Weights weights = {inputs_, outputs_, panels, sums_.data(), bias + bias_.size(1), bias};
  each_product(threads, rows, outputs_, y, kind, [&](const Block& block, float* to) {
    const auto [begin, some, first, count] = block;
    const int64_t term = begin * terms;
    const Int8Rows from = {some * terms, &values[term * wide], &inverse_scales[term], &zeros[term], fine_inputs_};
    product_kernels().int8(from, weights, first, count, kind == Activation::gelu, to);
  });
}

void Product::run(const void* x, int64_t rows, void* y, int threads, std::optional<Activation> kind) const {
  const auto type = precision_ == Precision::bf16 ? at::kBFloat16 : at::kFloat;
  const auto tensor = [&](const void* data, int64_t columns) {
    return at::from_blob(const_cast<void*>(data), {rows, columns}, type);
  };
  if (by_ == By::onednn) {
    tensor(y, outputs_).copy_(by_onednn(tensor(x, inputs_), kind));
    return;
  }
  const ProfilerRange range("linear");
  if (precision_ == Precision::int8) {
    by_int8(static_cast<const float*>(x), rows, static_cast<float*>(y), threads, kind);
  } else if (precision_ == Precision::fp32) {
    by_fp32(static_cast<const float*>(x), rows, static_cast<float*>(y), threads, kind);
  } else if (product_kernels().bf16) {
    by_bf16(static_cast<const uint16_t*>(x), rows, static_cast<uint16_t*>(y), threads, kind);
  } else {
    const auto wide_x = tensor(x, inputs_).to(at::kFloat), wide_y = at::empty({rows, outputs_}, at::kFloat);
    by_fp32(wide_x.const_data_ptr<float>(), rows, wide_y.data_ptr<float>(), threads, kind);
    tensor(y, outputs_).copy_(wide_y);
  }
  if (kind == Activation::relu || kind == Activation::tanh) {
    const auto all = tensor(y, outputs_);
    all.copy_(activation(all, *kind));
  }
}

void Product::rows_of(std::span<const int32_t> ids, float* rows) const {
  assert(by_ == By::kernels);
  for (size_t i = 0; i < ids.size(); i++) {
    float* to = rows + i * inputs_;
    const int64_t id = ids[i];
    if (precision_ == Precision::int8) {
      const float step = bias_.const_data_ptr<float>()[bias_.size(1) + id];
      const auto use = [&](int64_t k, int8_t value) { to[k] = static_cast<float>(value) * step; };
      each_packed<int8_t>(weight_, inputs_, id, use);
    } else if (precision_ == Precision::bf16 && product_kernels().bf16) {
      const auto use = [&](int64_t k, uint16_t value) { to[k] = to_float(value); };
      each_packed<uint16_t>(weight_, inputs_, id, use);
    } else {
      each_packed<float>(weight_, inputs_, id, [&](int64_t k, float value) { to[k] = value; });
    }
  }
}

at::Tensor Product::by_kernels(const at::Tensor& x, std::optional<Activation> kind) const {
  auto y = at::empty({x.size(0), outputs_}, x.options());
  run(x.const_data_ptr(), x.size(0), y.data_ptr(), at::get_num_threads(), kind);
  return y;
}

at::Tensor Product::operator()(const at::Tensor& x) const {
  return by_ == By::onednn ? by_onednn(x, {}) : by_kernels(x, {});
}

at::Tensor Product::activated(const at::Tensor& x, Activation kind) const {
  return by_ == By::onednn ? by_onednn(x, kind) : by_kernels(x, kind);
}

}  // namespace sartor::transformer
