#include "models/gpt/cpu_decoder.h"

#include <ATen/ops/cat.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/BFloat16.h>
#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "models/gpt/families.h"
#include "models/gpt/parameters.h"
#include "models/transformer/ops/activation_kernels.h"
#include "transformer/norm_kernels.h"
#include "transformer/rows_kernels.h"

namespace sartor::gpt {
namespace {

using transformer::Activation;
using transformer::curve_of;
using transformer::Precision;
using transformer::Product;
using Buffer = cuda::DeviceBuffer<std::byte>;
constexpr int64_t grain = 12288;  // elements per range of rows

std::string joined(std::string_view prefix, std::string_view name) { return std::string(prefix).append(name); }

// y = kind(x) up, for activations without a kernel
template <class T> void activate_values(Activation kind, const T* x, const T* up, int64_t count, T* y) {
  for (int64_t i = 0; i < count; i++) {
    const auto value = static_cast<float>(x[i]);
    const float active = kind == Activation::tanh ? std::tanh(value) : value < 0 ? 0 : value;
    y[i] = static_cast<T>(up ? active * static_cast<float>(up[i]) : active);
  }
}

// y_r = words_r + positions_p, or words_r
template <class T> void sum_embeddings(const float* words, const float* positions, int64_t count, T* y) {
  for (int64_t i = 0; i < count; i++) y[i] = static_cast<T>(positions ? words[i] + positions[i] : words[i]);
}

// The first blocks of a layer, which are all that a small job uses, are not to occupy whole huge pages.
void use_small_pages(const Buffer& buffer) {
  constexpr int64_t begin_bytes = 4 << 20, least = 2 << 20;
  if (buffer.size() >= least) madvise(buffer.data(), std::min(buffer.size(), begin_bytes), MADV_NOHUGEPAGE);
}

}  // namespace

CpuDecoder::CpuDecoder(const std::filesystem::path& folder, Precision precision, int threads)
    : stored_(folder),
      context_(cuda::Context::cpu(threads)),
      threads_(cuda::cpu(context_).threads),
      precision_(precision),
      store_(precision == Precision::bf16 ? cuda::Store::bf16 : cuda::Store::fp32),
      element_bytes_(store_ == cuda::Store::bf16 ? 2 : 4) {
  const c10::InferenceMode inference;
  const Family& family = config().family();
  const auto release = [&] {
    stored_.release();
    malloc_trim(0);  // copies of weights, between which small parameters stay
  };
  words_ = joined(family.prefix, family.embeddings) + ".weight";
  const auto head = config().tie_word_embeddings ? joined(family.prefix, family.embeddings) : std::string(output_layer);
  head_.emplace(product(std::array{head}, Inputs::fine));
  release();
  if (family.is_rotary()) {
    rotary_.emplace(config());
  } else {
    positions_ = stored_.value(joined(family.prefix, family.positions) + ".weight").clone();
  }
  for (int64_t i = 0; i < config().num_hidden_layers; i++) {
    layers_.push_back(read_layer(i));
    release();
  }
  last_norm_ = norm(joined(family.prefix, family.last_norm));
}

// The outputs of several linear layers of the same input, one after the other.
Product CpuDecoder::product(std::span<const std::string> names, Inputs inputs) const {
  std::vector<at::Tensor> weights, biases;
  for (const auto& name : names) {
    weights.push_back(stored_.value(name + ".weight"));
    if (stored_.has(name + ".bias")) biases.push_back(stored_.value(name + ".bias"));
  }
  const auto all = [](const std::vector<at::Tensor>& parts) { return parts.size() == 1 ? parts[0] : at::cat(parts); };
  return {all(weights),
          biases.empty() ? at::Tensor() : all(biases),
          precision_,
          Product::By::kernels,
          {.fine_inputs = inputs == Inputs::fine, .on_read = [&] { stored_.release(); }}};
}

transformer::Norm CpuDecoder::norm(const std::string& name) const {
  const auto copy = [&](const std::string& parameter) {
    return stored_.has(parameter) ? stored_.value(parameter).clone() : at::Tensor();
  };
  return {copy(name + ".weight"), copy(name + ".bias")};
}

CpuDecoder::Layer CpuDecoder::read_layer(int64_t index) const {
  const Family& family = config().family();
  const auto prefix = layer_prefix(config(), index);
  const auto fused = [&](std::initializer_list<Module> modules, Inputs inputs = Inputs::coarse) {
    std::vector<std::string> names;
    for (const auto module : modules) {
      if (!family.module(module).empty()) names.push_back(joined(prefix, family.module(module)));
    }
    return product(names, inputs);
  };
  const auto norm_of = [&](std::string_view name) {
    return name.empty() ? transformer::Norm() : norm(joined(prefix, name));
  };
  return {.query_key_value = fused({Module::query, Module::key, Module::value}),
          .attention_output = fused({Module::attention_output}),
          .up = fused({Module::gate, Module::up}),
          .down = fused({Module::down}, Inputs::fine),
          .attention_norm = norm_of(family.attention_norm),
          .feed_forward_norm = norm_of(family.feed_forward_norm),
          .query_norm = norm_of(family.query_norm),
          .key_norm = norm_of(family.key_norm),
          .scale = static_cast<float>(config().attention_scale(index))};
}

// ---- cache ----

int64_t CpuDecoder::bytes_per_block() const {
  return 2 * config().num_hidden_layers * config().key_value_size() * cuda::cache_block * element_bytes_;
}

void CpuDecoder::allocate(int64_t blocks) {
  keys_.clear();
  values_.clear();
  const int64_t bytes = blocks * config().key_value_size() * cuda::cache_block * element_bytes_;
  for (auto* buffers : {&keys_, &values_}) {
    for (int64_t i = 0; i < config().num_hidden_layers; i++) {
      buffers->emplace_back(context_, bytes);
      use_small_pages(buffers->back());
    }
  }
  blocks_ = blocks;
}

void CpuDecoder::copy_block(int32_t from, int32_t to) {
  const int64_t bytes = config().key_value_size() * cuda::cache_block * element_bytes_;
  for (const auto* buffers : {&keys_, &values_}) {
    for (const auto& buffer : *buffers) std::memcpy(buffer.data() + to * bytes, buffer.data() + from * bytes, bytes);
  }
}

cuda::PagedCache CpuDecoder::cache_of(int64_t layer) const {
  return {.keys = keys_[layer].data(),
          .values = values_[layer].data(),
          .store = store_,
          .kv_heads = config().num_key_value_heads,
          .d = config().head_dim};
}

cuda::CacheRows CpuDecoder::cache_rows(const SequenceRows& rows) const {
  return {.sequences = batch_.sequences(),
          .offsets = rows.offsets.data(),
          .first = rows.first.data(),
          .blocks = batch_.blocks.data(),
          .table_columns = batch_.table_columns};
}

// ---- a call ----

cuda::Rows<float> CpuDecoder::run(std::span<const DecoderChunk> chunks, const int32_t* last_ids) {
  const c10::InferenceMode inference;
  batch_.assign(chunks, config(), blocks_, last_ids != nullptr);
  for (const auto& [row, slot] : batch_.slots) batch_.ids[row] = last_ids[slot];
  rows_ = batch_.tokens();
  if (rows_ == 0) return {work_.words.data(), 0, config().vocab_size};
  if (rotary_) rotary_->extend(*std::ranges::max_element(batch_.positions) + 1);
  embed();
  for (int64_t i = 0; i < config().num_hidden_layers; i++) run_layer(i);
  return logits();
}

void CpuDecoder::reserve(Buffer& buffer, int64_t columns) {
  const int64_t bytes = rows_ * columns * element_bytes_;
  if (bytes > buffer.size()) {
    buffer = {};
    buffer = Buffer(context_, bytes);
  }
}

template <class Use> void CpuDecoder::each_range(int64_t columns, const Use& use) {
  cuda::parallel_for(threads_, rows_, std::max<int64_t>(1, grain / columns),
                     [&](int64_t begin, int64_t end, int) { use(begin, end); });
}

void CpuDecoder::multiply(const Product& product, const Buffer& x, Buffer& y, std::optional<Activation> kind) {
  reserve(y, product.outputs());
  product.run(x.data(), rows_, y.data(), threads_, kind);
}

// Reads the token embeddings of the batch. Those of the mapped file are read a few at a time, because its pages count
// as memory of the process until they are released.
void CpuDecoder::read_words() {
  constexpr int64_t most_mapped = 32;
  if (config().tie_word_embeddings && precision_ == Precision::fp32) {
    head_->rows_of(batch_.ids, work_.words.data());
    return;
  }
  for (int64_t begin = 0; begin < rows_; begin += most_mapped) {
    const int64_t count = std::min(most_mapped, rows_ - begin);
    rows_to_float(stored_.view(words_), std::span(batch_.ids).subspan(begin, count),
                  work_.words.data() + begin * config().hidden_size);
    mapped_rows_ += count;
    if (mapped_rows_ < most_mapped) continue;
    stored_.release();
    mapped_rows_ = 0;
  }
}

void CpuDecoder::embed() {
  const int64_t columns = config().hidden_size;
  if (work_.words.size() < rows_ * columns) work_.words = cuda::DeviceBuffer<float>(context_, rows_ * columns);
  reserve(work_.stream, columns);
  read_words();
  each_range(columns, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const float* words = work_.words.data() + r * columns;
      const float* positions =
          positions_.defined() ? positions_.const_data_ptr<float>() + batch_.positions[r] * columns : nullptr;
      auto* to = work_.stream.data() + r * columns * element_bytes_;
      store_ == cuda::Store::fp32 ? sum_embeddings(words, positions, columns, reinterpret_cast<float*>(to))
                                  : sum_embeddings(words, positions, columns, reinterpret_cast<c10::BFloat16*>(to));
    }
  });
  has_added_ = false;
}

