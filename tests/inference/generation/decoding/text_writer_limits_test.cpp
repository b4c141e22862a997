// Texts do not depend on the batch: neither on limits nor on the order of prompts.
#include "inference/generation/decoding/naive_writer.h"

namespace sartor::inference {
namespace {

class TextWriterLimits : public ::testing::Test {
 protected:
  TextWriterLimits() {
    ends_ = {*tokenizer_.id_of("<|endoftext|>"), *tokenizer_.id_of("<|im_end|>")};
    sampling_.do_sample = true;
    sampling_.max_new_tokens = 20;
  }

  FakeModel model() const { return {tokenizer_.vocabulary_size()}; }

  Texts naive(const DecodingConfig& config, const std::vector<Prompt>& prompts) {
    return NaiveWriter([&](auto ids) { return model().logits(ids); }, tokenizer_, config, ends_).write(prompts);
  }

  Texts written(const DecodingConfig& config, const std::vector<Prompt>& prompts, const WriterLimits& limits) {
    FakeDecoder decoder(model());
    TextWriter writer(decoder, tokenizer_, config, ends_, limits);
    Texts texts = write_all(writer, prompts);
    counts_ = writer.counts();
    EXPECT_LE(decoder.largest_batch, std::max(limits.max_sequences, config.num_beams));
    EXPECT_LE(decoder.largest_chunk, limits.prefill_tokens);
    EXPECT_EQ(texts, write_all(writer, prompts)) << "with prefixes of the first time";
    return texts;
  }

