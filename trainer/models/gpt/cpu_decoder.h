// Decoding on the CPU: packed weights, our own kernels, a paged cache, no gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/device_buffer.h"
#include "decoding/decode_attention.h"
#include "models/gpt/decoder.h"
#include "models/gpt/decoder_batch.h"
#include "models/gpt/folder.h"
#include "models/gpt/rotary.h"
#include "models/transformer/product.h"

namespace sartor::gpt {

// Shapes: T tokens of a call, R rows with wanted logits, H hidden size, Q all query heads, K all key heads, I
// intermediate size, V vocabulary.
//
// With int8, weights are quantized per output and their inputs dynamically per token; attention and norms are in fp32.
// With bf16, activations and the cache are rounded to bf16. Each weight is in memory once; token embeddings are rows of
// the output layer if they are tied and exact there, otherwise rows of the mapped file.
class CpuDecoder : public Decoder {
 public:
  // Throws std::invalid_argument like load_gpt.
  CpuDecoder(const std::filesystem::path& folder, transformer::Precision precision, int threads);

  const GptConfig& config() const override { return stored_.config(); }
  cuda::Context& context() override { return context_; }
  int64_t bytes_per_block() const override;
  void allocate(int64_t blocks) override;
  void copy_block(int32_t from, int32_t to) override;
  cuda::Rows<float> run(std::span<const DecoderChunk> chunks, const int32_t* last_ids = nullptr) override;

 private:
  struct Layer {
    transformer::Product query_key_value, attention_output;
    transformer::Product up;  // with the gate before it, if there is one
    transformer::Product down;
    transformer::Norm attention_norm, feed_forward_norm, query_norm, key_norm;
    float scale;  // of the attention scores
  };
  // Memory of a call, which only grows. Elements are fp32, or bf16 if the precision is.
  struct Workspace {
    cuda::DeviceBuffer<std::byte> stream, next_stream;  // (T, H) residual stream
    cuda::DeviceBuffer<std::byte> normalised, added;    // (T, H); `added` is to be added to the stream
    cuda::DeviceBuffer<std::byte> query_key_value;      // (T, Q + 2 K)
    cuda::DeviceBuffer<std::byte> attended;             // (T, Q)
    cuda::DeviceBuffer<std::byte> wide, active;         // (T, I or 2 I) or (R, V), (T, I)
    cuda::DeviceBuffer<float> words, logits;            // (T, H), (R, V)
  };

  // How int8 rounds the inputs of a product. Those of the head and of the second layer of the feed-forward part have
  // outliers: with all inputs in bytes the perplexity of SmolLM2 was 1.7% above that of fp32, not 0.5%.
  enum class Inputs : uint8_t { coarse, fine };
  transformer::Product product(std::span<const std::string> names, Inputs inputs) const;
  transformer::Norm norm(const std::string& name) const;
  Layer read_layer(int64_t index) const;

  void read_words();
  void embed();
  void run_layer(int64_t index);
  void prepare_heads(const Layer& layer);
  void keep_wanted_rows();
  void attend(const Layer& layer, int64_t index, const SequenceRows& rows);
  void feed_forward(const Layer& layer);
  template <class T> void activate();
  void add_and_normalise(const transformer::Norm& norm);
  cuda::Rows<float> logits();

  cuda::PagedCache cache_of(int64_t layer) const;
  cuda::CacheRows cache_rows(const SequenceRows& rows) const;
  void multiply(const transformer::Product& product, const cuda::DeviceBuffer<std::byte>& x,
                cuda::DeviceBuffer<std::byte>& y, std::optional<transformer::Activation> kind = {});
  void reserve(cuda::DeviceBuffer<std::byte>& buffer, int64_t columns);
  // Calls use(first row, last row + 1) for ranges of the current rows, in parallel if they have many columns.
  template <class Use> void each_range(int64_t columns, const Use& use);

  StoredParameters stored_;
  cuda::Context context_;
  int threads_;
  transformer::Precision precision_;
  cuda::Store store_;  // of activations and cache
  int64_t element_bytes_;
  std::string words_;     // name of the token embeddings
  at::Tensor positions_;  // undefined if they are rotary
  std::optional<DecodingRotary> rotary_;
  std::optional<transformer::Product> head_;
  std::vector<Layer> layers_;
  transformer::Norm last_norm_;

  int64_t blocks_ = 0;
  std::vector<cuda::DeviceBuffer<std::byte>> keys_, values_;  // of each layer
  DecoderBatch batch_;
  Workspace work_;
  int64_t mapped_rows_ = 0;  // number of embeddings read from the file since its pages were released
  int64_t rows_ = 0;         // current number of rows: T, in the last layer R
  bool has_added_ = false;   // whether `added` is still to be added to the stream
};

}  // namespace sartor::gpt
