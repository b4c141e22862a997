// A decoder without a model, and writing of many prompts with it.
#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/random.h"
#include "decoding/decode_attention.h"
#include "generation/text_writer.h"
#include "text/tokenizers/trainers/byte_bpe_trainer.h"

namespace sartor::inference {

using Ids = std::vector<int32_t>;

// All bytes, some characters and words, and two special tokens.
inline text::Tokenizer byte_tokenizer() {
  text::ByteBpeTrainer trainer({.vocabulary_size = 290, .special_tokens = {"<|endoftext|>", "<|im_end|>"}});
  for (int i = 0; i < 3; i++) trainer.add("质量很好，服务不错！ free shipping free free");
  return text::Tokenizer(trainer.train());
}

// Logits that are a function of all tokens of a sequence.
struct FakeModel {
  int64_t vocabulary;
  // The token to write after these, with certainty, if not negative.
  std::function<int32_t(std::span<const int32_t>)> next = nullptr;

  std::vector<float> logits(std::span<const int32_t> ids) const {
    uint64_t hash = 1;
    for (const int32_t id : ids) hash = random_bits(hash, static_cast<uint32_t>(id));
    std::vector<float> logits(vocabulary);
    for (int64_t v = 0; v < vocabulary; v++) {
      logits[v] = static_cast<float>(random_bits(hash, static_cast<uint64_t>(v)) >> 40) * 0x1p-24f * 8 - 4;
    }
    const int32_t wanted = next ? next(ids) : -1;
    if (wanted >= 0) logits[wanted] = 40;
    return logits;
  }
};

// Keeps the tokens of each block, and reads sequences from there. Fails if a block is used by mistake.
class FakeDecoder : public gpt::Decoder {
 public:
  explicit FakeDecoder(FakeModel model, int64_t longest = 512) : model_(std::move(model)) {
    config_.vocab_size = model_.vocabulary;
    config_.max_position_embeddings = longest;
  }

  const gpt::GptConfig& config() const override { return config_; }
  cuda::Context& context() override { return context_; }
  gpt::Accelerator* accelerator() override { return device; }
  int64_t bytes_per_block() const override { return 1000; }
  void allocate(int64_t blocks) override { tokens_.assign(blocks * cuda::cache_block, -1); }
  void copy_block(int32_t from, int32_t to) override {
    std::copy_n(&tokens_[from * cuda::cache_block], cuda::cache_block, &tokens_[to * cuda::cache_block]);
    copies++;
  }
  cuda::Rows<float> run(std::span<const gpt::DecoderChunk> chunks, const int32_t* last_ids) override {
    check_blocks(chunks);
    logits_.clear();
    int64_t rows = 0;
    for (const auto& chunk : chunks) {
      run(chunk, last_ids);
      rows += chunk.logits;
    }
    largest_batch = std::max(largest_batch, std::ssize(chunks));
    return {logits_.data(), rows, model_.vocabulary};
  }

  int64_t copies = 0, largest_batch = 0, largest_chunk = 0, tokens = 0;
  int64_t fails_at = -1;  // throws when so many tokens have been computed
  gpt::Accelerator* device = nullptr;

 private:
  int32_t& token(const gpt::DecoderChunk& chunk, int64_t position) {
    return tokens_.at(chunk.blocks[position / cuda::cache_block] * cuda::cache_block + position % cuda::cache_block);
  }

  void run(const gpt::DecoderChunk& chunk, const int32_t* last_ids) {
    for (int64_t i = 0; i < chunk.tokens(); i++) {
      token(chunk, chunk.first + i) = chunk.ids.empty() ? last_ids[chunk.slot] : chunk.ids[i];
    }
    largest_chunk = std::max(largest_chunk, chunk.tokens());
    tokens += chunk.tokens();
    if (fails_at >= 0 && tokens >= fails_at) throw std::runtime_error("the device is gone");
    Ids ids(chunk.first + chunk.tokens());
    for (int64_t i = 0; i < std::ssize(ids); i++) {
      ids[i] = token(chunk, i);
      if (ids[i] < 0) throw std::logic_error("a position was not computed");
    }
    for (int64_t i = std::ssize(ids) - chunk.logits; i < std::ssize(ids); i++) {
      const auto row = model_.logits(std::span(ids).first(i + 1));
      logits_.insert(logits_.end(), row.begin(), row.end());
    }
  }

