// Decoders continue prompts as transformers does: the most probable token at each step, by a loop without a scheduler.
#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

#include "decoding/decode_attention.h"
#include "inference/generation/golden_support.h"

namespace sartor::inference {
namespace {

using testing::golden;
using testing::json;

std::vector<int32_t> most_probable(gpt::Decoder& decoder, std::vector<int32_t> chunk, size_t count,
                                   const std::vector<int32_t>& ends) {
  const auto longest = static_cast<int64_t>(chunk.size() + count);
  std::vector<int32_t> blocks((longest + cuda::cache_block - 1) / cuda::cache_block), found;
  std::iota(blocks.rbegin(), blocks.rend(), 0);
  decoder.allocate(std::ssize(blocks));
  for (int64_t first = 0; found.size() < count;) {
    const auto logits = decoder.run({{{.ids = chunk, .first = first, .blocks = blocks, .logits = 1}}});
    first += std::ssize(chunk);
    chunk = {static_cast<int32_t>(std::max_element(logits.data, logits.data + logits.columns) - logits.data)};
    found.push_back(chunk[0]);
    if (std::ranges::find(ends, chunk[0]) != ends.end()) break;
  }
  return found;
}

class GoldenDecoder : public testing::GoldenDecoding {};

TEST_F(GoldenDecoder, WritesTheMostProbableTokensOfTransformers) {
  const auto file = golden("generate_greedy.json");
  const auto decoders = this->decoders(file["models"]);
  int compared = 0;
  for (const auto& each : file["cases"]) {
    const auto& settings = each["settings"];
    if (settings.contains("no_repeat_ngram_size") || settings.contains("min_new_tokens")) continue;
    const auto found = most_probable(*decoders[each["model"].get<size_t>()], each["prompt"].get<std::vector<int32_t>>(),
                                     settings["max_new_tokens"].get<size_t>(), testing::end_ids(settings));
    EXPECT_EQ(found, each["ids"].get<std::vector<int32_t>>()) << each["model"] << settings << each["prompt"];
    compared++;
  }
  EXPECT_EQ(compared, 54);
}

}  // namespace
}  // namespace sartor::inference
