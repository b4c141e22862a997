#include "models/gpt/device_decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <utility>

#include "models/gpt/families.h"
#include "models/gpt/parameters.h"
#include "models/transformer/linear.h"
#include "models/transformer/ops.h"

namespace sartor::gpt {
namespace {

cuda::Store store_of(at::ScalarType type) { return type == at::kBFloat16 ? cuda::Store::bf16 : cuda::Store::fp32; }

// Chunks with several tokens use a kernel over consecutive keys.
bool is_single(const DecoderChunk& chunk) { return chunk.tokens() == 1; }

at::Tensor on_device(const void* data, int64_t size, at::Device device) {
  const auto options = at::TensorOptions(device).dtype(at::kInt);
  return at::from_blob(
      const_cast<void*>(data), {size}, [](void*) {}, options, device);
}

// The stream that libtorch's operators run on.
void* current_stream(at::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device).native_handle();
}

at::Tensor apply(const transformer::Linear& linear, const at::Tensor& x) {
  return at::linear(x, linear.weight, linear.bias.defined() ? std::optional(linear.bias) : std::nullopt);
}

}  // namespace

DeviceDecoder::DeviceDecoder(const Gpt& model, at::ScalarType type, cuda::Context context, Transfer transfer)
    : config_(model.config()),
      context_(std::move(context)),
      transfer_(std::move(transfer)),
      accelerator_(make_accelerator(transfer_)),
      device_(model.output_weight().device()),
      type_(transformer::checked_compute_type(type)) {
  const c10::InferenceMode inference;
  const Family& family = config_.family();
  const auto named = [&](std::string_view module) { return std::string(family.prefix).append(module); };
  // Token embeddings are summed with positions in fp32.
  words_ = model.registry().merged(named(family.embeddings) + ".weight").clone();
  head_ = (config_.tie_word_embeddings ? words_ : model.output_weight().detach()).to(type_);
  if (family.is_rotary()) {
    rotary_.emplace(config_, device_);
    words_ = words_.to(type_);
  } else {
    positions_ = model.parameter(named(family.positions) + ".weight").detach().clone();
  }
  for (int64_t i = 0; i < config_.num_hidden_layers; i++) layers_.push_back(read_layer(model, i));
  last_norm_ = model.registry().norm(named(family.last_norm));
}

// The outputs of several linear layers of the same input, one after the other.
transformer::Linear DeviceDecoder::linear(const Gpt& model, std::span<const std::string> names) const {
  std::vector<at::Tensor> weights, biases;
  for (const auto& name : names) {
    weights.push_back(model.registry().merged(name + ".weight").to(type_));
    if (model.registry().has(name + ".bias")) biases.push_back(model.parameter(name + ".bias").detach().to(type_));
  }
  return {at::cat(weights), biases.empty() ? at::Tensor() : at::cat(biases)};
}

DeviceDecoder::Layer DeviceDecoder::read_layer(const Gpt& model, int64_t index) const {
  const Family& family = config_.family();
  const auto prefix = layer_prefix(config_, index);
  const auto fused = [&](std::initializer_list<Module> modules) {
    std::vector<std::string> names;
    for (const auto module : modules) {
      if (!family.module(module).empty()) names.push_back(std::string(prefix).append(family.module(module)));
    }
    return linear(model, names);
  };
  const auto norm_of = [&](std::string_view name) {
    return name.empty() ? transformer::Norm() : model.registry().norm(std::string(prefix).append(name));
  };
  return {.query_key_value = fused({Module::query, Module::key, Module::value}),
          .attention_output = fused({Module::attention_output}),
          .up = fused({Module::gate, Module::up}),
          .down = fused({Module::down}),
          .attention_norm = norm_of(family.attention_norm),
          .feed_forward_norm = norm_of(family.feed_forward_norm),
          .query_norm = norm_of(family.query_norm),
          .key_norm = norm_of(family.key_norm),
          .scale = config_.attention_scale(index)};
}

