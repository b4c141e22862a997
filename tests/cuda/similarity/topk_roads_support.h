// Searches on a GPU by one road or another, against sorting on the host.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>

#include "core/device_buffer.h"
#include "core/gpu/backend.cuh"
#include "similarity/topk_search.cuh"
#include "support/backends.h"
#include "support/random.h"

namespace sartor::cuda {

class RoadsGpu : public ::testing::Test {
 protected:
  void SetUp() override {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) GTEST_SKIP() << "no GPU was found";
    context_.emplace(std::make_unique<GpuBackend>(0));
  }
  Context& context() { return *context_; }
  GpuBackend& backend() { return gpu(*context_); }

 private:
  std::optional<Context> context_;
};

// Results on the host: (rows, k).
struct Found {
  std::vector<float> scores;
  std::vector<int32_t> ids;
  bool operator==(const Found&) const = default;
};

// Device memory for results.
class Results {
 public:
  Results(Context& context, int64_t rows, int64_t k)
      : rows_(rows), k_(k), scores_(context, rows * k), ids_(context, rows * k) {}
  TopK view() const { return {rows_, k_, scores_.data(), ids_.data()}; }
  Found to_host() const { return {scores_.to_host(), ids_.to_host()}; }

 private:
  int64_t rows_, k_;
  DeviceBuffer<float> scores_;
  DeviceBuffer<int32_t> ids_;
};

// The k best of each row of keys, sorted.
inline Found sorted(const std::vector<TopkKey>& keys, int64_t rows, int64_t k) {
  Found found;
  const int64_t columns = std::ssize(keys) / rows;
  for (int64_t r = 0; r < rows; r++) {
    std::vector<TopkKey> row(keys.begin() + r * columns, keys.begin() + (r + 1) * columns);
    std::ranges::sort(row, std::greater<>());
    row.resize(k, 0);
    for (const TopkKey key : row) {
      found.scores.push_back(key ? topk_score(key) : -INFINITY);
      found.ids.push_back(key ? topk_id(key) : -1);
    }
  }
  return found;
}

// Rows on the device, small whole numbers, so that all sums and scores are exact on each road. Every fifth row is zero;
// with scales, row 13 is not a number.
class Operand {
 public:
  Operand(Context& context, int64_t rows, int64_t columns, TopkElement element, bool scaled, uint64_t seed)
      : values(rows, columns), scales(scaled ? rows : 0) {
    std::mt19937_64 random(seed);
    for (int64_t r = 0; r < rows; r++) {
      for (int64_t c = 0; c < columns; c++)
        values.row(r)[c] = r % 5 == 4 ? 0 : static_cast<float>(static_cast<int>(random() % 7) - 3);
    }
    if (scaled && rows > 13 && columns > 0) values.row(13)[columns - 1] = NAN;
    for (float& scale : scales) scale = std::ldexp(1.0f, static_cast<int>(random() % 3) - 1);
    const int64_t stride = element == TopkElement::fp32 ? columns : (columns + 7) / 8 * 8;
    device_scales_ = upload(context, scales);
    if (element == TopkElement::fp32) {
      fp32_ = upload(context, values.values);
    } else {
      std::vector<uint16_t> bits(rows * stride);
      for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < columns; c++) {
          const float value = values.row(r)[c];
          bits[r * stride + c] = element == TopkElement::fp16 ? __half_as_ushort(__float2half(value))
                                                              : __bfloat16_as_ushort(__float2bfloat16(value));
        }
      }
      bits_ = upload(context, bits);
    }
    const void* data = element == TopkElement::fp32 ? static_cast<const void*>(fp32_.data()) : bits_.data();
    view = {data, rows, columns, stride, element, scaled ? device_scales_.data() : nullptr};
  }

  Matrix values;
  std::vector<float> scales;
  TopkOperand view;

 private:
  DeviceBuffer<float> fp32_, device_scales_;
  DeviceBuffer<uint16_t> bits_;
};

// A search and its result by a double loop.
class Search {
 public:
  // plain: without scales, biases and masks.
  Search(Context& context, const SearchShape& shape, bool plain)
      : k_(shape.k),
        plain_(plain),
        queries_(context, shape.queries, shape.columns, shape.element, !plain, 1),
        items_(context, shape.items, shape.columns, shape.element, !plain, 2),
        excluded_(shape.queries, shape.items, plain ? 0 : 0.2, 3),
        bias_(plain ? 0 : shape.items),
        results_(context, shape.queries, shape.k) {
    std::mt19937_64 random(4);
    for (float& bias : bias_) bias = static_cast<float>(random() % 16) / 4;
    for (int64_t word = 0; word < (shape.items + 31) / 32; word++) {
      allowed_.push_back(static_cast<uint32_t>(random() | random() | random()));
      denied_.push_back(static_cast<uint32_t>(random() & random() & random()));
    }
    device_offsets_ = upload(context, excluded_.offsets);
    device_ids_ = upload(context, excluded_.ids);
    device_bias_ = upload(context, bias_);
    device_allowed_ = upload(context, allowed_);
    device_denied_ = upload(context, denied_);
    view = {.queries = queries_.view, .items = items_.view, .k = k_, .found = results_.view()};
    if (plain) return;
    view.item_bias = device_bias_.data();
    view.excluded = {shape.queries, device_offsets_.data(), device_ids_.data()};
    view.allowed = device_allowed_.data();
    view.denied = device_denied_.data();
  }

  Found found() const { return results_.to_host(); }
  Found expected() const {
    std::vector<TopkKey> keys;
    for (int64_t q = 0; q < queries_.values.rows; q++) {
      for (int32_t j = 0; j < items_.values.rows; j++) keys.push_back(key(q, j));
    }
    return sorted(keys, queries_.values.rows, k_);
  }

  TopkSearch view;

 private:
  TopkKey key(int64_t q, int32_t j) const {
    float sum = 0;
    for (int64_t c = 0; c < items_.values.columns; c++) sum += queries_.values.row(q)[c] * items_.values.row(j)[c];
    if (plain_) return topk_key(sum, j);
    const auto first = excluded_.ids.begin() + excluded_.offsets[q],
               last = excluded_.ids.begin() + excluded_.offsets[q + 1];
    const bool open = (allowed_[j / 32] & ~denied_[j / 32]) >> j % 32 & 1;
    return !std::isnan(sum) && open && !std::binary_search(first, last, j)
               ? topk_key(sum * queries_.scales[q] * items_.scales[j] + bias_[j], j)
               : 0;
  }

  int64_t k_;
  bool plain_;
  Operand queries_, items_;
  RandomLists excluded_;
  std::vector<float> bias_;
  std::vector<uint32_t> allowed_, denied_;
  Results results_;
  DeviceBuffer<int64_t> device_offsets_;
  DeviceBuffer<int32_t> device_ids_;
  DeviceBuffer<float> device_bias_;
  DeviceBuffer<uint32_t> device_allowed_, device_denied_;
};

inline std::string name(const SearchShape& shape) {
  return fmt::format("{} x {} x {}, k {}, {}", shape.queries, shape.items, shape.columns, shape.k,
                     static_cast<int>(shape.element));
}

constexpr int64_t no_bound = int64_t{1} << 40;

}  // namespace sartor::cuda