// stream += added, normalised = norm(stream)
void CpuDecoder::add_and_normalise(const transformer::Norm& norm) {
  const int64_t columns = config().hidden_size, bytes = columns * element_bytes_;
  reserve(work_.normalised, columns);
  if (has_added_) reserve(work_.next_stream, columns);
  const auto& kernels = cuda::norm_kernels();
  each_range(columns, [&](int64_t begin, int64_t end) {
    const auto part = [&](const Buffer& buffer) { return buffer.data() + begin * bytes; };
    kernels.normalise({.rows = end - begin,
                       .columns = columns,
                       .x = part(has_added_ ? work_.added : work_.stream),
                       .residual = has_added_ ? part(work_.stream) : nullptr,
                       .weight = norm.weight.const_data_ptr<float>(),
                       .bias = norm.bias.defined() ? norm.bias.const_data_ptr<float>() : nullptr,
                       .eps = static_cast<float>(config().norm_eps),
                       .store = store_,
                       .sum = has_added_ ? part(work_.next_stream) : nullptr,
                       .normalised = part(work_.normalised),
                       .rms = config().family().rms_norm});
  });
  if (has_added_) std::swap(work_.stream, work_.next_stream);
  has_added_ = false;
}

// Layers above the last one need the keys and values of all tokens; the last one, only the wanted rows of the rest.
void CpuDecoder::run_layer(int64_t index) {
  const Layer& layer = layers_[index];
  add_and_normalise(layer.attention_norm);
  multiply(layer.query_key_value, work_.normalised, work_.query_key_value);
  if (rotary_) prepare_heads(layer);
  const int64_t queries = config().query_size(), keys = config().key_value_size(), all = queries + 2 * keys;
  const std::byte* row = work_.query_key_value.data();
  cuda::append_to_cache(context_, {.cache = cache_of(index),
                                   .rows = cache_rows(batch_.all),
                                   .k = row + queries * element_bytes_,
                                   .v = row + (queries + keys) * element_bytes_,
                                   .k_stride = all,
                                   .v_stride = all,
                                   .store = store_});
  const bool last = index + 1 == config().num_hidden_layers;
  if (last) keep_wanted_rows();
  if (rows_ == 0) return;
  attend(layer, index, last ? batch_.wanted : batch_.all);
  add_and_normalise(layer.feed_forward_norm);
  feed_forward(layer);
}

