// The tokenizer against Hugging Face's, with files made by scripts/golden/wordpiece.py.
#include "text/tokenizers/tokenizer.h"

#include <thread>

#include "datasets/text_support.h"

namespace sartor::text {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

class Golden : public ::testing::Test {
 protected:
  const Tokenizer tokenizer_{golden_spec()};
};

TEST(Tokenizer, GivesWhatTheReferenceGives) {
  int64_t compared = 0, refused = 0;
  for (const json& group : golden_json("cases.json")) {
    const Tokenizer tokenizer(golden_spec(group["patch"]));
    for (const json& each : group["cases"]) {
      SCOPED_TRACE(group["name"].get<std::string>() + ": " + json(each).dump().substr(0, 300));
      if (each.contains("error")) {
        EXPECT_THAT([&] { encode_case(tokenizer, each); },
                    ThrowsMessage<std::invalid_argument>(HasSubstr("truncation")));
        refused++;
        continue;
      }
      expect_case(tokenizer, each);
      compared++;
    }
  }
  EXPECT_GT(compared, 300);
  EXPECT_GT(refused, 5);
}

TEST_F(Golden, EveryCodePointInContext) {
  const auto texts = sweep_texts();
  EXPECT_EQ(digest_of(tokenizer_, views(texts)), golden_json("digests.json")["sweep"]);
}

TEST(Tokenizer, HundredThousandRandomStringsSomeBroken) {
  const auto texts = random_texts(100'000);
  const json expected = golden_json("digests.json")["random"];
  for (const json& group : golden_json("cases.json")) {
    const std::string name = group["name"];
    const Tokenizer tokenizer(golden_spec(group["patch"]));
    auto some = views(texts);
    if (name != "as it is") some.resize(5000);
    EXPECT_EQ(digest_of(tokenizer, some), expected[name]) << name;

    std::vector<std::string_view> first, second;
    for (size_t i = 0; i < 5000; i++) (i % 2 ? second : first).push_back(some[i]);
    Digest of_pairs;
    of_pairs.add(tokenizer.encode(first, second, {.offsets = true}));
    EXPECT_EQ(of_pairs.finish(), expected[name + ", in pairs"]) << name;
  }
}

TEST(Tokenizer, ReviewsAndTwentyMegabytesOfMixedText) {
  for (const char* name : {"minilm", "reviews-en", "reviews-zh"}) {
    if (!std::filesystem::exists(public_data / name))
      GTEST_SKIP() << "scripts/fetch_data.py " << name << " has not run";
  }
  const Tokenizer tokenizer(read_tokenizer(public_data / "minilm"));
  const json expected = golden_json("digests.json")["corpora"];
  const Corpora corpora;
  EXPECT_EQ(digest_of(tokenizer, views(corpora.en)), expected["reviews-en"]);
  EXPECT_EQ(digest_of(tokenizer, views(corpora.zh)), expected["reviews-zh"]);
  EXPECT_EQ(digest_of(tokenizer, views(corpora.mixed)), expected["mixed"]);
}

TEST_F(Golden, BatchesAreTheSameOnAnyThreads) {
  Random random(5);
  std::vector<std::string> texts;
  for (int i = 0; i < 20'000; i++) texts.push_back(random_text(random, true) + " Hello 世界 wonderful");
  const auto all = views(texts);
  const RunTasks threads = [](int64_t tasks, const std::function<void(int64_t)>& task) {
    std::vector<std::thread> running;
    for (int64_t t = tasks; t-- > 0;) running.emplace_back([&task, t] { task(t); });
    for (auto& thread : running) thread.join();
  };
  for (const bool offsets : {false, true}) {
    for (const bool pairs : {false, true}) {
      const EncodeOptions options = {.offsets = offsets, .truncation = Truncation{.max_length = 17}};
      const auto second = pairs ? std::span<const std::string_view>(all) : std::span<const std::string_view>();
      const Encodings one = tokenizer_.encode(all, second, options);
      const Encodings many = tokenizer_.encode(all, second, options, threads);
      EXPECT_EQ(one.rows, many.rows);
      EXPECT_EQ(one.ids, many.ids);
      EXPECT_EQ(one.type_ids, many.type_ids);
      EXPECT_EQ(one.special_mask, many.special_mask);
      EXPECT_EQ(one.offsets, many.offsets);
      EXPECT_EQ(one.cut, many.cut);
      EXPECT_EQ(one.offsets.size(), offsets ? one.ids.size() : 0);
      const Encodings row = pairs ? tokenizer_.encode(all[7], all[7], options) : tokenizer_.encode(all[7], options);
      EXPECT_THAT(row.row(0), ::testing::ElementsAreArray(one.row(7)));
    }
  }
  EXPECT_EQ(tokenizer_.encode({}, {}, {}, threads).size(), 0);
}

TEST_F(Golden, BrokenBytesAreReplacementCharacters) {
  const auto ids = [&](std::string_view text) { return tokenizer_.encode(text).ids; };
  EXPECT_EQ(ids("good\xff movie"), ids("good movie"));  // clean_text removes U+FFFD
  EXPECT_EQ(ids("\xe4\xb8 good"), ids("good"));
  // Each U+FFFD is one character in offsets: one replaces F0 9F 98, three replace ED A0 80.
  const auto offsets =
      tokenizer_.encode("\xf0\x9f\x98 good \xed\xa0\x80 good", {.special_tokens = false, .offsets = true}).offsets;
  EXPECT_THAT(offsets, ElementsAre(Span{2, 6}, Span{11, 15}));
}

TEST(ReplaceBroken, IsThatOfPython) {
  // bytes.decode("utf-8", "replace") of Python 3.11, a ? for each U+FFFD
  const std::pair<std::string_view, const char*> known[] = {{"", ""},
                                                            {"plain", "plain"},
                                                            {"\xe4\xb8\xad", "中"},
                                                            {"a\xff"
                                                             "b",
                                                             "a?b"},
                                                            {"\xc3", "?"},
                                                            {"\xc3(", "?("},
                                                            {"\xc0\xaf", "??"},
                                                            {"\xe0\x80\x80", "???"},
                                                            {"\xe4\xb8", "?"},
                                                            {"\xe4\xb8\xe4", "??"},
                                                            {"\xed\xa0\x80", "???"},
                                                            {"\xf0\x9f\x98", "?"},
                                                            {"\xf0\x80", "??"},
                                                            {"\xf4\x90\x80", "???"},
                                                            {"\xf5\x80\x80\x80", "????"},
                                                            {"\xf0\x9f\x98\x80\x80", "😀?"},
                                                            {"\x80\x80", "??"},
                                                            {"\xf0\x9f(\x98", "?(?"},
                                                            {"\xf1\x80\x80\xc3\xa9", "?é"},
                                                            {"\xfe\xff", "??"}};
  for (const auto& [bytes, expected] : known) {
    std::string found = unicode::replace_broken(bytes);
    for (size_t at; (at = found.find("\uFFFD")) != std::string::npos;) found.replace(at, 3, "?");
    EXPECT_EQ(found, expected);
  }
}

TEST_F(Golden, LongWordsAndLongTexts) {
  const auto unknown = tokenizer_.encode(std::string(1 << 20, 'x'), {.special_tokens = false, .offsets = true});
  EXPECT_EQ(unknown.ids, std::vector{*tokenizer_.id_of("[UNK]")});
  EXPECT_EQ(unknown.offsets[0], (Span{0, 1 << 20}));
  std::string marks = "a";
  for (int i = 0; i < 100'000; i++) marks += i % 2 ? "\u0301" : "\U0001d165";  // one run that must be sorted
  EXPECT_EQ(tokenizer_.encode(marks, {.special_tokens = false}).ids.size(), 1);
  std::string starters;
  for (int i = 0; i < 100'000; i++) starters += "\u0301\u093a";  // runs that end in a removed starter
  EXPECT_THAT(tokenizer_.encode(starters + "\U0001d165", {.special_tokens = false}).ids.size(), 1);
}

TEST_F(Golden, Tokens) {
  EXPECT_EQ(tokenizer_.vocabulary_size(), 3000);
  EXPECT_EQ(tokenizer_.id_of("[PAD]"), 0);
  EXPECT_EQ(tokenizer_.id_of("no such token"), std::nullopt);
  EXPECT_EQ(tokenizer_.token(2), "[CLS]");
  EXPECT_EQ(tokenizer_.token(-1), "");
  EXPECT_EQ(tokenizer_.token(3000), "");
  EXPECT_EQ(tokenizer_.decode(std::vector{-5, 999'999}), "");
}

TEST_F(Golden, PadsToARectangle) {
  const std::vector<std::string_view> texts = {"good", "a very good movie", ""};
  const Encodings encodings = tokenizer_.encode(texts, {}, {});
  const auto batch = pad(encodings, {.id = 7, .type_id = 1});
  EXPECT_EQ(batch.size, 3);
  EXPECT_EQ(batch.length, 6);
  EXPECT_THAT(std::span(batch.ids).subspan(12), ElementsAre(2, 3, 7, 7, 7, 7));
  EXPECT_THAT(std::span(batch.attention_mask).subspan(12), ElementsAre(1, 1, 0, 0, 0, 0));
  EXPECT_THAT(std::span(batch.type_ids).subspan(12), ElementsAre(0, 0, 1, 1, 1, 1));
  EXPECT_THAT(std::span(batch.special_mask).subspan(12), ElementsAre(1, 1, 1, 1, 1, 1));
  const auto left = pad(encodings, {.multiple_of = 4, .side = Side::left});
  EXPECT_EQ(left.length, 8);
  EXPECT_THAT(std::span(left.ids).subspan(16), ElementsAre(0, 0, 0, 0, 0, 0, 2, 3));
  EXPECT_EQ(pad(encodings, {.length = 128}).length, 128);
  EXPECT_EQ(pad(encodings, {.length = 2}).length, 6);
  EXPECT_THAT(pad({}, {}).ids, IsEmpty());
  EXPECT_THAT([&] { pad(encodings, {.length = -1}); }, ThrowsMessage<std::invalid_argument>(HasSubstr("length is -1")));
  EXPECT_THAT([&] { pad(encodings, {.multiple_of = 0}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("multiple_of is 0")));
}

TEST_F(Golden, CutRowsAreCounted) {
  const auto cut = [&](int64_t max_length, const std::vector<std::string_view>& pairs = {}) {
    const std::vector<std::string_view> texts = {"a good movie", "a", "", "好坏好坏"};  // 3, 1, 0 and 4 tokens
    return tokenizer_.encode(texts, pairs, {.truncation = Truncation{.max_length = max_length}}).cut;
  };
  EXPECT_EQ(cut(2), 3);
  EXPECT_EQ(cut(4), 2);
  EXPECT_EQ(cut(5), 1);
  EXPECT_EQ(cut(6), 0);
  EXPECT_EQ(cut(6, {"a", "a", "a good movie", ""}), 2);
  EXPECT_EQ(cut(7, {"a", "a", "a good movie", ""}), 0);
  EXPECT_EQ(tokenizer_.encode("a good movie").cut, 0);
}

TEST_F(Golden, RefusesWhatCannotBeDone) {
  const auto encode = [&](int64_t max_length, TruncationStrategy strategy, bool pair) {
    return [=, this] {
      const EncodeOptions options = {.truncation = Truncation{.max_length = max_length, .strategy = strategy}};
      pair ? tokenizer_.encode("a good movie", "really", options) : tokenizer_.encode("a good movie", options);
    };
  };
  using enum TruncationStrategy;
  EXPECT_THAT(encode(1, longest_first, false),
              ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("max_length is 1"), HasSubstr("2"))));
  EXPECT_THAT(encode(4, only_second, false), ThrowsMessage<std::invalid_argument>(HasSubstr("no second text")));
  EXPECT_THAT(encode(4, only_first, true), ThrowsMessage<std::invalid_argument>(HasSubstr("only_first")));
  const std::vector<std::string_view> texts = {"a", "b"}, pairs = {"c"};
  EXPECT_THAT([&] { tokenizer_.encode(texts, pairs, {}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("2 texts have 1 pairs")));
}

WordPiece& wordpiece(TokenizerSpec& spec) { return std::get<WordPiece>(spec.model); }

TemplateProcessing& templates(TokenizerSpec& spec) { return std::get<TemplateProcessing>(spec.post_processor); }

// tests/golden/text/hashes.json contains the hashes that version 0.1.0 stored in tokenized files.
TEST(Tokenizer, HashesAreThoseOfFilesTokenizedBefore) {
  int64_t compared = 0;
  for (const json& each : golden_json("hashes.json")) {
    EXPECT_EQ(hash_of(golden_spec(each["patch"])), each["hash"]) << each["name"];
    compared++;
  }
  EXPECT_EQ(compared, 8);
}

TEST(Tokenizer, RefusesSpecsThatContradictThemselves) {
  const auto refused = [](auto change, const char* message) {
    TokenizerSpec spec;
    spec.vocabulary = {{"[UNK]", 0}, {"a", 1}, {"b", 2}};
    change(spec);
    EXPECT_THAT([&] { Tokenizer made(spec); }, ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  };
  refused([](auto& spec) { spec.vocabulary.clear(); }, "vocabulary is empty");
  refused([](auto& spec) { spec.vocabulary[1].id = -1; }, "a has the id -1");
  refused([](auto& spec) { spec.vocabulary[2].id = 1; }, "a and b have the id 1");
  refused([](auto& spec) { spec.vocabulary[2].text = "a"; }, "a occurs twice");
  refused([](auto& spec) { spec.vocabulary[2].text = "\xff"; }, "not UTF-8");
  refused([](auto& spec) { wordpiece(spec).unk_token = "<unk>"; }, "unk_token <unk> is not in the vocabulary");
  refused([](auto& spec) { wordpiece(spec).max_input_chars_per_word = -1; }, "max_input_chars_per_word is -1");
  refused([](auto& spec) { spec.added_tokens = {{"a", 5}}; }, "added token a has the id 5, expected 1");
  refused([](auto& spec) { spec.added_tokens = {{"x", 5}}; }, "added token x has the id 5, expected 3");
  refused([](auto& spec) { spec.added_tokens = {{"", 3}}; }, "content is empty");
  refused([](auto& spec) { spec.added_tokens = {{"x", 3}, {"x", 4}}; }, "x occurs twice");
  refused([](auto& spec) { spec.added_tokens = {{"x", 3}, {"X", 4}}; }, "another added token is also x");
  refused([](auto& spec) { spec.added_tokens = {{"\u0301", 3}}; }, "is empty after normalization");
  refused(
      [](auto& spec) {
        spec.vocabulary[2].id = 3;
        spec.added_tokens = {{"x", 3}};
      },
      "of a token in the vocabulary");
  refused([](auto& spec) { templates(spec).single.push_back({TemplatePiece::second}); }, "single has a second text");
  refused([](auto& spec) { templates(spec).pair.pop_back(); }, "pair lacks one of the two texts");
  refused([](auto& spec) { templates(spec).single.push_back({TemplatePiece::special, 0, {-1}}); }, "the id -1");
}

}  // namespace
}  // namespace sartor::text
