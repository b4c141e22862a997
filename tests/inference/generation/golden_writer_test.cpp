// TextWriter writes the texts of transformers' generate(), alone and in batches.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "inference/generation/golden_support.h"

namespace sartor::inference {
namespace {

using testing::golden;
using testing::Ids;
using testing::json;

// The cases of a golden file that one TextWriter can write together.
using Cases = std::vector<const json*>;

std::map<std::pair<size_t, std::string>, Cases> by_writer(const json& file) {
  std::map<std::pair<size_t, std::string>, Cases> found;
  for (const auto& each : file["cases"]) found[{each["model"].get<size_t>(), each["settings"].dump()}].push_back(&each);
  return found;
}

class GoldenWriter : public testing::GoldenDecoding {
 protected:
  // check(case, variants) for every case, whatever the limits.
  template <class Check> void for_each_case(const char* name, const Check& check) {
    const auto file = golden(name);
    const auto decoders = this->decoders(file["models"]);
    const auto letters = testing::letters(61);
    for (const auto& [key, cases] : by_writer(file)) {
      SCOPED_TRACE(key.second);
      auto& decoder = *decoders[key.first];
      const auto run = [&](const Cases& some, const WriterLimits& limits) {
        std::vector<Ids> prompts;
        for (const auto* each : some) prompts.push_back((*each)["prompt"]);
        const auto found = testing::written(decoder, letters, (*some[0])["settings"], prompts, limits);
        for (size_t i = 0; i < some.size(); i++) check(*some[i], found[i]);
      };
      run(cases, {});
      run(cases, {.max_sequences = 16, .prefill_tokens = 7, .share_prefixes = false});
      for (const auto* each : cases) run({each}, {.cache_bytes = 1 << 22});
    }
  }
};

TEST_F(GoldenWriter, WritesTheMostProbableTokensOfTransformers) {
  for_each_case("generate_greedy.json", [](const json& expected, const std::vector<Written>& found) {
    ASSERT_EQ(found.size(), 1u);
    const auto ids = expected["ids"].get<Ids>();
    EXPECT_EQ(found[0].ids, ids) << expected["model"] << expected["prompt"];
    EXPECT_NEAR(found[0].log_probability, expected["log_probability"].get<double>(), 1e-4 * std::ssize(ids));
    EXPECT_EQ(found[0].sampled_log_probability, 0);
    const auto ends = testing::end_ids(expected["settings"]);
    const bool ended = std::ranges::find(ends, ids.back()) != ends.end();
    EXPECT_EQ(found[0].end, ended ? EndReason::end_token : EndReason::length);
  });
}

TEST_F(GoldenWriter, SearchesWithBeamsAsTransformers) {
  for_each_case("generate_beams.json", [](const json& expected, const std::vector<Written>& found) {
    const auto& scores = expected["scores"];
    ASSERT_EQ(found.size(), scores.size());
    for (size_t i = 0; i < found.size(); i++) {
      EXPECT_EQ(found[i].ids, expected["ids"][i].get<Ids>()) << "variant " << i << expected["prompt"];
      const double score = scores[i];
      EXPECT_NEAR(found[i].score, score, 1e-5 * (1 + std::abs(score))) << "variant " << i << expected["prompt"];
    }
  });
}

}  // namespace
}  // namespace sartor::inference
