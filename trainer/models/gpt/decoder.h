// Decoders write texts token by token. Keys and values of earlier tokens are kept in a paged cache, so that each call
// computes only new tokens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "core/context.h"
#include "core/views.h"
#include "models/gpt/accelerator.h"
#include "models/gpt/config.h"
#include "models/transformer/precision.h"

namespace sartor::gpt {

// Consecutive tokens of one sequence.
struct DecoderChunk {
  // At positions first, first + 1, ... If empty, the chunk is one token, which the device has at last_ids[slot].
  std::span<const int32_t> ids;
  int32_t slot = 0;
  int64_t first = 0;
  // Numbers of the cache blocks of the sequence, each for cuda::cache_block positions, for all positions up to the last
  // of the chunk. Positions before `first` have been computed in earlier calls.
  std::span<const int32_t> blocks;
  int64_t logits = 0;  // number of last tokens of the chunk whose logits are wanted

  int64_t tokens() const { return ids.empty() ? 1 : std::ssize(ids); }
};

// On the CPU, logits of a token depend only on the tokens up to it, bit for bit: not on other chunks of the call, on
// the division of its sequence into chunks, on the numbers of its blocks, or on the number of threads.
class Decoder {
 public:
  virtual ~Decoder() = default;

  virtual const GptConfig& config() const = 0;
  // The device of caches and logits. On a GPU, its stream is the current one of libtorch.
  virtual cuda::Context& context() = 0;
  // Null on the CPU.
  virtual Accelerator* accelerator() { return nullptr; }

  virtual int64_t bytes_per_block() const = 0;  // of one block in all layers
  // Allocates a cache of blocks 0 to blocks - 1, not initialized, and releases the previous one.
  virtual void allocate(int64_t blocks) = 0;
  virtual void copy_block(int32_t from, int32_t to) = 0;  // in all layers

  // Appends the keys and values of all chunks to the cache and returns the wanted logits (rows, vocab_size) in the
  // order of the chunks and their tokens, valid until the next call. The chunks belong to different sequences: no chunk
  // reads blocks that another one writes. `last_ids` is memory of the device.
  virtual cuda::Rows<float> run(std::span<const DecoderChunk> chunks, const int32_t* last_ids = nullptr) = 0;
};

// Opens a Hugging Face folder for inference. gpu: -1 for the CPU, otherwise its number; int8 requires the CPU. threads:
// of the CPU, 0 for all that are available. Throws std::invalid_argument like load_gpt, and for a folder that has only
// adapters (peft).
std::unique_ptr<Decoder> open_decoder(const std::filesystem::path& folder, transformer::Precision precision, int gpu,
                                      int threads);

}  // namespace sartor::gpt