// Norms and rotation of the heads of queries and keys.
void CpuDecoder::prepare_heads(const Layer& layer) {
  const int64_t d = config().head_dim, stride = config().query_size() + 2 * config().key_value_size();
  const auto& norms = cuda::norm_kernels();
  const auto& rows = cuda::rows_kernels();
  const auto normalise = [&](const transformer::Norm& norm, std::byte* heads, int64_t count) {
    if (!norm.weight.defined()) return;
    norms.normalise({.rows = count,
                     .columns = d,
                     .x = heads,
                     .weight = norm.weight.const_data_ptr<float>(),
                     .eps = static_cast<float>(config().norm_eps),
                     .store = store_,
                     .normalised = heads,
                     .rms = config().family().rms_norm});
  };
  each_range(stride, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      auto* row = work_.query_key_value.data() + r * stride * element_bytes_;
      normalise(layer.query_norm, row, config().num_attention_heads);
      normalise(layer.key_norm, row + config().query_size() * element_bytes_, config().num_key_value_heads);
    }
    auto* first = work_.query_key_value.data() + begin * stride * element_bytes_;
    rows.rotate({.rows = end - begin,
                 .heads = config().num_attention_heads + config().num_key_value_heads,
                 .d = d,
                 .x = first,
                 .x_stride = stride,
                 .cos = rotary_->cos().const_data_ptr<float>(),
                 .sin = rotary_->sin().const_data_ptr<float>(),
                 .positions = batch_.positions.data() + begin,
                 .sign = 1,
                 .store = store_,
                 .y = first,
                 .y_stride = stride});
  });
}

