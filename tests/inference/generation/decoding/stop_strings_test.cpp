#include "generation/decoding/stop_strings.h"

#include "base/utf8.h"
#include "generation/decoding/banned_phrases.h"
#include "inference/generation/decoding/writer_support.h"

namespace sartor::inference {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(StopStrings, TheFirstToBeCompleteEndsTheText) {
  EXPECT_EQ(StopStrings({"lo", "world"}).find("hello world", 0), 3u);
  EXPECT_EQ(StopStrings({"abcd", "bc"}).find("abcd", 0), 1u);  // complete before the other one
  EXPECT_EQ(StopStrings({"cd", "abcd"}).find("abcd", 0), 0u);  // complete together
  EXPECT_EQ(StopStrings({"。"}).find("好。", 0), 3u);
  EXPECT_FALSE(StopStrings({"x"}).find("abc", 0));
  EXPECT_FALSE(StopStrings({"ab"}).find("abc", 2));  // was complete before
  EXPECT_FALSE(StopStrings({}).find("abc", 0));
}

TEST(StopStrings, KnowWhatMayBeginAtTheEnd) {
  const StopStrings stops({"STOP", "\n\n"});
  EXPECT_EQ(stops.possible("a STO"), 3u);
  EXPECT_EQ(stops.possible("a\n"), 1u);
  EXPECT_EQ(stops.possible("a STOX"), 0u);
  EXPECT_EQ(stops.possible(""), 0u);
  EXPECT_EQ(StopStrings({"aab"}).possible("aaa"), 2u);
}

// Adds the bytes as tokens. Returns the text, and checks the pieces that are shown meanwhile.
std::string built(const text::Tokenizer& tokenizer, const StopStrings& stops, const std::string& bytes) {
  TextBuilder builder(tokenizer, stops);
  std::string shown;
  bool ended = false;
  const Ids ids = tokenizer.encode(bytes, {.special_tokens = false}).ids;
  for (size_t i = 0; i < ids.size() && !ended; i++) {
    ended = builder.add(ids[i]);
    const auto piece = builder.next_piece(ended);
    EXPECT_EQ(valid_utf8(piece), piece.size());
    shown += piece;
  }
  if (!ended) builder.finish();
  shown += builder.next_piece(true);
  EXPECT_EQ(shown, builder.text());
  return shown;
}

TEST(TextBuilder, EndsBeforeAStopStringAcrossPieces) {
  const auto tokenizer = byte_tokenizer();
  EXPECT_EQ(built(tokenizer, StopStrings({"qzx"}), "aqqzqzxb"), "aqqz");
  EXPECT_EQ(built(tokenizer, StopStrings({"坏终"}), "好坏坏终了"), "好坏");
  EXPECT_EQ(built(tokenizer, StopStrings({"坏终"}), "好坏坏"), "好坏坏");
  EXPECT_EQ(built(tokenizer, StopStrings({"ship"}), "free shipping"), "free ");  // within a token
  EXPECT_EQ(built(tokenizer, StopStrings({"好"}), "好"), "");
}

TEST(TextBuilder, ReplacesIncompleteCharacters) {
  const auto tokenizer = byte_tokenizer();
  const Ids ids = tokenizer.encode("终", {.special_tokens = false}).ids;
  ASSERT_EQ(ids.size(), 3u);
  const StopStrings none({}), replacement({"\uFFFD"});
  for (const auto* stops : {&none, &replacement}) {
    TextBuilder builder(tokenizer, *stops);
    EXPECT_FALSE(builder.add(ids[0]));
    EXPECT_FALSE(builder.add(ids[1]));
    EXPECT_EQ(builder.text(), "");
    EXPECT_EQ(builder.finish(), stops == &replacement);
    EXPECT_EQ(builder.text(), stops == &replacement ? "" : "\uFFFD");
  }
}

std::vector<Ids> sequences(const TokenSequences& banned) {
  std::vector<Ids> all;
  for (size_t i = 1; i < banned.offsets.size(); i++) {
    all.emplace_back(banned.ids.begin() + banned.offsets[i - 1], banned.ids.begin() + banned.offsets[i]);
  }
  return all;
}

TEST(BannedPhrases, AreTokenizedAloneAndAfterASpace) {
  const auto tokenizer = byte_tokenizer();
  const auto ids = [&](const char* text) { return tokenizer.encode(text, {.special_tokens = false}).ids; };
  EXPECT_THAT(sequences(tokenize_phrases(tokenizer, {"free", "质量", "free"}, {})),
              ElementsAre(ids("free"), ids(" free"), ids("质量"), ids(" 质量")));
  EXPECT_NE(ids("free"), ids(" free"));
  EXPECT_THAT(sequences(tokenize_phrases(tokenizer, {}, {})), ElementsAre());
}

TEST(BannedPhrases, DoNotBanEndTokens) {
  const auto tokenizer = byte_tokenizer();
  const Ids end = {*tokenizer.id_of("<|im_end|>")};
  const auto banned = sequences(tokenize_phrases(tokenizer, {"<|im_end|>"}, end));
  ASSERT_EQ(banned.size(), 1u);  // the one after a space
  EXPECT_EQ(banned[0].size(), 2u);
}

}  // namespace
}  // namespace sartor::inference