  // No block that a chunk writes occurs in another chunk.
  static void check_blocks(std::span<const gpt::DecoderChunk> chunks) {
    std::map<int32_t, int> uses;
    for (const auto& chunk : chunks) {
      if (std::ssize(chunk.blocks) * cuda::cache_block < chunk.first + chunk.tokens()) {
        throw std::logic_error("too few blocks");
      }
      for (const int32_t block : chunk.blocks) uses[block]++;
    }
    for (const auto& chunk : chunks) {
      for (int64_t i = chunk.first / cuda::cache_block; i < std::ssize(chunk.blocks); i++) {
        if (uses[chunk.blocks[i]] > 1) throw std::logic_error("a shared block is written");
      }
    }
  }

  FakeModel model_;
  gpt::GptConfig config_;
  cuda::Context context_ = cuda::Context::cpu(1);
  std::vector<int32_t> tokens_;
  std::vector<float> logits_;
};

using Texts = std::map<std::pair<int64_t, int32_t>, Written>;  // by row and variant

inline void add_text(Texts& texts, Written written) {
  const auto key = std::pair(written.row, written.variant);
  if (!texts.emplace(key, std::move(written)).second) throw std::logic_error("a variant was written twice");
}

// A function for TextWriter::write that gives the prompts in order.
inline TextWriter::Next each_of(const std::vector<Prompt>& prompts) {
  return [&prompts, next = size_t{0}]() mutable {
    return next < prompts.size() ? std::optional(prompts[next++]) : std::nullopt;
  };
}

inline Texts write_all(TextWriter& writer, const std::vector<Prompt>& prompts) {
  Texts texts;
  writer.write(each_of(prompts), [&](Written written) -> std::optional<Prompt> {
    add_text(texts, std::move(written));
    return std::nullopt;
  });
  EXPECT_EQ(writer.counts().used_blocks, 0);
  EXPECT_LE(writer.counts().peak_blocks, writer.counts().blocks);
  return texts;
}

inline bool operator==(const Written& a, const Written& b) {
  const auto values = [](const Written& w) {
    return std::tie(w.row, w.variant, w.ids, w.text, w.log_probability, w.sampled_log_probability, w.score, w.end);
  };
  return values(a) == values(b);
}
inline void PrintTo(const Written& written, std::ostream* out) {
  *out << fmt::format("row {} variant {}: {} tokens, '{}', {} {} {}, {}", written.row, written.variant,
                      written.ids.size(), written.text, written.log_probability, written.sampled_log_probability,
                      written.score, name_of(written.end));
}

// Prompts of different lengths, some with a common beginning, whose ids are below `vocabulary`.
inline std::vector<Prompt> random_prompts(int64_t count, int64_t vocabulary, int32_t variants, int64_t longest = 70) {
  std::vector<Prompt> prompts;
  const auto token = [&](uint64_t seed, int64_t i) {
    return static_cast<int32_t>(random_bits(seed, static_cast<uint64_t>(i)) % static_cast<uint64_t>(vocabulary));
  };
  for (int64_t row = 0; row < count; row++) {
    Prompt prompt{.row = row, .variants = row % 3 == 2 ? 1 : variants};
    const auto length = static_cast<int64_t>(random_bits(7, row) % longest) + 1;
    const int64_t common = row % 2 == 0 ? std::min<int64_t>(length - 1, 40) : 0;
    for (int64_t i = 0; i < length; i++) prompt.ids.push_back(token(i < common ? 1 : 100 + row, i));
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

// Least bytes of a FakeDecoder's cache for these prompts, one at a time.
inline int64_t least_cache(const std::vector<Prompt>& prompts, const DecodingConfig& config) {
  const auto blocks = [](int64_t tokens) { return (tokens + cuda::cache_block - 1) / cuda::cache_block; };
  int64_t most = 0;
  for (const auto& prompt : prompts) {
    const int64_t shared = std::ssize(prompt.ids) / cuda::cache_block;
    const int64_t all = blocks(std::ssize(prompt.ids) + config.max_new_tokens - 1);
    most = std::max(most, shared + config.num_beams * (all - shared));
  }
  return 1000 * most;
}

}  // namespace sartor::inference
