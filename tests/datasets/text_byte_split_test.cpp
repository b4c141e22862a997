// The steps before byte-level BPE against Hugging Face's library, with digests made by scripts/golden/byte_bpe.py.
#include "text/tokenizers/parts/byte_split.h"

#include "datasets/text_support.h"
#include "text/tokenizers/parts/byte_alphabet.h"
#include "text/tokenizers/parts/nfc.h"

namespace sartor::text {
namespace {

using ::testing::ElementsAre;

constexpr std::pair<const char*, SplitPattern> patterns[] = {{"gpt2", SplitPattern::gpt2},
                                                             {"llama3", SplitPattern::llama3},
                                                             {"qwen2", SplitPattern::qwen2},
                                                             {"digits", SplitPattern::digits}};

std::vector<std::string> words(SplitPattern pattern, std::string_view text) {
  std::vector<std::string> found;
  for (size_t at = 0; at < text.size();) {
    const size_t end = next_split(pattern, text, at);
    found.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return found;
}

// Digest of the ends of words in code points.
std::string split_digest(SplitPattern pattern, const std::vector<std::string>& texts) {
  Digest digest;
  for (const auto& text : texts) {
    std::string row;
    uint32_t end = 0;
    for (const auto& word : words(pattern, text)) {
      end += static_cast<uint32_t>(unicode::count_characters(word));
      row.append(reinterpret_cast<const char*>(&end), sizeof(end));
    }
    digest.add(row);
  }
  return digest.finish();
}

std::vector<std::string> valid_random_texts() {
  auto texts = random_texts(100'000);
  for (auto& text : texts) text = unicode::replace_broken(text);
  return texts;
}

TEST(ByteSplit, EveryCodePointInContextAndRandomStrings) {
  const auto sweep = split_texts(), random = valid_random_texts();
  const auto expected = golden_json("byte_bpe.json")["digests"]["splits"];
  for (const auto& [name, pattern] : patterns) {
    EXPECT_EQ(split_digest(pattern, sweep), expected[name]["sweep"]) << name;
    EXPECT_EQ(split_digest(pattern, random), expected[name]["random"]) << name;
  }
}

TEST(ByteSplit, DiffersBetweenPatterns) {
  const std::string text = "I'LL'd  a1234\n\n x->y ٣\t!?\n";
  using enum SplitPattern;
  EXPECT_THAT(words(gpt2, text),
              ElementsAre("I", "'", "LL", "'d", " ", " a", "1234", "\n\n", " x", "->", "y", " ٣", "\t", "!?", "\n"));
  EXPECT_THAT(words(llama3, text),
              ElementsAre("I", "'LL", "'d", " ", " a", "123", "4", "\n\n", " x", "->", "y", " ", "٣", "\t", "!?\n"));
  EXPECT_THAT(words(qwen2, text), ElementsAre("I", "'LL", "'d", " ", " a", "1", "2", "3", "4", "\n\n", " x", "->", "y",
                                              " ", "٣", "\t", "!?\n"));
  EXPECT_THAT(words(digits, text), ElementsAre("I", "'", "LL", "'d", " ", " a", "1", "2", "3", "4", "\n\n", " x", "->",
                                               "y", " ", "٣", "\t", "!?", "\n"));
  EXPECT_THAT(words(none, text), ElementsAre(text));
  EXPECT_THAT(words(llama3, "'ſa"), ElementsAre("'ſ", "a"));  // the long s is an s if case is ignored
  EXPECT_THAT(words(gpt2, "'ſa"), ElementsAre("'", "ſa"));
}

TEST(ByteAlphabet, IsThatOfGpt2) {
  EXPECT_EQ(byte_character('A'), "A");
  EXPECT_EQ(byte_character(' '), "Ġ");
  EXPECT_EQ(byte_character('\n'), "Ċ");
  EXPECT_EQ(byte_character(0xAD), "Ń");
  std::string all;
  for (int byte = 0; byte < 256; byte++) all += static_cast<char>(byte);
  EXPECT_EQ(bytes_of(token_of_bytes(all)), all);
  EXPECT_EQ(bytes_of(token_of_bytes("我")), "我");
  EXPECT_EQ(bytes_of("我"), std::nullopt);
  EXPECT_EQ(bytes_of("a b"), std::nullopt);
  EXPECT_EQ(bytes_of(""), "");
}

TEST(Nfc, EveryCodePointInContextAndRandomStrings) {
  const auto expected = golden_json("byte_bpe.json")["digests"]["nfc"];
  const auto digest = [](const std::vector<std::string>& texts) {
    Digest made;
    for (const auto& text : texts) {
      const auto normalized = nfc(text, 7);
      made.add(normalized.text);
      EXPECT_EQ(std::ssize(normalized.origins), unicode::count_characters(normalized.text));
      EXPECT_TRUE(!is_surely_nfc(text) || normalized.text == text);
    }
    return made.finish();
  };
  EXPECT_EQ(digest(split_texts()), expected["sweep"]);
  EXPECT_EQ(digest(valid_random_texts()), expected["random"]);
}

TEST(Nfc, KnowsWhatIsNormalized) {
  for (const char* text : {"", "plain ASCII text", "我喜欢吃苹果，不喜欢吃香蕉。", "café naïve", "가나다", "😀"})
    EXPECT_TRUE(is_surely_nfc(text)) << text;
  for (const char* text : {"e\u0301", "\u212b", "\u1100\u1161", "plain ASCII text \u0958"})
    EXPECT_FALSE(is_surely_nfc(text)) << text;
  const auto composed = nfc("xe\u0301y\u1100\u1161\u11a8\u0958", 10);
  EXPECT_EQ(composed.text, "x\u00e9y\uac01\u0915\u093c");
  EXPECT_THAT(composed.origins, ElementsAre(10, 11, 13, 14, 17, 17));
  EXPECT_EQ(nfc("", 3).text, "");
}

}  // namespace
}  // namespace sartor::text