  // Compares with texts that are written one by one.
  void expect_equal(const DecodingConfig& config, int64_t rows, int32_t variants) {
    auto prompts = random_prompts(rows, model().vocabulary, variants);
    const Texts expected =
        config.num_beams > 1 ? written(config, prompts, {.max_sequences = 1}) : naive(config, prompts);
    const int64_t least = least_cache(prompts, config);
    uint64_t draw = 0;
    const auto one_of = [&](const auto& values) { return values[random_bits(3, draw++) % std::size(values)]; };
    int64_t interrupted = 0;
    for (int i = 0; i < 60; i++) {
      const WriterLimits limits{.max_sequences = one_of(std::array<int64_t, 5>{1, 2, 3, 7, 64}),
                                .prefill_tokens = one_of(std::array<int64_t, 7>{1, 2, 5, 16, 17, 100, 1000}),
                                .cache_bytes = least + one_of(std::array<int64_t, 5>{0, 1000, 4000, 30'000, 1 << 30}),
                                .share_prefixes = one_of(std::array{true, false}),
                                .lag = one_of(std::array<int64_t, 2>{0, 1})};
      std::ranges::sort(prompts, {}, [&](const Prompt& p) { return random_bits(i, p.row); });
      ASSERT_EQ(written(config, prompts, limits), expected) << fmt::format(
          "max_sequences {}, prefill_tokens {}, cache_bytes {}, share_prefixes {}, lag {}", limits.max_sequences,
          limits.prefill_tokens, limits.cache_bytes, limits.share_prefixes, *limits.lag);
      interrupted += counts_.preemptions;
    }
    EXPECT_GT(interrupted, 0);
  }

  const text::Tokenizer tokenizer_ = byte_tokenizer();
  Ids ends_;
  DecodingConfig sampling_;
  WriterCounts counts_;
};

TEST_F(TextWriterLimits, DoNotChangeSampledTexts) {
  expect_equal(sampling_, 12, 3);
  sampling_.temperature = 0.6;
  sampling_.top_k = 40;
  sampling_.top_p = 0.9;
  sampling_.min_p = 0.01;
  expect_equal(sampling_, 12, 3);
}

TEST_F(TextWriterLimits, DoNotChangeGreedyTexts) {
  DecodingConfig greedy;
  greedy.max_new_tokens = 30;
  expect_equal(greedy, 20, 1);
  greedy.repetition_penalty = 1.3;
  greedy.no_repeat_ngram_size = 2;
  greedy.min_new_tokens = 4;
  expect_equal(greedy, 20, 1);
}

TEST_F(TextWriterLimits, DoNotChangeTextsWithAllProcessors) {
  sampling_.temperature = 0.3;
  sampling_.repetition_penalty = 1.2;
  sampling_.presence_penalty = 0.5;
  sampling_.frequency_penalty = -0.25;
  sampling_.no_repeat_ngram_size = 1;
  sampling_.min_new_tokens = 5;
  sampling_.banned_phrases = {"e", "质量", "a b"};
  sampling_.stop_strings = {"a", "Qu", "务"};
  expect_equal(sampling_, 12, 3);
}

TEST_F(TextWriterLimits, DoNotChangeBeams) {
  DecodingConfig beams;
  beams.num_beams = beams.num_return_sequences = 3;
  beams.max_new_tokens = 12;
  expect_equal(beams, 10, 3);
  beams.stop_strings = {"a", "e"};
  beams.no_repeat_ngram_size = 1;
  beams.early_stopping = EarlyStopping::never;
  expect_equal(beams, 10, 2);
}

TEST_F(TextWriterLimits, APromptMayHaveItsOwn) {
  auto prompts = random_prompts(12, model().vocabulary, 3);
  const Texts whole = naive(sampling_, prompts);
  for (auto& prompt : prompts) prompt.max_new_tokens = 1 + prompt.row;
  for (const int64_t lag : {0, 1}) {
    const Texts texts = written(sampling_, prompts, {.max_sequences = 5, .lag = lag});
    ASSERT_EQ(texts.size(), whole.size());
    for (const auto& [key, text] : texts) {
      auto expected = whole.at(key);
      const auto most = static_cast<size_t>(1 + text.row);
      if (expected.ids.size() > most) {
        expected.ids.resize(most);
        expected.end = EndReason::length;
      }
      EXPECT_EQ(text.ids, expected.ids) << "row " << text.row;
      EXPECT_EQ(text.end, expected.end) << "row " << text.row;
    }
  }
}

TEST_F(TextWriterLimits, ASharedPrefixIsComputedOnce) {
  DecodingConfig greedy;
  greedy.max_new_tokens = 8;
  greedy.ignore_eos = true;
  std::vector<Prompt> prompts;
  for (int32_t row = 0; row < 200; row++) {
    Prompt prompt{.row = row, .ids = Ids(256, 40)};
    for (int i = 0; i < 16; i++) prompt.ids.push_back((row >> i & 1) + 50);
    prompts.push_back(std::move(prompt));
  }
  const Texts shared = written(greedy, prompts, {.max_sequences = 32});
  EXPECT_EQ(counts_.prefilled_tokens, 256 + 200 * 16);
  EXPECT_EQ(counts_.shared_tokens, 199 * 256);
  const Texts alone = written(greedy, prompts, {.max_sequences = 32, .share_prefixes = false});
  EXPECT_EQ(counts_.prefilled_tokens, 200 * 272);
  EXPECT_EQ(counts_.shared_tokens, 0);
  EXPECT_EQ(shared, alone);
  // In a small cache, after each other, the prefix is still kept.
  EXPECT_EQ(shared, written(greedy, prompts, {.max_sequences = 1, .cache_bytes = 20 * 1000}));
  EXPECT_EQ(counts_.prefilled_tokens, 256 + 200 * 16);
  EXPECT_LE(counts_.peak_blocks, 20);
}

TEST_F(TextWriterLimits, VariantsShareOnePrefill) {
  const std::vector<Prompt> prompts = {{.row = 0, .ids = Ids(37, 40), .variants = 5}};
  for (const bool share : {true, false}) {
    written(sampling_, prompts, {.share_prefixes = share});
    EXPECT_EQ(counts_.prefilled_tokens, 37);
    EXPECT_LE(counts_.peak_blocks, 2 + 5 * 2);
    // Those without a place wait with the prompt's blocks, and compute only its last token.
    written(sampling_, prompts, {.max_sequences = 2, .share_prefixes = share});
    EXPECT_LE(counts_.prefilled_tokens, 37 + 3);
  }
}

// The last variant computes the last token of the prompt again, in a block that the next prompt begins with.
TEST_F(TextWriterLimits, ABlockThatIsWrittenAgainIsNotFound) {
  sampling_.max_new_tokens = 4;
  sampling_.ignore_eos = true;
  const std::vector<Prompt> prompts = {{.row = 0, .ids = Ids(32, 40), .variants = 3}, {.row = 1, .ids = Ids(40, 40)}};
  EXPECT_EQ(written(sampling_, prompts, {.max_sequences = 2}), naive(sampling_, prompts));
}

TEST_F(TextWriterLimits, RowsThatEndMakeRoomForOthers) {
  DecodingConfig greedy;
  greedy.max_new_tokens = 50;
  greedy.ignore_eos = true;
  std::vector<Prompt> prompts;
  for (int32_t row = 0; row < 8; row++) prompts.push_back({.row = row, .ids = {40 + row}});
  written(greedy, prompts, {.max_sequences = 4});
  EXPECT_EQ(counts_.steps, 2 * 50);  // four at a time
  EXPECT_EQ(counts_.written_tokens, 8 * 50);
  written(greedy, prompts, {.max_sequences = 4, .lag = 1});
  EXPECT_LE(counts_.steps, 2 * 50 + 2);
}

}  // namespace
}  // namespace sartor::inference