// ---- cache ----

int64_t DeviceDecoder::bytes_per_block() const {
  return 2 * config_.num_hidden_layers * config_.key_value_size() * cuda::cache_block *
         static_cast<int64_t>(c10::elementSize(type_));
}

void DeviceDecoder::allocate(int64_t blocks) {
  keys_.reset();
  values_.reset();
  const auto options = at::TensorOptions(device_).dtype(type_);
  const int64_t layers = config_.num_hidden_layers, heads = config_.num_key_value_heads, d = config_.head_dim;
  keys_ = at::empty({layers, blocks, heads, d, cuda::cache_block}, options);
  values_ = at::empty({layers, blocks, heads, cuda::cache_block, d}, options);
  blocks_ = blocks;
}

void DeviceDecoder::copy_block(int32_t from, int32_t to) {
  const c10::InferenceMode inference;
  for (const auto& cache : {keys_, values_}) cache.select(1, to).copy_(cache.select(1, from));
}

cuda::PagedCache DeviceDecoder::cache_of(int64_t layer) const {
  return {.keys = keys_.select(0, layer).data_ptr(),
          .values = values_.select(0, layer).data_ptr(),
          .store = store_of(type_),
          .kv_heads = config_.num_key_value_heads,
          .d = config_.head_dim};
}

cuda::CacheRows DeviceDecoder::cache_rows(int64_t sequences) const {
  const auto array = [](const at::Tensor& values) { return static_cast<const int32_t*>(values.data_ptr()); };
  return {.sequences = sequences,
          .offsets = array(arrays_.offsets),
          .first = array(arrays_.first),
          .blocks = array(arrays_.blocks),
          .table_columns = batch_.table_columns};
}

// ---- a call ----

cuda::Rows<float> DeviceDecoder::run(std::span<const DecoderChunk> chunks, const int32_t* last_ids) {
  const c10::InferenceMode inference;
  if (device_.is_cuda()) context_.use_stream(current_stream(device_));
  order_chunks(chunks, last_ids != nullptr);
  if (batch_.tokens() == 0) return {nullptr, 0, config_.vocab_size};
  gather_chunks();
  upload();
  if (rotary_) {
    rotary_->extend(*std::ranges::max_element(batch_.positions) + 1);
    angles_ = transformer::token_angles(rotary_->cos(), rotary_->sin(), arrays_.positions);
  }
  auto x = embeddings(last_ids);
  for (int64_t i = 0; i < config_.num_hidden_layers; i++) x = run_layer(i, x);
  if (kept_.empty()) return {nullptr, 0, config_.vocab_size};
  logits_ = at::linear(norm(x.index_select(0, arrays_.kept), last_norm_), head_).to(at::kFloat);
  return {static_cast<float*>(logits_.data_ptr()), logits_.size(0), logits_.size(1)};
}

// Assigns the batch with single tokens before chunks.
void DeviceDecoder::order_chunks(std::span<const DecoderChunk> chunks, bool has_slots) {
  std::vector<size_t> order(chunks.size()), place(chunks.size());
  std::iota(order.begin(), order.end(), 0);
  const auto others = std::ranges::stable_partition(order, [&](size_t i) { return is_single(chunks[i]); });
  singles_ = others.begin() - order.begin();
  ordered_.clear();
  for (const size_t i : order) {
    place[i] = ordered_.size();
    ordered_.push_back(chunks[i]);
  }
  batch_.assign(ordered_, config_, blocks_, has_slots);
  kept_.clear();
  for (size_t i = 0; i < chunks.size(); i++) {
    const int32_t end = batch_.all.offsets[place[i] + 1];
    for (auto row = end - static_cast<int32_t>(chunks[i].logits); row < end; row++) kept_.push_back(row);
  }
}

