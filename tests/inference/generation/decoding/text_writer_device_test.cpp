// Writing on an accelerator: the host reads tokens one step late, also where later ones depend on them, and of beams it
// gets the best tokens only.
#include <cstring>
#include <deque>

#include "inference/generation/decoding/writer_support.h"

namespace sartor::inference {
namespace {

// The memory of the CPU in place of a device's. Counts what passes between them.
class CountingDevice : public gpt::Accelerator {
 public:
  Sent send(std::span<const std::span<const std::byte>> arrays) override {
    sends++;
    const auto memory = std::make_shared<std::vector<std::vector<std::byte>>>();
    Sent sent{.arrays = {}, .memory = memory};
    for (const auto& array : arrays) memory->emplace_back(array.begin(), array.end());
    for (auto& array : *memory) sent.arrays.push_back(array.data());
    return sent;
  }

  std::unique_ptr<Late> fetch(const void* from, int64_t bytes) override {
    fetches++;
    auto late = std::make_unique<LateBytes>(*this);
    late->bytes.resize(bytes);
    std::memcpy(late->bytes.data(), from, bytes);
    return late;
  }

  cuda::Rows<float> log_softmax(cuda::Rows<const float> logits) override {
    values_.resize(logits.rows * logits.columns);
    const cuda::Rows<float> result{values_.data(), logits.rows, logits.columns};
    for (int64_t r = 0; r < logits.rows; r++) {
      const std::span row(logits.row(r), logits.columns);
      const float largest = std::ranges::max(row);
      double sum = 0;
      for (const float x : row) sum += std::exp(x - largest);
      for (int64_t i = 0; i < logits.columns; i++) {
        result.row(r)[i] = row[i] - largest - static_cast<float>(std::log(sum));
      }
    }
    return result;
  }

  std::vector<Token> largest(cuda::Rows<const float> values, cuda::Rows<const float> others, int64_t k) override {
    std::vector<Token> all;
    for (int64_t r = 0; r < values.rows; r++) {
      Ids ids(values.columns);
      std::iota(ids.begin(), ids.end(), 0);
      std::ranges::stable_sort(ids, std::greater(), [&](int32_t id) { return values.row(r)[id]; });
      for (int64_t i = 0; i < k; i++) all.push_back({ids[i], values.row(r)[ids[i]], others.row(r)[ids[i]]});
    }
    fetched_tokens += std::ssize(all);
    return all;
  }

  int64_t sends = 0, fetches = 0, fetched_tokens = 0;
  int64_t late = 0;  // results that were taken after a later one had been begun

 private:
  struct LateBytes : Late {
    explicit LateBytes(CountingDevice& device) : device(device), number(device.fetches) {}
    std::span<const std::byte> take() const override {
      device.late += device.fetches > number;
      return bytes;
    }
    CountingDevice& device;
    const int64_t number;
    std::vector<std::byte> bytes;
  };

  std::vector<float> values_;
};

class TextWriterOnDevice : public ::testing::Test {
 protected:
  // Texts with a device are those without.
  void expect_equal(const DecodingConfig& config, const WriterLimits& limits = {.max_sequences = 5}) {
    const auto prompts = random_prompts(12, tokenizer_.vocabulary_size(), config.do_sample ? 3 : 1);
    FakeDecoder on_host(FakeModel{tokenizer_.vocabulary_size()}), on_device(FakeModel{tokenizer_.vocabulary_size()});
    TextWriter expected(on_host, tokenizer_, config, {0}, limits);
    device_ = CountingDevice();
    on_device.device = &device_;
    TextWriter writer(on_device, tokenizer_, config, {0}, limits);
    EXPECT_EQ(write_all(writer, prompts), write_all(expected, prompts));
    steps_ = writer.counts().steps;
  }

  static DecodingConfig sampling() {
    DecodingConfig config;
    config.do_sample = true;
    config.max_new_tokens = 20;
    return config;
  }

  const text::Tokenizer tokenizer_ = byte_tokenizer();
  CountingDevice device_;
  int64_t steps_ = 0;
};

TEST_F(TextWriterOnDevice, GreedyStepsSendNothingAndAreReadLate) {
  DecodingConfig greedy;
  greedy.max_new_tokens = 30;
  expect_equal(greedy);
  EXPECT_EQ(device_.sends, 0);
  EXPECT_LE(device_.fetches, steps_);
  EXPECT_GE(device_.late, device_.fetches * 9 / 10) << "all but those after which nothing can be computed";
}

TEST_F(TextWriterOnDevice, SampledStepsSendOnceAndAreReadLate) {
  expect_equal(sampling());
  EXPECT_EQ(device_.sends, device_.fetches);
  EXPECT_GE(device_.late, device_.fetches * 9 / 10);
}

TEST_F(TextWriterOnDevice, TokensThatOnlyTheDeviceKnowsArePenalized) {
  auto config = sampling();
  config.temperature = 0.3;
  config.repetition_penalty = 1.2;
  config.presence_penalty = 0.5;
  config.frequency_penalty = -0.25;
  config.no_repeat_ngram_size = 1;
  config.min_new_tokens = 5;
  config.banned_phrases = {"e", "质量", "a b"};
  expect_equal(config);
  EXPECT_EQ(device_.sends, device_.fetches);
  EXPECT_GE(device_.late, device_.fetches * 9 / 10);
  expect_equal(config, {.max_sequences = 3, .prefill_tokens = 16, .cache_bytes = 30'000});
  expect_equal(config, {.max_sequences = 4, .lag = 0});
  EXPECT_EQ(device_.late, 0);
}

TEST_F(TextWriterOnDevice, BeamsFetchTheirBestTokens) {
  DecodingConfig beams;
  beams.num_beams = beams.num_return_sequences = 3;
  beams.max_new_tokens = 12;
  expect_equal(beams);
  EXPECT_EQ(device_.fetches, 0);
  EXPECT_EQ(device_.sends, 0);
  EXPECT_LE(device_.fetched_tokens, steps_ * 5 * 3 * 2 * 3) << "steps, sequences, beams, best tokens of each";
  beams.repetition_penalty = 1.3;
  beams.no_repeat_ngram_size = 2;
  beams.stop_strings = {"a", "e"};
  expect_equal(beams);
  EXPECT_LE(device_.sends, steps_);
}

}  // namespace
}  // namespace sartor::inference