// Moves the wanted rows of the stream and of the queries to the front.
void CpuDecoder::keep_wanted_rows() {
  const int64_t hidden = config().hidden_size * element_bytes_, queries = config().query_size() * element_bytes_;
  const int64_t stride = queries + 2 * config().key_value_size() * element_bytes_;
  rows_ = batch_.wanted.rows();
  for (int64_t to = 0; to < rows_; to++) {
    const int64_t from = batch_.kept[to];
    if (from == to) continue;
    std::memcpy(work_.stream.data() + to * hidden, work_.stream.data() + from * hidden, hidden);
    std::memcpy(work_.query_key_value.data() + to * stride, work_.query_key_value.data() + from * stride, queries);
  }
}

void CpuDecoder::attend(const Layer& layer, int64_t index, const SequenceRows& rows) {
  const int64_t queries = config().query_size();
  reserve(work_.attended, queries);
  cuda::decode_attention(context_, {.cache = cache_of(index),
                                    .rows = cache_rows(rows),
                                    .heads = config().num_attention_heads,
                                    .scale = layer.scale,
                                    .q = work_.query_key_value.data(),
                                    .q_stride = queries + 2 * config().key_value_size(),
                                    .out = work_.attended.data(),
                                    .out_stride = queries,
                                    .store = store_});
  multiply(layer.attention_output, work_.attended, work_.added);
  has_added_ = true;
}

void CpuDecoder::feed_forward(const Layer& layer) {
  const bool fused = curve_of(config().hidden_act) && !config().family().is_gated();
  if (fused) {
    multiply(layer.up, work_.normalised, work_.active, config().hidden_act);
  } else {
    multiply(layer.up, work_.normalised, work_.wide);
    store_ == cuda::Store::fp32 ? activate<float>() : activate<c10::BFloat16>();
  }
  multiply(layer.down, work_.active, work_.added);
  has_added_ = true;
}

// active = act(wide), or act(first half of wide) * second half
template <class T> void CpuDecoder::activate() {
  const int64_t columns = config().intermediate_size, wide = columns * (config().family().is_gated() ? 2 : 1);
  const auto curve = curve_of(config().hidden_act);
  reserve(work_.active, columns);
  each_range(columns, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const T* x = reinterpret_cast<const T*>(work_.wide.data()) + r * wide;
      const T* up = wide > columns ? x + columns : nullptr;
      T* y = reinterpret_cast<T*>(work_.active.data()) + r * columns;
      if (curve) {
        cuda::rows_kernels().activate({.count = columns, .curve = *curve, .store = store_, .x = x, .up = up, .y = y});
      } else {
        activate_values(config().hidden_act, x, up, columns, y);
      }
    }
  });
}

cuda::Rows<float> CpuDecoder::logits() {
  const int64_t columns = config().vocab_size;
  if (rows_ == 0) return {work_.words.data(), 0, columns};
  add_and_normalise(last_norm_);
  multiply(*head_, work_.normalised, work_.wide);
  if (store_ == cuda::Store::fp32) return {reinterpret_cast<float*>(work_.wide.data()), rows_, columns};
  if (work_.logits.size() < rows_ * columns) work_.logits = cuda::DeviceBuffer<float>(context_, rows_ * columns);
  const auto* rounded = reinterpret_cast<const c10::BFloat16*>(work_.wide.data());
  std::copy_n(rounded, rows_ * columns, work_.logits.data());
  return {work_.logits.data(), rows_, columns};
}

}  // namespace sartor::gpt
