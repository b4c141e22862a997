// SmolLM2-135M-Instruct (scripts/fetch_data.py smollm2) gives what transformers gives: token ids of chats, losses,
// greedy and beam search.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>

#include "decoding/decode_attention.h"
#include "inference/generation/golden_support.h"
#include "support/paths.h"
#include "text/chat_format.h"
#include "text/tokenizers/tokenizer_files.h"

namespace sartor::inference {
namespace {

using testing::golden;
using testing::Ids;
using testing::json;
using transformer::Precision;

class GoldenSmollm2 : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(folder_ / "model.safetensors"))
      GTEST_SKIP() << folder_ << " is missing: run scripts/fetch_data.py smollm2";
  }

  std::unique_ptr<gpt::Decoder> decoder(Precision precision = Precision::fp32) const {
    return gpt::open_decoder(folder_, precision, -1, 0);
  }
  text::Tokenizer tokenizer() const { return text::Tokenizer(text::read_tokenizer(folder_)); }

  // Rows of 512 tokens, as in scripts/golden/smollm2.py.
  std::vector<Ids> review_rows(size_t count) const {
    std::ifstream lines(sartor::testing::source_path("data/reviews-en/amazonReviewSnippets_GroundTruth.txt"));
    std::string text;
    for (std::string line; std::getline(lines, line);) {
      if (line.ends_with('\r')) line.pop_back();
      text += line.substr(line.rfind('\t') + 1) + "\n";
    }
    const auto ids = tokenizer().encode(text).ids;
    std::vector<Ids> rows;
    for (size_t i = 0; i < count && ids.size() >= (i + 1) * 512; i++)
      rows.emplace_back(ids.begin() + i * 512, ids.begin() + (i + 1) * 512);
    return rows;
  }

  const std::filesystem::path folder_ = sartor::testing::source_path("data/smollm2");
  const json golden_ = golden("smollm2.json");
};

double loss_of(const at::Tensor& logits, const Ids& row) {
  const auto targets = at::tensor(std::vector<int64_t>(row.begin() + 1, row.end()), at::kLong);
  return at::cross_entropy_loss(logits.narrow(0, 0, std::ssize(row) - 1), targets).item<double>();
}

double loss_of(gpt::Decoder& decoder, const Ids& row) {
  std::vector<int32_t> blocks((row.size() + cuda::cache_block - 1) / cuda::cache_block);
  std::iota(blocks.begin(), blocks.end(), 0);
  decoder.allocate(std::ssize(blocks));
  const auto logits = decoder.run({{{.ids = row, .blocks = blocks, .logits = std::ssize(row)}}});
  return loss_of(at::from_blob(logits.data, {logits.rows, logits.columns}, at::kFloat), row);
}

TEST_F(GoldenSmollm2, RendersAndTokenizesChatsAsTransformers) {
  const auto chat = text::folder_chat(folder_);
  ASSERT_TRUE(chat.has_value());
  EXPECT_EQ(chat->format, text::ChatFormat::chatml);
  EXPECT_EQ(chat->system, "You are a helpful AI assistant named SmolLM, trained by Hugging Face");
  const auto tokenizer = this->tokenizer();
  text::check_chat(chat->format, tokenizer);
  for (const auto& each : golden_["greedy"]) {
    const auto rendered = text::render(*chat, each["prompt"].get<std::string>());
    const auto ids = tokenizer.encode(rendered.prompt, {.special_tokens = false}).ids;
    EXPECT_EQ(ids, each["prompt_ids"].get<Ids>()) << each["prompt"];
  }
}

TEST_F(GoldenSmollm2, HasThePerplexityOfTransformers) {
  const auto rows = review_rows(8);
  if (rows.empty()) GTEST_SKIP() << "data/reviews-en is missing: run scripts/fetch_data.py reviews-en";
  const c10::NoGradGuard no_gradients;
  const auto model = gpt::load_gpt(folder_);
  const auto fp32 = decoder(), int8 = decoder(Precision::int8);
  double theirs = 0, ours = 0, decoded = 0, rounded = 0;
  for (size_t i = 0; i < rows.size(); i++) {
    const double expected = golden_["perplexity"]["losses"][i];
    const double found = loss_of(model.logits(gpt::testing::packed(model.config(), {rows[i]})), rows[i]);
    const double by_decoder = loss_of(*fp32, rows[i]);
    EXPECT_NEAR(found, expected, 1e-5 * expected) << i;
    EXPECT_NEAR(by_decoder, expected, 1e-5 * expected) << i;
    theirs += expected, ours += found, decoded += by_decoder, rounded += loss_of(*int8, rows[i]);
  }
  const auto perplexity = [&](double sum) { return std::exp(sum / static_cast<double>(rows.size())); };
  fmt::print("perplexity of {} tokens: transformers {:.4f}, Gpt {:.4f}, decoder {:.4f}, int8 {:.4f}\n",
             rows.size() * 512, perplexity(theirs), perplexity(ours), perplexity(decoded), perplexity(rounded));
  EXPECT_LT(perplexity(rounded), 1.01 * perplexity(decoded));
}

TEST_F(GoldenSmollm2, WritesTheMostProbableTokensOfTransformers) {
  const auto decoder = this->decoder();
  const auto tokenizer = this->tokenizer();
  const auto& cases = golden_["greedy"];
  std::vector<Ids> prompts;
  for (const auto& each : cases) prompts.push_back(each["prompt_ids"]);
  const auto found =
      testing::written(*decoder, tokenizer, {{"max_new_tokens", 128}, {"eos_token_id", {2}}}, prompts, {});
  size_t equal = 0, tokens = 0;
  for (size_t i = 0; i < prompts.size(); i++) {
    const auto ids = cases[i]["ids"].get<Ids>(), &ours = found[i].at(0).ids;
    const auto close = cases[i]["close"].get<std::vector<int64_t>>();
    const auto differing = std::ranges::mismatch(ids, ours).in1 - ids.begin();
    equal += ids == ours;
    tokens += ids.size();
    if (ids != ours) {
      EXPECT_TRUE(std::ranges::find(close, differing) != close.end())
          << cases[i]["prompt"] << " differs at " << differing;
      fmt::print("differs at token {}, where the two best logits are close: {}\n", differing, found[i][0].text);
    }
  }
  fmt::print("{} of {} texts with {} tokens are equal\n", equal, prompts.size(), tokens);
}

TEST_F(GoldenSmollm2, SearchesWithBeamsAsTransformers) {
  const auto decoder = this->decoder();
  const auto tokenizer = this->tokenizer();
  size_t equal = 0;
  for (const auto& each : golden_["beams"]) {
    const auto found = testing::written(*decoder, tokenizer, each["settings"], {each["prompt_ids"].get<Ids>()}, {})[0];
    const auto ids = each["ids"].get<std::vector<Ids>>();
    ASSERT_EQ(found.size(), ids.size());
    equal += std::ranges::equal(found, ids, {}, &Written::ids);
    for (size_t i = 0; i < ids.size(); i++) {
      const double score = each["scores"][i];
      if (each["stable"]) {
        EXPECT_EQ(found[i].ids, ids[i]) << each["prompt"];
      }
      EXPECT_NEAR(found[i].score, score, 1e-4 * std::max(1.0, std::abs(score))) << each["prompt"];
    }
  }
  fmt::print("{} of {} searches are equal\n", equal, golden_["beams"].size());
}

}  // namespace
}  // namespace sartor::inference