void DeviceDecoder::gather_chunks() {
  chunks_ = {.q_offsets = {0}, .k_offsets = {0}};
  for (const auto& chunk : std::span(ordered_).subspan(singles_)) {
    const int64_t keys = chunk.first + chunk.tokens();
    const auto start = std::ssize(chunks_.blocks) * cuda::cache_block;
    for (int64_t i = 0; i < keys; i++) chunks_.keys.push_back(static_cast<int32_t>(start + i));
    const int64_t blocks = (keys + cuda::cache_block - 1) / cuda::cache_block;
    chunks_.blocks.insert(chunks_.blocks.end(), chunk.blocks.begin(), chunk.blocks.begin() + blocks);
    chunks_.q_offsets.push_back(chunks_.q_offsets.back() + static_cast<int32_t>(chunk.tokens()));
    chunks_.k_offsets.push_back(chunks_.k_offsets.back() + static_cast<int32_t>(keys));
    chunks_.rows.longest_q = std::max(chunks_.rows.longest_q, chunk.tokens());
    chunks_.rows.longest_k = std::max(chunks_.rows.longest_k, keys);
  }
  chunks_.rows.q_offsets.assign(chunks_.q_offsets.begin(), chunks_.q_offsets.end());
  chunks_.rows.k_offsets.assign(chunks_.k_offsets.begin(), chunks_.k_offsets.end());
}

void DeviceDecoder::upload() {
  slots_.clear();
  slot_rows_.clear();
  for (const auto& [row, slot] : batch_.slots) {
    slot_rows_.push_back(row);
    slots_.push_back(slot);
  }
  std::vector<at::Tensor*> sent;
  const auto add = [&](at::Tensor& tensor, const auto& values, at::ScalarType type) {
    tensor = at::from_blob(const_cast<void*>(static_cast<const void*>(values.data())), {std::ssize(values)}, type);
    sent.push_back(&tensor);
  };
  add(arrays_.ids, batch_.ids, at::kInt);
  add(arrays_.positions, batch_.positions, at::kLong);
  add(arrays_.offsets, batch_.all.offsets, at::kInt);
  add(arrays_.first, batch_.all.first, at::kInt);
  add(arrays_.blocks, batch_.blocks, at::kInt);
  add(arrays_.kept, kept_, at::kInt);
  add(arrays_.slot_rows, slot_rows_, at::kLong);
  add(arrays_.slots, slots_, at::kInt);
  add(arrays_.chunk_blocks, chunks_.blocks, at::kInt);
  add(arrays_.chunk_keys, chunks_.keys, at::kInt);
  add(chunks_.rows.q_offsets_B1, chunks_.q_offsets, at::kInt);
  add(chunks_.rows.k_offsets_B1, chunks_.k_offsets, at::kInt);
  transfer_.await(transfer_.send(sent));
}

at::Tensor DeviceDecoder::embeddings(const int32_t* last_ids) const {
  auto ids = arrays_.ids;
  if (!batch_.slots.empty()) {
    const int32_t most = std::ranges::max(batch_.slots, {}, &SlotRow::slot).slot;
    const auto found = on_device(last_ids, most + 1, device_).index_select(0, arrays_.slots);
    ids = ids.index_copy(0, arrays_.slot_rows, found);
  }
  const auto words = at::embedding(words_, ids);
  return (positions_.defined() ? words + at::embedding(positions_, arrays_.positions) : words).to(type_);
}

at::Tensor DeviceDecoder::norm(const at::Tensor& x, const transformer::Norm& norm) const {
  return config_.family().rms_norm ? transformer::rms_norm(x, norm.weight, config_.norm_eps)
                                   : transformer::add_norm(x, {}, norm.weight, norm.bias, config_.norm_eps, 0);
}

at::Tensor DeviceDecoder::run_layer(int64_t index, const at::Tensor& x) {
  const Layer& layer = layers_[index];
  const auto attended = attention(index, apply(layer.query_key_value, norm(x, layer.attention_norm)));
  const auto sum = x + apply(layer.attention_output, attended);
  return sum + feed_forward(layer, norm(sum, layer.feed_forward_norm));
}

