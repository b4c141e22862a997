// Decoding on the CPU: the numbers of the model, bitwise independent of batches, chunks, blocks and threads.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "models/gpt/cpu_decoder.h"
#include "support/folder_test.h"
#include "trainer/models/decoder_support.h"

namespace sartor::gpt {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using transformer::Precision;

class GptDecoder : public sartor::testing::FolderTest {
 protected:
  std::unique_ptr<Decoder> decoder(const GptConfig& config, Precision precision = Precision::fp32, int threads = 1) {
    save_gpt(made_model(config, 0.3), folder_);
    return open_decoder(folder_, precision, -1, threads);
  }
};

// Longest position from which dynamic scaling makes decoding differ from a whole sequence.
int64_t comparable(const GptConfig& config, int64_t length) {
  return config.rotary.type == RotaryType::dynamic ? std::min(length, config.max_position_embeddings) : length;
}

TEST_F(GptDecoder, GivesTheNumbersOfTransformersAndOfTheModel) {
  for (const auto& golden : testing::golden("gpt.json")) {
    const auto config = parse_config(golden["config"], "config.json");
    const std::string name = golden["name"];
    auto rows = golden["ids"].get<Rows>();
    const auto all = decoded(*decoder(config), rows);
    const double largest = golden["largest"];
    if (config.rotary.type != RotaryType::dynamic) {
      const auto logits = all.index_select(0, at::arange(0, all.size(0), 7, at::kLong));
      EXPECT_LT(largest_difference(logits, tensor(golden["logits"], logits.sizes())), 1e-5 * largest) << name;
    }
    for (auto& row : rows) row.resize(comparable(config, std::ssize(row)));
    const auto model = made_model(config);
    const double difference =
        largest_difference(decoded(*decoder(config), rows), model.logits(packed(config, rows)).detach()) / largest;
    fmt::print("{}: {:.1e} of the largest logit\n", name, difference);
    EXPECT_LT(difference, 1e-5) << name;
  }
}

TEST_F(GptDecoder, DoesNotDependOnBatchesChunksBlocksAndThreads) {
  const auto rows = random_rows({1, 40, 17, 16, 33, 5});
  for (const auto& family : all_families) {
    for (const auto precision : {Precision::fp32, Precision::int8, Precision::bf16}) {
      const auto one = decoder(small_config(family), precision);
      const auto two = decoder(small_config(family), precision, 2);
      const auto whole = decoded(*one, rows);
      const auto expect_same = [&](Decoder& which, const DecodingPlan& plan, const char* what) {
        EXPECT_TRUE(decoded(which, rows, plan).equal(whole))
            << family << " " << static_cast<int>(precision) << ": " << what;
      };
      expect_same(*one, {.together = false}, "single");
      expect_same(*one, {.longest = 1}, "token by token");
      expect_same(*one, {.longest = 1, .together = false}, "token by token, single");
      expect_same(*one, {.longest = 7, .permuted = true}, "chunks, permuted blocks");
      expect_same(*one, {.shortest = 16, .longest = 16, .permuted = true, .seed = 2}, "chunks of a block");
      expect_same(*two, {}, "two threads");
      expect_same(*two, {.longest = 20, .permuted = true, .seed = 3}, "two threads, chunks");
    }
  }
}

}  // namespace
}  // namespace sartor::gpt
