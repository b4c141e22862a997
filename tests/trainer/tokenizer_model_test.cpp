// Extensibility of tokenizer models: a new model, defined in this file and registered by one line of a table, works
// everywhere WordPiece works.
#include <gmock/gmock.h>

#include <fstream>

#include "core/parallel_for.h"
#include "encodings/unicode.h"
#include "storage/json_fields.h"
#include "storage/stored_texts.h"
#include "support/folder_test.h"
#include "tasks/texts/token_masking.h"
#include "text/tokenizers/tokenizer.h"
#include "text/tokenizers/tokenizer_files.h"
#include "text/write_texts.h"

namespace sartor::text {
namespace {

using nlohmann::ordered_json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Lt;
using ::testing::ThrowsMessage;

// Each character except spaces is a token. Characters that are not in the vocabulary become the unknown token, or are
// dropped if there is none.
class CharacterCutter final : public TokenizerModel {
 public:
  explicit CharacterCutter(const TokenizerSpec& spec)
      : map_(bert_flags(spec.normalizer)), vocabulary_(spec.vocabulary), unknown_(unknown_id(spec)) {}

  void tokenize(const Stretch& stretch, TokenList& tokens) const override {
    if (!stretch.origins) {
      const auto normalized = normalize(stretch.text, stretch.first);
      if (normalized.text.empty()) return;
      return tokenize({normalized.text, 0, normalized.origins.data()}, tokens);
    }
    uint32_t index = stretch.first;
    for (const char *at = stretch.text.begin(), *end = stretch.text.end(); at < end && !tokens.full; index++) {
      const char* const begin = at;
      if (unicode::next_character(at) == ' ') continue;
      const auto found = std::ranges::find(vocabulary_, std::string_view(begin, at), &TokenizerSpec::Token::text);
      const auto id = found != vocabulary_.end() ? std::optional(found->id) : unknown_;
      if (id) tokens.add(*id, stretch.span(index, index));
      tokens.full = tokens.ids.size() >= tokens.limit;
    }
  }

  NormalizedText normalize(std::string_view text, uint32_t first) const override {
    return text::normalize(map_, text, first);
  }

 private:
  CharacterMap map_;
  std::vector<TokenizerSpec::Token> vocabulary_;
  std::optional<int32_t> unknown_;
};

class Characters final : public ModelSpec {
 public:
  static Model read(const datasets::JsonField& model) {
    auto made = std::make_shared<Characters>();
    if (!model["unknown"].is_null()) made->unknown_ = model["unknown"].text();
    return made;
  }
  std::optional<std::string> unknown_token() const override { return unknown_; }
  std::unique_ptr<const TokenizerModel> make(const TokenizerSpec& spec) const override {
    return std::make_unique<CharacterCutter>(spec);
  }
  ordered_json json(ordered_json vocabulary) const override {
    return {{"type", "Characters"},
            {"unknown", unknown_ ? ordered_json(*unknown_) : ordered_json(nullptr)},
            {"vocab", std::move(vocabulary)}};
  }
  void append_hashed(nlohmann::json& hashed) const override { hashed.push_back({"Characters", unknown_.value_or("")}); }

