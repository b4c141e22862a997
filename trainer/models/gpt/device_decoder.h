// Decoding on an accelerator: libtorch's operators over the parameters of a model, and attention over the paged cache
// by our own kernels. A call sends one array of integers to the device and reads nothing back.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "decoding/decode_attention.h"
#include "models/gpt/decoder.h"
#include "models/gpt/decoder_batch.h"
#include "models/gpt/model.h"
#include "models/gpt/rotary.h"
#include "models/tensors/transfer.h"

namespace sartor::gpt {

class DeviceDecoder : public Decoder {
 public:
  // Converts the model's weights, with adapters merged, to `type`, fp32 or bf16, once. The model may be destroyed
  // afterwards. `context` and `transfer` are those of the model's device.
  DeviceDecoder(const Gpt& model, at::ScalarType type, cuda::Context context, Transfer transfer);

  const GptConfig& config() const override { return config_; }
  cuda::Context& context() override { return context_; }
  Accelerator* accelerator() override { return accelerator_.get(); }
  int64_t bytes_per_block() const override;
  void allocate(int64_t blocks) override;
  void copy_block(int32_t from, int32_t to) override;
  cuda::Rows<float> run(std::span<const DecoderChunk> chunks, const int32_t* last_ids = nullptr) override;

 private:
  struct Layer {
    transformer::Linear query_key_value, attention_output, up, down;  // up: with the gate before it, if there is one
    transformer::Norm attention_norm, feed_forward_norm, query_norm, key_norm;
    double scale;
  };
  // Arrays of the batch on the device, int32 except positions and slot_rows.
  struct Arrays {
    at::Tensor ids, positions, offsets, first, blocks, kept;
    at::Tensor slot_rows, slots;
    // Of chunks with several tokens: their blocks, and the rows of their keys in those blocks.
    at::Tensor chunk_blocks, chunk_keys;
  };
  // Of chunks with several tokens.
  struct Chunks {
    std::vector<int32_t> blocks, keys;  // see Arrays
    std::vector<int32_t> q_offsets, k_offsets;
    transformer::AttentionRows rows;
  };

  transformer::Linear linear(const Gpt& model, std::span<const std::string> names) const;
  Layer read_layer(const Gpt& model, int64_t index) const;

  void order_chunks(std::span<const DecoderChunk> chunks, bool has_slots);
  void gather_chunks();
  void upload();
  at::Tensor embeddings(const int32_t* last_ids) const;
  at::Tensor run_layer(int64_t index, const at::Tensor& x);
  at::Tensor attention(int64_t index, const at::Tensor& query_key_value);
  at::Tensor attend_chunks(int64_t index, const at::Tensor& query) const;
  at::Tensor prepared(const Layer& layer, const at::Tensor& queries_and_keys) const;
  at::Tensor norm(const at::Tensor& x, const transformer::Norm& norm) const;
  at::Tensor feed_forward(const Layer& layer, const at::Tensor& x) const;
  cuda::PagedCache cache_of(int64_t layer) const;
  cuda::CacheRows cache_rows(int64_t sequences) const;

  GptConfig config_;
  cuda::Context context_;
  Transfer transfer_;
  std::unique_ptr<Accelerator> accelerator_;
  at::Device device_;
  at::ScalarType type_;
  at::Tensor words_, positions_, head_;  // positions_ is undefined if they are rotary
  std::optional<DecodingRotary> rotary_;
  std::vector<Layer> layers_;
  transformer::Norm last_norm_;

  int64_t blocks_ = 0;
  at::Tensor keys_, values_;  // (layers, blocks, kv_heads, d, 16), (layers, blocks, kv_heads, 16, d)
  DecoderBatch batch_;
  std::vector<DecoderChunk> ordered_;  // chunks of one token first
  int64_t singles_ = 0;                // number of them
  std::vector<int32_t> kept_;          // rows with wanted logits, in the order of the caller's chunks
  std::vector<int64_t> slot_rows_;     // of batch_.slots
  std::vector<int32_t> slots_;
  Chunks chunks_;
  Arrays arrays_;
  transformer::TokenAngles angles_;
  at::Tensor logits_;
};

}  // namespace sartor::gpt
