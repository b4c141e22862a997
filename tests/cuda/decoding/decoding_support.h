// Sequences with random queries, keys and values, which are attended in any division into calls.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "core/device_buffer.h"
#include "decoding/decode_attention.h"
#include "support/random.h"

namespace sartor::cuda {

struct AttentionShape {
  int64_t heads, kv_heads, d;
  Store cache = Store::fp32, rows = Store::fp32;
};

inline uint16_t to_bf16(float value) {  // to nearest, ties to even
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return 0x7fc0;
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline float from_bf16(uint16_t value) { return std::bit_cast<float>(uint32_t{value} << 16); }

// Numbers as fp32 or bf16.
class Numbers {
 public:
  Numbers(std::vector<float> values, Store store) : values_(std::move(values)) {
    if (store == Store::fp32) return;
    for (float& value : values_) {
      halves_.push_back(to_bf16(value));
      value = from_bf16(halves_.back());
    }
  }
  DeviceBuffer<std::byte> upload(Context& context) const {
    return {context, halves_.empty() ? std::as_bytes(std::span(values_)) : std::as_bytes(std::span(halves_))};
  }
  void download(const DeviceBuffer<std::byte>& from) {
    from.read(halves_.empty() ? std::as_writable_bytes(std::span(values_))
                              : std::as_writable_bytes(std::span(halves_)));
  }
  float operator[](int64_t i) const { return halves_.empty() ? values_[i] : from_bf16(halves_[i]); }

 private:
  std::vector<float> values_;
  std::vector<uint16_t> halves_;
};

// Consecutive positions of a sequence in a call.
struct CallPart {
  int32_t sequence, first, count;
};
using Call = std::vector<CallPart>;

class AttendedSequences {
 public:
  AttendedSequences(const AttentionShape& shape, std::vector<int64_t> lengths) : shape_(shape), lengths_(lengths) {
    starts_ = {0};
    for (const int64_t length : lengths) starts_.push_back(starts_.back() + length);
    const int64_t rows = starts_.back();
    q_ = rounded(normals(rows * shape.heads * shape.d, 1), shape.rows);
    k_ = rounded(normals(rows * shape.kv_heads * shape.d, 2), shape.rows);
    v_ = rounded(normals(rows * shape.kv_heads * shape.d, 3), shape.rows);
  }
  int64_t rows() const { return starts_.back(); }
  int64_t row(int64_t sequence, int64_t position) const { return starts_[sequence] + position; }
  // Replaces key and value of a position.
  void spoil(int64_t sequence, int64_t position, float value) {
    const int64_t columns = shape_.kv_heads * shape_.d;
    std::fill_n(k_.begin() + row(sequence, position) * columns, columns, value);
    std::fill_n(v_.begin() + row(sequence, position) * columns, columns, value);
  }

  // Outputs of all rows (rows, heads * d) after the calls; blocks are assigned to sequences by a permutation. Unused
  // positions of the cache are NaN.
  std::vector<float> attend(Context& context, const std::vector<Call>& calls, uint64_t block_seed = 5) const {
    int64_t columns = 0;
    for (const int64_t length : lengths_) columns = std::max(columns, (length + cache_block - 1) / cache_block);
    const int64_t sequences = std::ssize(lengths_), blocks = columns * sequences + 1;
    const auto table = permutation(blocks, block_seed);
    const std::vector<float> unused(blocks * shape_.kv_heads * shape_.d * cache_block,
                                    std::numeric_limits<float>::quiet_NaN());
    const Numbers none(unused, shape_.cache);
    const auto keys = none.upload(context), values = none.upload(context);
    const PagedCache cache = {keys.data(), values.data(), shape_.cache, shape_.kv_heads, shape_.d};
    std::vector<float> all(rows() * shape_.heads * shape_.d, -1);
    for (const auto& call : calls) run(context, cache, call, table, columns, all);
    return all;
  }

  // Naive double loops over the rounded keys and values.
  std::vector<double> expected() const {
    const int64_t d = shape_.d, group = shape_.heads / shape_.kv_heads;
    const auto k = rounded(k_, shape_.cache), v = rounded(v_, shape_.cache);
    std::vector<double> all(q_.size());
    for (size_t s = 0; s < lengths_.size(); s++) {
      for (int64_t i = 0; i < lengths_[s] * shape_.heads; i++) {
        const int64_t position = i / shape_.heads, head = i % shape_.heads;
        const int64_t place = (row(s, position) * shape_.heads + head) * d;
        std::vector<double> weights(position + 1);
        const auto at = [&](int64_t key) { return (row(s, key) * shape_.kv_heads + head / group) * d; };
        for (int64_t key = 0; key <= position; key++) {
          for (int64_t c = 0; c < d; c++) weights[key] += double{q_[place + c]} * k[at(key) + c];
        }
        for (double& weight : weights) weight *= scale();
        const double top = *std::max_element(weights.begin(), weights.end());
        for (double& weight : weights) weight = std::exp(weight - top);
        const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
        for (int64_t key = 0; key <= position; key++) {
          for (int64_t c = 0; c < d; c++) all[place + c] += weights[key] / total * v[at(key) + c];
        }
      }
    }
    return all;
  }

 private:
  static std::vector<float> rounded(std::vector<float> values, Store store) {
    if (store == Store::bf16) {
      for (float& value : values) value = from_bf16(to_bf16(value));
    }
    return values;
  }
  float scale() const { return 1 / std::sqrt(static_cast<float>(shape_.d)); }

  // The rows of a call, each followed by `more` elements.
  Numbers gathered(const std::vector<float>& from, const Call& call, int64_t columns, int64_t more) const {
    std::vector<float> rows;
    for (const auto& part : call) {
      for (int64_t i = 0; i < part.count; i++) {
        const auto begin = from.begin() + row(part.sequence, part.first + i) * columns;
        rows.insert(rows.end(), begin, begin + columns);
        rows.insert(rows.end(), more, 99);
      }
    }
    return {std::move(rows), shape_.rows};
  }

  void run(Context& context, const PagedCache& cache, const Call& call, const std::vector<int32_t>& table,
           int64_t columns, std::vector<float>& all) const {
    std::vector<int32_t> offsets = {0}, first, blocks;
    for (const auto& part : call) {
      offsets.push_back(offsets.back() + part.count);
      first.push_back(part.first);
      blocks.insert(blocks.end(), table.begin() + part.sequence * columns,
                    table.begin() + (part.sequence + 1) * columns);
    }
    const DeviceBuffer<int32_t> device_offsets(context, offsets), device_first(context, first),
        device_blocks(context, blocks);
    const CacheRows rows = {std::ssize(first), device_offsets.data(), device_first.data(), device_blocks.data(),
                            columns};
    const int64_t kv_columns = shape_.kv_heads * shape_.d, q_columns = shape_.heads * shape_.d;
    const auto k = gathered(k_, call, kv_columns, 2).upload(context),
               v = gathered(v_, call, kv_columns, 3).upload(context),
               q = gathered(q_, call, q_columns, 2).upload(context);
    Numbers out(std::vector<float>(offsets.back() * q_columns, -1), shape_.rows);
    const auto device_out = out.upload(context);
    append_to_cache(context, {cache, rows, k.data(), v.data(), kv_columns + 2, kv_columns + 3, shape_.rows});
    decode_attention(context, {cache, rows, shape_.heads, scale(), q.data(), q_columns + 2, device_out.data(),
                               q_columns, shape_.rows});
    out.download(device_out);
    for (size_t p = 0; p < call.size(); p++) {
      const int64_t to = row(call[p].sequence, call[p].first) * q_columns;
      for (int64_t i = 0; i < call[p].count * q_columns; i++) all[to + i] = out[offsets[p] * q_columns + i];
    }
  }

  AttentionShape shape_;
  std::vector<int64_t> lengths_, starts_;
  std::vector<float> q_, k_, v_;
};

// One call with all rows.
inline std::vector<Call> at_once(const std::vector<int64_t>& lengths) {
  Call call;
  for (size_t s = 0; s < lengths.size(); s++) {
    call.push_back({static_cast<int32_t>(s), 0, static_cast<int32_t>(lengths[s])});
  }
  return {call};
}

// Each sequence alone, in calls of `count` rows.
inline std::vector<Call> alone(const std::vector<int64_t>& lengths, int32_t count) {
  std::vector<Call> calls;
  for (size_t s = 0; s < lengths.size(); s++) {
    for (int32_t first = 0; first < lengths[s]; first += count) {
      calls.push_back({{static_cast<int32_t>(s), first, std::min(count, static_cast<int32_t>(lengths[s]) - first)}});
    }
  }
  return calls;
}

// All sequences together, in chunks of random lengths, some of them of one row.
inline std::vector<Call> mixed(const std::vector<int64_t>& lengths, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<int32_t> done(lengths.size());
  std::vector<Call> calls;
  while (true) {
    Call call;
    for (size_t s = 0; s < lengths.size(); s++) {
      const auto left = static_cast<int32_t>(lengths[s]) - done[s];
      const auto wanted = random() % 2 ? 1 : static_cast<int32_t>(random() % 90);
      if (left > 0) call.push_back({static_cast<int32_t>(s), done[s], std::min(left, wanted)});
      done[s] += std::min(left, wanted);
    }
    if (call.empty()) return calls;
    calls.push_back(call);
  }
}

}  // namespace sartor::cuda