 private:
  std::optional<std::string> unknown_;
};

// The table with the registered model.
std::vector<ModelReader> readers() {
  std::vector<ModelReader> readers(model_readers().begin(), model_readers().end());
  readers.push_back({"Characters", Characters::read});
  return readers;
}

ordered_json added(int32_t id, const char* content, bool normalized) {
  return {{"id", id},        {"content", content},       {"single_word", false},  {"lstrip", false},
          {"rstrip", false}, {"normalized", normalized}, {"special", !normalized}};
}

std::string toy_json(const ordered_json& unknown = nullptr) {
  const ordered_json sequence_a = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
                     sequence_b = {{"Sequence", {{"id", "B"}, {"type_id", 1}}}},
                     end = {{"SpecialToken", {{"id", "<end>"}, {"type_id", 0}}}};
  return ordered_json{
      {"version", "1.0"},
      {"added_tokens", {added(0, "<end>", false), added(1, "<mask>", false), added(8, "TV", true)}},
      {"normalizer",
       {{"type", "BertNormalizer"},
        {"clean_text", true},
        {"handle_chinese_chars", true},
        {"strip_accents", nullptr},
        {"lowercase", true}}},
      {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single", {sequence_a, end}},
        {"pair", {sequence_a, end, sequence_b, end}},
        {"special_tokens", {{"<end>", {{"id", "<end>"}, {"ids", {0}}, {"tokens", {"<end>"}}}}}}}},
      {"decoder", nullptr},
      {"model",
       {{"type", "Characters"},
        {"unknown", unknown},
        {"vocab", {{"<end>", 0}, {"<mask>", 1}, {"?", 2}, {"好", 3}, {"坏", 4}, {"a", 5}, {"b", 6}, {"😀", 7}}}}}}
      .dump();
}

TokenizerSpec toy(const ordered_json& unknown = nullptr) {
  return parse_tokenizer_json(toy_json(unknown), "toy.json", readers());
}

class ToyModel : public testing::FolderTest {
 protected:
  TextReport write_texts(const Tokenizer& tokenizer, const std::string& rows, RowLength length) {
    const TextConfig config = {.sources = {{.table = {.path = write("a.csv", "text\n" + rows)}}},
                               .label = {.kind = LabelKind::none}};
    datasets::Rejects rejects;
    TextSource source(config, rejects);
    return text::write_texts(
        path("a.h5"), source, config, tokenizer,
        {.length = length, .split = {.test = 0, .validation = 0}, .describe = [](const TextReport&) {
           return datasets::Provenance{"{}", "hash"};
         }});
  }
};

TEST_F(ToyModel, IsReadByItsName) {
  EXPECT_EQ(model_of(toy()).unknown_token(), std::nullopt);
  EXPECT_EQ(model_of(toy("?")).unknown_token(), "?");
  auto other = nlohmann::json::parse(toy_json());
  other["model"]["type"] = "Unigram";
  EXPECT_THAT([&] { parse_tokenizer_json(other.dump(), "toy.json", readers()); },
              ThrowsMessage<std::invalid_argument>(
                  "toy.json: model.type is \"Unigram\", expected one of WordPiece, BPE, Characters"));
  EXPECT_THAT(
      [&] { parse_tokenizer_json(toy_json(), "toy.json"); },
      ThrowsMessage<std::invalid_argument>("toy.json: model.type is \"Characters\", expected one of WordPiece, BPE"));
}

TEST_F(ToyModel, EncodesWithOffsetsPairsAndAddedTokens) {
  const Tokenizer tokenizer(toy());
  const EncodeOptions offsets = {.offsets = true};
  const auto single = tokenizer.encode("好 B龘\xff<mask>é A", offsets);
  EXPECT_THAT(single.ids, ElementsAre(3, 6, 1, 5, 0));  // 龘, the invalid byte and e have no token
  EXPECT_THAT(single.offsets, ElementsAre(Span{0, 1}, Span{2, 3}, Span{5, 11}, Span{13, 14}, Span{0, 0}));
  EXPECT_THAT(single.special_mask, ElementsAre(0, 0, 0, 0, 1));

  const auto looked_up = tokenizer.encode("坏tV😀", offsets);  // TV is lowercased for the lookup
  EXPECT_THAT(looked_up.ids, ElementsAre(4, 8, 7, 0));
  EXPECT_THAT(looked_up.offsets, ElementsAre(Span{0, 1}, Span{1, 3}, Span{3, 4}, Span{0, 0}));

  const auto pair = tokenizer.encode("ab", "好", offsets);
  EXPECT_THAT(pair.ids, ElementsAre(5, 6, 0, 3, 0));
  EXPECT_THAT(pair.type_ids, ElementsAre(0, 0, 0, 1, 0));
  EXPECT_THAT(tokenizer.encode("").ids, ElementsAre(0));
  EXPECT_THAT(Tokenizer(toy("?")).encode("好龘\xff").ids, ElementsAre(3, 2, 0));
}

TEST_F(ToyModel, IsTruncatedAndDecoded) {
  const Tokenizer tokenizer(toy());
  const auto cut = [&](std::string_view text, std::optional<std::string_view> pair, Truncation truncation) {
    const EncodeOptions options = {.truncation = truncation};
    const auto encoded = pair ? tokenizer.encode(text, *pair, options) : tokenizer.encode(text, options);
    EXPECT_EQ(encoded.cut, 1);
    return encoded.ids;
  };
  EXPECT_THAT(cut("好坏ab", {}, {.max_length = 3}), ElementsAre(3, 4, 0));
  EXPECT_THAT(cut("好坏ab", {}, {.max_length = 3, .side = Side::left}), ElementsAre(5, 6, 0));
  EXPECT_THAT(cut("好坏ab", "ba", {.max_length = 5}), ElementsAre(3, 4, 0, 6, 0));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("好😀 <mask>TV").ids), "好 😀 tv");
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("好").ids, false), "好 <end>");
}