at::Tensor DeviceDecoder::feed_forward(const Layer& layer, const at::Tensor& x) const {
  const auto wide = apply(layer.up, x);
  if (!config_.family().is_gated()) return apply(layer.down, transformer::activation(wide, config_.hidden_act));
  const auto parts = wide.chunk(2, 1);
  return apply(layer.down, transformer::gated(parts[0], parts[1], config_.hidden_act));
}

// Queries and keys (T, heads * d) with the norms of their heads and their rotation.
at::Tensor DeviceDecoder::prepared(const Layer& layer, const at::Tensor& queries_and_keys) const {
  if (!rotary_) return queries_and_keys;
  const int64_t d = config_.head_dim;
  auto x = queries_and_keys;
  if (layer.query_norm.weight.defined()) {
    const auto normalised = [&](int64_t begin, int64_t columns, const transformer::Norm& head_norm) {
      const auto heads = queries_and_keys.narrow(1, begin, columns).reshape({-1, d});
      return norm(heads, head_norm).view({-1, columns});
    };
    const int64_t queries = config_.query_size(), keys = config_.key_value_size();
    x = at::cat({normalised(0, queries, layer.query_norm), normalised(queries, keys, layer.key_norm)}, 1);
  }
  return transformer::rotate(x, angles_, d);
}

at::Tensor DeviceDecoder::attention(int64_t index, const at::Tensor& query_key_value) {
  const Layer& layer = layers_[index];
  const int64_t queries = config_.query_size(), keys = config_.key_value_size();
  const auto rotated = prepared(layer, query_key_value.narrow(1, 0, queries + keys));
  const auto query = rotated.narrow(1, 0, queries), key = rotated.narrow(1, queries, keys);
  const auto value = query_key_value.narrow(1, queries + keys, keys);
  cuda::append_to_cache(context_, {.cache = cache_of(index),
                                   .rows = cache_rows(batch_.sequences()),
                                   .k = key.data_ptr(),
                                   .v = value.data_ptr(),
                                   .k_stride = key.stride(0),
                                   .v_stride = value.stride(0),
                                   .store = store_of(type_)});
  if (singles_ == 0) return attend_chunks(index, query);
  auto out = at::empty({batch_.tokens(), queries}, query.options());
  cuda::decode_attention(context_, {.cache = cache_of(index),
                                    .rows = cache_rows(singles_),
                                    .heads = config_.num_attention_heads,
                                    .scale = static_cast<float>(layer.scale),
                                    .q = query.data_ptr(),
                                    .q_stride = query.stride(0),
                                    .out = out.data_ptr(),
                                    .out_stride = queries,
                                    .store = store_of(type_)});
  const int64_t rest = batch_.tokens() - singles_;
  if (rest > 0) out.narrow(0, singles_, rest).copy_(attend_chunks(index, query.narrow(0, singles_, rest)));
  return out;
}

// Gathers the keys and values of the chunks' blocks.
at::Tensor DeviceDecoder::attend_chunks(int64_t index, const at::Tensor& query) const {
  const auto gathered = [&](const at::Tensor& cache, std::array<int64_t, 4> order) {
    return cache.select(0, index)
        .index_select(0, arrays_.chunk_blocks)
        .permute(order)
        .reshape({-1, config_.key_value_size()})
        .index_select(0, arrays_.chunk_keys);
  };
  return transformer::attend({.q = query,
                              .k = gathered(keys_, {0, 3, 1, 2}),
                              .v = gathered(values_, {0, 2, 1, 3}),
                              .rows = chunks_.rows,
                              .head_size = config_.head_dim,
                              .scale = layers_[index].scale,
                              .causal = true})
      .out;
}

}  // namespace sartor::gpt
