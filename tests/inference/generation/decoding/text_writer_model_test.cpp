// Texts of real models: equal to those that are written one by one without a cache, bit for bit.
#include "inference/generation/decoding/naive_writer.h"
#include "models/gpt/device_decoder.h"
#include "models/gpt/folder.h"
#include "support/folder_test.h"
#include "support/plain_copies.h"
#include "trainer/models/gpt_support.h"

namespace sartor::inference {
namespace {

using gpt::testing::made_model;
using gpt::testing::small_config;
using transformer::Precision;

class TextWriterModel : public sartor::testing::FolderTest {
 protected:
  std::unique_ptr<gpt::Decoder> decoder(Precision precision, int threads = 1) const {
    return gpt::open_decoder(folder_, precision, -1, threads);
  }

  Texts written(gpt::Decoder& decoder, const DecodingConfig& config, const WriterLimits& limits) {
    TextWriter writer(decoder, tokenizer_, config, ends_, limits);
    return write_all(writer, prompts_);
  }

  // Logits after the ids, computed in one piece.
  static NaiveWriter::Logits without_cache(gpt::Decoder& decoder) {
    return [&decoder](std::span<const int32_t> ids) {
      Ids blocks((ids.size() + cuda::cache_block - 1) / cuda::cache_block);
      std::iota(blocks.begin(), blocks.end(), 0);
      decoder.allocate(std::ssize(blocks));
      const gpt::DecoderChunk whole{.ids = ids, .blocks = blocks, .logits = 1};
      const auto logits = decoder.run({&whole, 1});
      return std::vector<float>(logits.data, logits.data + logits.columns);
    };
  }

  void expect_same_texts(const DecodingConfig& config, Precision precision) {
    const auto alone = decoder(precision);
    const auto expected = config.num_beams > 1
                              ? written(*alone, config, {.max_sequences = 1, .share_prefixes = false})
                              : NaiveWriter(without_cache(*alone), tokenizer_, config, ends_).write(prompts_);
    const auto one = decoder(precision), two = decoder(precision, 2);
    const int64_t block = one->bytes_per_block(), least = least_cache(prompts_, config) / 1000 * block;
    for (const auto& limits : {
             WriterLimits{},
             WriterLimits{.max_sequences = 1},
             WriterLimits{.max_sequences = 5, .prefill_tokens = 7, .lag = 1},
             WriterLimits{.prefill_tokens = 33, .share_prefixes = false},
             WriterLimits{.cache_bytes = least},
             WriterLimits{.prefill_tokens = 1, .cache_bytes = least + 5 * block, .lag = 1},
         }) {
      ASSERT_EQ(written(*one, config, limits), expected);
      ASSERT_EQ(written(*two, config, limits), expected);
    }
  }

  const text::Tokenizer tokenizer_ = byte_tokenizer();
  const Ids ends_ = {2, 7};
  const std::vector<Prompt> prompts_ = random_prompts(10, 61, 2, 60);
};

TEST_F(TextWriterModel, DoNotDependOnBatchesCachesChunksAndThreads) {
  DecodingConfig sampling;
  sampling.do_sample = true;
  sampling.max_new_tokens = 20;
  sampling.top_k = 30;
  auto processed = sampling;
  processed.repetition_penalty = 1.3;
  processed.no_repeat_ngram_size = 2;
  processed.min_new_tokens = 3;
  for (const auto& family : {"gpt2", "qwen3"}) {
    gpt::save_gpt(made_model(small_config(family)), folder_);
    for (const auto precision : {Precision::fp32, Precision::int8, Precision::bf16}) {
      SCOPED_TRACE(fmt::format("{}, precision {}", family, static_cast<int>(precision)));
      expect_same_texts(sampling, precision);
      expect_same_texts(processed, precision);
    }
  }
}

TEST_F(TextWriterModel, BeamsDoNotDependOnBatchesCachesChunksAndThreads) {
  gpt::save_gpt(made_model(small_config("llama")), folder_);
  DecodingConfig beams;
  beams.num_beams = 3;
  beams.num_return_sequences = 2;
  beams.max_new_tokens = 15;
  for (const auto precision : {Precision::fp32, Precision::int8}) expect_same_texts(beams, precision);
}

TEST_F(TextWriterModel, GreedyTextsEqualThoseOfTheModelInTraining) {
  const at::NoGradGuard no_grad;
  DecodingConfig greedy;
  greedy.max_new_tokens = 30;
  for (const auto& family : gpt::testing::all_families) {
    const auto config = small_config(family);
    const auto model = made_model(config);
    gpt::save_gpt(model, folder_);
    const auto logits = [&](std::span<const int32_t> ids) {
      const sartor::testing::Rows rows = {Ids(ids.begin(), ids.end())};
      const auto all = model.logits(gpt::testing::packed(config, rows));
      const auto last = all[all.size(0) - 1].contiguous();
      return std::vector<float>(last.data_ptr<float>(), last.data_ptr<float>() + last.numel());
    };
    auto prompts = prompts_;
    for (auto& prompt : prompts) prompt.variants = 1;
    const auto expected = NaiveWriter(logits, tokenizer_, greedy, ends_).write(prompts);
    const auto one = decoder(Precision::fp32);
    TextWriter writer(*one, tokenizer_, greedy, ends_);
    for (const auto& [key, text] : write_all(writer, prompts)) {
      EXPECT_EQ(text.ids, expected.at(key).ids) << family;
      EXPECT_NEAR(text.log_probability, expected.at(key).log_probability, 1e-3) << family;
    }
  }
}

// libtorch's operators, tokens that are read late, and the best tokens of beams: the device's road over the CPU's
// memory.
TEST_F(TextWriterModel, AnAcceleratorWritesTheSameTexts) {
  auto prompts = prompts_;
  for (auto& prompt : prompts) prompt.variants = 1;
  DecodingConfig greedy, processed, beams;
  greedy.max_new_tokens = processed.max_new_tokens = 25;
  processed.repetition_penalty = 1.3;
  processed.no_repeat_ngram_size = 2;
  processed.min_new_tokens = 3;
  beams.num_beams = 3;
  beams.max_new_tokens = 12;
  beams.repetition_penalty = 1.1;
  for (const auto& family : {"gpt2", "llama", "qwen3"}) {
    const auto model = made_model(small_config(family));
    gpt::save_gpt(model, folder_);
    const auto host = decoder(Precision::fp32);
    gpt::DeviceDecoder device(model, at::kFloat, cuda::Context::cpu(1),
                              Transfer(at::kCPU, std::make_shared<sartor::testing::PlainCopies>(at::kCPU)));
    for (const auto& config : {greedy, processed, beams}) {
      TextWriter expected(*host, tokenizer_, config, ends_), writer(device, tokenizer_, config, ends_);
      const auto texts = write_all(expected, prompts);
      for (const auto& [key, text] : write_all(writer, prompts)) {
        EXPECT_EQ(text.ids, texts.at(key).ids) << family;
        EXPECT_NEAR(text.log_probability, texts.at(key).log_probability, 1e-3) << family;
        EXPECT_NEAR(text.score, texts.at(key).score, 1e-3) << family;
      }
    }
  }
}

}  // namespace
}  // namespace sartor::inference