TEST_F(ToyModel, IsTheSameOnThreads) {
  const Tokenizer tokenizer(toy("?"));
  std::vector<std::string> texts;
  for (int i = 0; i < 20'000; i++) texts.push_back(i % 3 ? "好坏 TV ab" : std::string(1 + i % 50, 'b'));
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const EncodeOptions options = {.offsets = true, .truncation = Truncation{.max_length = 6}};
  const auto one = tokenizer.encode(views, {}, options);
  const auto two = tokenizer.encode(views, {}, options, cuda::tasks_on(2));
  EXPECT_EQ(two.ids, one.ids);
  EXPECT_EQ(two.rows, one.rows);
  EXPECT_EQ(two.offsets, one.offsets);
}

TEST_F(ToyModel, IsWrittenAndReadBack) {
  write_tokenizer(folder_, toy("?"), 512);
  EXPECT_THAT(files(), ElementsAre("tokenizer.json", "tokenizer_config.json"));
  EXPECT_THAT(read("tokenizer_config.json"), AllOf(HasSubstr("PreTrainedTokenizerFast"), HasSubstr("512")));
  const auto back = read_tokenizer(folder_, readers());
  EXPECT_EQ(model_of(back).unknown_token(), "?");
  EXPECT_EQ(back.vocabulary, toy().vocabulary);
  EXPECT_EQ(hash_of(back), hash_of(toy("?")));
  EXPECT_NE(hash_of(back), hash_of(toy()));
  auto more = toy("?");
  more.vocabulary[5].text = "c";
  EXPECT_NE(hash_of(more), hash_of(back));
  auto pieces = toy("?");
  pieces.model = WordPiece();
  EXPECT_NE(hash_of(pieces), hash_of(back));
}

TEST_F(ToyModel, MakesTokenizedFiles) {
  const Tokenizer tokenizer(toy("?"));
  const auto report = write_texts(tokenizer, "好龘b\n坏😀aa\n", {.max_length = 4});
  EXPECT_EQ(report.unknown, 1);
  EXPECT_EQ(report.full, 2);
  const auto data = datasets::open_texts(path("a.h5"));
  EXPECT_EQ(data.tokenizer_hash, hash_of(toy("?")));
  EXPECT_THAT(data.train.ids(0), ElementsAre(3, 2, 6, 0));
  EXPECT_THAT(data.train.ids(1), ElementsAre(4, 7, 5, 0));

  EXPECT_EQ(write_texts(Tokenizer(toy()), "好龘b\n", {.max_length = 4, .longer = LongTexts::divide}).unknown, 0);
  const auto second = datasets::open_texts(path("a.h5"));
  EXPECT_EQ(second.tokenizer_hash, hash_of(toy()));
  EXPECT_THAT(second.train.ids(0), ElementsAre(3, 6, 0));
}

TEST_F(ToyModel, TextsWithoutTokensHaveNoRow) {
  auto bare = toy();
  bare.post_processor = TemplateProcessing();
  const auto report = write_texts(Tokenizer(bare), "龘\n好\n", {.max_length = 4});
  EXPECT_EQ(report.empty, 1);
  EXPECT_EQ(report.train, 1);
  EXPECT_THAT(datasets::open_texts(path("a.h5")).train.ids(0), ElementsAre(3));
  std::filesystem::remove(path("a.h5"));
  EXPECT_THAT([&] { write_texts(Tokenizer(bare), "龘\n", {.max_length = 4}); },
              ThrowsMessage<std::invalid_argument>("nothing is left for training: 1 texts have no tokens"));
  EXPECT_THAT(files(), ElementsAre("a.csv"));
}

TEST_F(ToyModel, IsMasked) {
  const TokenMasking masking(toy(), 0.5), with_unknown(toy("?"), 0.5);
  EXPECT_EQ(masking.predicted(std::vector<int32_t>{2, 2, 2, 2, 0}), 2);  // ? is an ordinary character
  EXPECT_EQ(with_unknown.predicted(std::vector<int32_t>{2, 2, 2, 2, 0}), 0);
  const std::vector<int32_t> row = {3, 4, 8, 7, 5, 6, 0};
  bool hidden = false;
  for (uint64_t seed = 0; seed < 50; seed++) {
    auto ids = row;
    EXPECT_THAT(masking.mask(ids, seed), ::testing::SizeIs(3));
    EXPECT_EQ(ids.back(), 0);
    EXPECT_THAT(ids, ::testing::Each(AllOf(Ge(0), Lt(9))));
    hidden |= std::ranges::count(ids, 1) > 0;
  }
  EXPECT_TRUE(hidden);
}

}  // namespace
}  // namespace sartor::text
