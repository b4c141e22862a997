// text_writer_bench [ROWS]: time of the host per step of writing, without the model: ROWS texts (64) of 200 tokens with
// a small vocabulary. Prints one line of JSON for each kind of decoding.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "base/random.h"
#include "generation/text_writer.h"
#include "text/tokenizers/trainers/byte_bpe_trainer.h"

namespace {

using namespace sartor;

// Gives the same logits for every token.
class NoModel : public gpt::Decoder {
 public:
  explicit NoModel(int64_t rows, int64_t vocabulary) : logits_(rows * vocabulary) {
    config_.vocab_size = vocabulary;
    for (size_t i = 0; i < logits_.size(); i++) logits_[i] = static_cast<float>(random_bits(1, i) >> 40) * 0x1p-24f;
  }
  const gpt::GptConfig& config() const override { return config_; }
  cuda::Context& context() override { return context_; }
  int64_t bytes_per_block() const override { return 1 << 16; }
  void allocate(int64_t) override {}
  void copy_block(int32_t, int32_t) override {}
  cuda::Rows<float> run(std::span<const gpt::DecoderChunk> chunks, const int32_t*) override {
    int64_t rows = 0;
    for (const auto& chunk : chunks) rows += chunk.logits;
    return {logits_.data(), rows, config_.vocab_size};
  }

 private:
  gpt::GptConfig config_;
  cuda::Context context_ = cuda::Context::cpu(1);
  std::vector<float> logits_;
};

void measure(const char* name, const text::Tokenizer& tokenizer, int64_t rows, inference::DecodingConfig config) {
  config.max_new_tokens = 200;
  NoModel model(rows, tokenizer.vocabulary_size());
  inference::TextWriter writer(model, tokenizer, config, {}, {.max_sequences = rows});
  int64_t row = 0;
  const auto start = std::chrono::steady_clock::now();
  writer.write(
      [&]() -> std::optional<inference::Prompt> {
        if (row == 10 * rows) return std::nullopt;
        return inference::Prompt{.row = row++, .ids = std::vector<int32_t>(30, 65)};
      },
      [](const inference::Written&) { return std::nullopt; });
  const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - start;
  fmt::print("{{\"decoding\": \"{}\", \"rows\": {}, \"steps\": {}, \"us_per_step\": {:.1f}}}\n", name, rows,
             writer.counts().steps, time.count() / static_cast<double>(writer.counts().steps));
}

}  // namespace

int main(int count, char** arguments) {
  const int64_t rows = count > 1 ? std::atoll(arguments[1]) : 64;
  text::ByteBpeTrainer trainer({.vocabulary_size = 256});
  trainer.add("a");
  const text::Tokenizer tokenizer(trainer.train());
  inference::DecodingConfig config;
  measure("greedy", tokenizer, rows, config);
  auto stops = config;
  stops.stop_strings = {"\xE5\xA5\xBD\xE7\x9A\x84", "stop here"};
  measure("greedy, stop strings", tokenizer, rows, stops);
  auto penalties = config;
  penalties.repetition_penalty = 1.1;
  measure("greedy, penalties", tokenizer, rows, penalties);
}
