#include "text/tokenizers/parts/character_map.h"

#include "datasets/text_support.h"
#include "text/tokenizers/parts/bert_scan.h"

namespace sartor::text {
namespace {

using ::testing::ElementsAre;

// Words as split by BertPreTokenizer.
struct Words {
  std::vector<std::string> words = {""};

  uint32_t letters(const char* at, const char*, const char* table, uint32_t) {
    words.back() += table[static_cast<uint8_t>(*at)];
    return 1;
  }
  void letter(const char* bytes, int size, uint32_t) { words.back().append(bytes, size); }
  void space(char32_t, uint32_t) { end(); }
  void punctuation(const char* bytes, int size, uint32_t) {
    end();
    words.back().assign(bytes, size);
    end();
  }
  void ideograph(const char* bytes, int size, uint32_t position) { punctuation(bytes, size, position); }
  bool full() const { return false; }
  void end() {
    if (!words.back().empty()) words.emplace_back();
  }
};

TEST(BertNormalizer, DoesWithEveryCodePointWhatTheReferenceDoes) {
  const auto texts = sweep_texts();
  const CharacterMap as_it_is(
      {.clean_text = false, .handle_chinese_chars = false, .strip_accents = false, .lowercase = false});
  const auto digests = golden_json("digests.json").at("normalized");
  ASSERT_EQ(digests.size(), 5U);
  for (const auto& [name, expected] : digests.items()) {
    const auto is = [&](const char* flag) { return name == "all" || name == flag; };
    const CharacterMap map({.clean_text = is("clean_text"),
                            .handle_chinese_chars = is("handle_chinese_chars"),
                            .strip_accents = is("strip_accents"),
                            .lowercase = is("lowercase")});
    Digest digest;
    for (const auto& text : texts) {
      const std::string normalized = normalize(map, text).text;
      Words from_normalized, from_text;
      scan(as_it_is, normalized, 0, from_normalized);
      scan(map, text, 0, from_text);
      EXPECT_EQ(from_normalized.words, from_text.words);
      std::string row = normalized;
      for (const auto& word : from_normalized.words) {
        if (!word.empty()) row += "\n" + word;
      }
      digest.add(row + "\n");
    }
    EXPECT_EQ(digest.finish(), expected) << name;
  }
}

TEST(BertNormalizer, KeepsWhereEachCharacterComesFrom) {
  const auto [text, origins] = normalize(CharacterMap({}), "É中\u0007Z", 10);
  EXPECT_EQ(text, "e 中 z");
  EXPECT_THAT(origins, ElementsAre(10, 11, 11, 11, 13));
}

// Marks are removed only after NFD has sorted them, so that a remaining character takes its origin from whichever
// character was at its position.
TEST(BertNormalizer, PutsCombiningCharactersInOrder) {
  const auto [text, origins] = normalize(CharacterMap({}), "a\u0301\U0001d165b");  // classes 230 and 216
  EXPECT_EQ(text, "a\U0001d165b");
  EXPECT_THAT(origins, ElementsAre(0, 1, 3));
}

TEST(Unicode, AnswersForSingleCodePoints) {
  const auto codes = [](const unicode::Codes& found) { return std::vector(found.codes, found.codes + found.size); };
  EXPECT_THAT(codes(unicode::decomposition(0x1EA5)), ElementsAre('a', 0x302, 0x301));
  EXPECT_THAT(codes(unicode::decomposition(0xAC01)), ElementsAre(0x1100, 0x1161, 0x11A8));
  EXPECT_THAT(codes(unicode::decomposition('a')), ElementsAre('a'));
  EXPECT_THAT(codes(unicode::decomposition(0x10FFFF)), ElementsAre(0x10FFFF));
  EXPECT_THAT(codes(unicode::lowercase(0x130)), ElementsAre('i', 0x307));
  EXPECT_THAT(codes(unicode::lowercase(0x42F)), ElementsAre(0x44F));
  EXPECT_THAT(codes(unicode::lowercase(0x101)), ElementsAre(0x101));
  EXPECT_EQ(unicode::combining_class(0x301), 230);
  EXPECT_EQ(unicode::combining_class('a'), 0);
  EXPECT_EQ(unicode::properties(0x4E2D), unicode::word | unicode::ideograph);
}

}  // namespace
}  // namespace sartor::text
