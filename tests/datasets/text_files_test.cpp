#include "text/tokenizers/tokenizer_files.h"

#include "datasets/text_support.h"
#include "support/folder_test.h"

namespace sartor::text {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

using TokenizerFiles = testing::FolderTest;

// A small tokenizer.json, changed by a patch.
std::string small(const json& patch = json::object()) {
  const json flags = {
      {"single_word", false}, {"lstrip", false}, {"rstrip", false}, {"normalized", false}, {"special", true}};
  json made = {{"version", "1.0"},
               {"truncation", nullptr},
               {"padding", nullptr},
               {"added_tokens", {patched({{"id", 0}, {"content", "[UNK]"}}, flags)}},
               {"normalizer",
                {{"type", "BertNormalizer"},
                 {"clean_text", true},
                 {"handle_chinese_chars", true},
                 {"strip_accents", nullptr},
                 {"lowercase", true}}},
               {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
               {"post_processor", nullptr},
               {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
               {"model",
                {{"type", "WordPiece"},
                 {"unk_token", "[UNK]"},
                 {"continuing_subword_prefix", "##"},
                 {"max_input_chars_per_word", 100},
                 {"vocab", {{"[UNK]", 0}, {"a", 1}, {"##b", 2}}}}}};
  return patched(made, patch).dump();
}

void expect_refused(const json& patch, const std::vector<std::string>& messages) {
  for (const auto& message : messages) {
    EXPECT_THAT([&] { parse_tokenizer_json(small(patch), "a/tokenizer.json"); },
                ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("a/tokenizer.json: "), HasSubstr(message))));
  }
}

TEST(TokenizerJson, IsReadWhole) {
  const TokenizerSpec spec = parse_tokenizer_json(
      small({{"truncation", {{"direction", "Left"}, {"max_length", 128}, {"strategy", "OnlySecond"}, {"stride", 3}}},
             {"padding",
              {{"strategy", {{"Fixed", 64}}},
               {"direction", "Left"},
               {"pad_to_multiple_of", 8},
               {"pad_id", 2},
               {"pad_type_id", 1},
               {"pad_token", "[PAD]"}}},
             {"unknown key", "as the reference, ignored"}}),
      "tokenizer.json");
  EXPECT_THAT(spec.vocabulary, ElementsAre(TokenizerSpec::Token{"[UNK]", 0}, TokenizerSpec::Token{"a", 1},
                                           TokenizerSpec::Token{"##b", 2}));
  EXPECT_EQ(spec.truncation, (Truncation{128, TruncationStrategy::only_second, Side::left, 3}));
  EXPECT_EQ(spec.padding, (Padding{64, 8, Side::left, 2, 1}));
  EXPECT_EQ(spec.normalizer, Normalizer(BertNormalizer()));
  EXPECT_THAT(Tokenizer(spec).encode("AB a").ids, ElementsAre(1, 2, 1));
  EXPECT_EQ(parse_tokenizer_json(
                small({{"padding",
                        {{"strategy", "BatchLongest"}, {"direction", "Right"}, {"pad_id", 0}, {"pad_type_id", 0}}}}),
                "")
                .padding,
            Padding{});
}

TEST(TokenizerJson, RefusesByNameWhatItCannotDo) {
  expect_refused({{"version", "2.0"}}, {R"(version is "2.0", expected "1.0")"});
  expect_refused({{"model", {{"type", "Unigram"}}}}, {R"(model.type is "Unigram", expected one of WordPiece, BPE)"});
  expect_refused({{"normalizer", {{"type", "NFD"}}}},
                 {R"(normalizer.type is "NFD", expected one of BertNormalizer, NFC)"});
  expect_refused({{"normalizer", {{"type", "Sequence"}}}}, {"normalizer.type"});
  expect_refused({{"pre_tokenizer", nullptr}}, {"pre_tokenizer"});
  expect_refused({{"pre_tokenizer", {{"type", "Whitespace"}}}},
                 {R"(pre_tokenizer.type is "Whitespace", expected one of BertPreTokenizer, ByteLevel, Sequence)"});
  expect_refused({{"post_processor", {{"type", "RobertaProcessing"}}}},
                 {"post_processor.type is \"RobertaProcessing\", expected one of TemplateProcessing, BertProcessing, "
                  "ByteLevel, Sequence"});
  expect_refused({{"decoder", {{"type", "Fuse"}}}}, {"decoder.type is \"Fuse\", expected one of WordPiece, ByteLevel"});
  expect_refused({{"truncation", {{"max_length", 3}, {"strategy", "Shortest"}, {"stride", 0}}}},
                 {"truncation.strategy is \"Shortest\", expected one of LongestFirst, OnlyFirst, OnlySecond"});
  expect_refused({{"padding", {{"strategy", "Fixed"}}}}, {"padding.strategy"});
}

TEST(TokenizerJson, RefusesWhatIsBroken) {
  EXPECT_THAT([] { parse_tokenizer_json("{\"a\": [1,", "t.json"); },
              ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("t.json: is not JSON"), HasSubstr("line 1"))));
  EXPECT_THAT([] { parse_tokenizer_json("[]", "t.json"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("the file is array, expected an object")));
  EXPECT_THAT([] { parse_tokenizer_json(std::string(1'000'000, '['), "t.json"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("is not JSON")));
  EXPECT_THAT([] { parse_tokenizer_json("\"\\ud800\"", "t.json"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("is not JSON")));
  expect_refused({{"model", 3}}, {"model is 3, expected an object"});
  expect_refused({{"model", {{"vocab", {"a"}}}}}, {"model.vocab is array, expected an object"});
  expect_refused({{"model", {{"vocab", {{"a", -1}}}}}},
                 {"model.vocab.a is -1, expected a whole number from 0 to 2147483647"});
  expect_refused({{"model", {{"vocab", {{"a", 1.5}}}}}}, {"model.vocab.a is 1.5"});
  expect_refused({{"model", {{"vocab", {{"a", 4294967296}}}}}}, {"model.vocab.a is 4294967296"});
  expect_refused({{"model", {{"max_input_chars_per_word", 18446744073709551615u}}}},
                 {"model.max_input_chars_per_word"});
  expect_refused({{"model", {{"unk_token", nullptr}}}}, {"model.unk_token is missing or null, expected a string"});
  expect_refused({{"normalizer", {{"lowercase", "yes"}}}}, {"normalizer.lowercase is \"yes\", expected true or false"});
  expect_refused({{"added_tokens", {{{"id", 1}}}}}, {"added_tokens[0].content is missing"});
  const json piece = {{"SpecialToken", {{"id", "[CLS]"}, {"type_id", 0}}}};
  expect_refused(
      {{"post_processor",
        {{"type", "TemplateProcessing"},
         {"single", {piece}},
         {"pair", json::array()},
         {"special_tokens", json::object()}}}},
      {"post_processor.single[0].SpecialToken.id is \"[CLS]\", expected a name in post_processor.special_tokens"});
  expect_refused({{"post_processor", {{"type", "BertProcessing"}, {"sep", {"[SEP]"}}, {"cls", {"[CLS]", 1}}}}},
                 {"post_processor.sep is array, expected a token and its id"});
}

TEST(Vocab, IsATokenALine) {
  const auto vocabulary = parse_vocab("a\nb \r\n\n##é\nb", "vocab.txt");
  EXPECT_THAT(vocabulary, ElementsAre(TokenizerSpec::Token{"a", 0}, TokenizerSpec::Token{"", 2},
                                      TokenizerSpec::Token{"##é", 3}, TokenizerSpec::Token{"b", 4}));
  EXPECT_THAT([] { parse_vocab("a\nb\xff\n", "v/vocab.txt"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("v/vocab.txt:2: invalid UTF-8")));
}

TEST(BertTokenizerFiles, AreWhatTransformersMakesOfThem) {
  const std::string vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n";
  const auto parse = [&](const std::string& config) {
    return parse_bert_tokenizer(vocab, "vocab.txt", config, "c/tokenizer_config.json");
  };
  const TokenizerSpec plain = parse("");
  EXPECT_TRUE(std::get<BertNormalizer>(plain.normalizer).lowercase);
  EXPECT_THAT(Tokenizer(plain).encode("A [MASK]").ids, ElementsAre(2, 5, 4, 3));
  EXPECT_FALSE(bert_flags(parse(R"({"do_lower_case": false})").normalizer).lowercase);
  // Order of ids as in AutoTokenizer of transformers 5.23: added_tokens_decoder, named tokens, additional tokens.
  const TokenizerSpec added =
      parse(R"({"mask_token": "<mask>", "additional_special_tokens": ["<x>", {"content": "<y>", "lstrip": true}],
      "added_tokens_decoder": {"6": {"content": "Foo", "lstrip": false, "normalized": true, "rstrip": false, "single_word": false, "special": false}}})");
  const Tokenizer tokenizer(added);
  EXPECT_EQ(tokenizer.id_of("Foo"), 6);
  EXPECT_EQ(tokenizer.id_of("<mask>"), 7);
  EXPECT_EQ(tokenizer.id_of("<x>"), 8);
  EXPECT_EQ(tokenizer.id_of("<y>"), 9);
  EXPECT_EQ(std::get<WordPiece>(parse(R"({"unk_token": {"content": "a"}})").model).unk_token, "a");
  const auto refused = [&](const char* config, const char* message) {
    EXPECT_THAT([&] { parse(config); }, ThrowsMessage<std::invalid_argument>(
                                            AllOf(HasSubstr("c/tokenizer_config.json: "), HasSubstr(message))));
  };
  refused(R"({"do_basic_tokenize": false})", "do_basic_tokenize is false, expected true");
  refused(R"({"never_split": ["x"]})", "never_split");
  refused(R"({"tokenizer_class": "BertJapaneseTokenizer"})", "tokenizer_class is \"BertJapaneseTokenizer\"");
  refused(R"({"cls_token": ""})", "cls_token is \"\", expected a token");
  refused(R"({"added_tokens_decoder": {"x": {"content": "Foo"}}})", "added_tokens_decoder.x");
  refused(
      R"({"added_tokens_decoder": {"9": {"content": "Foo", "lstrip": false, "normalized": true, "rstrip": false, "single_word": false, "special": false}}})",
      "added_tokens_decoder.9 is Foo, which would get the id 6");
}

TEST_F(TokenizerFiles, ComeBackAsTheyWereWritten) {
  TokenizerSpec spec = golden_spec();
  spec.normalizer = BertNormalizer{.strip_accents = false};
  spec.truncation = Truncation{.max_length = 77, .side = Side::left};
  spec.padding = Padding{.multiple_of = 8};
  write_tokenizer(folder_, spec, 512);
  EXPECT_THAT(files(), ElementsAre("tokenizer.json", "tokenizer_config.json", "vocab.txt"));
  const TokenizerSpec back = read_tokenizer(folder_);
  EXPECT_EQ(back.vocabulary, spec.vocabulary);
  EXPECT_EQ(back.added_tokens, spec.added_tokens);
  EXPECT_EQ(back.normalizer, spec.normalizer);
  EXPECT_EQ(back.post_processor, spec.post_processor);
  EXPECT_EQ(back.decoder, spec.decoder);
  EXPECT_EQ(hash_of(back), hash_of(spec));
  EXPECT_EQ(back.truncation, spec.truncation);
  EXPECT_EQ(back.padding, spec.padding);
  std::filesystem::remove(path("tokenizer.json"));
  const TokenizerSpec from_vocab = read_tokenizer(folder_);
  EXPECT_EQ(from_vocab.vocabulary, spec.vocabulary);
  EXPECT_EQ(from_vocab.post_processor, spec.post_processor);
  EXPECT_EQ(from_vocab.normalizer, spec.normalizer);
}

// transformers' BertTokenizer reads its flags from the normalizer.
TEST_F(TokenizerFiles, HaveTheFlagsOfNoNormalizer) {
  write_tokenizer(folder_, golden_spec({{"normalizer", nullptr}}), 512);
  const json written = json::parse(contents(path("tokenizer.json")));
  EXPECT_EQ(written["normalizer"], json({{"type", "BertNormalizer"},
                                         {"clean_text", false},
                                         {"handle_chinese_chars", false},
                                         {"strip_accents", false},
                                         {"lowercase", false}}));
  EXPECT_EQ(hash_of(read_tokenizer(folder_)), hash_of(golden_spec({{"normalizer", nullptr}})));
}

TEST_F(TokenizerFiles, MustAgree) {
  write("tokenizer.json", small());
  write("tokenizer_config.json", R"({"do_lower_case": true, "strip_accents": null})");
  EXPECT_EQ(read_tokenizer(folder_).vocabulary.size(), 3);
  EXPECT_EQ(read_tokenizer(path("tokenizer.json")).vocabulary.size(), 3);
  write("tokenizer_config.json", R"({"do_lower_case": false})");
  EXPECT_THAT(
      [&] { read_tokenizer(folder_); },
      ThrowsMessage<std::invalid_argument>(HasSubstr("do_lower_case is false, expected true as in tokenizer.json")));
}

TEST_F(TokenizerFiles, AreMissedByName) {
  EXPECT_THAT([&] { read_tokenizer(folder_); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("neither tokenizer.json nor vocab.txt")));
  EXPECT_THAT([&] { read_tokenizer(path("none.json")); },
              ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("none.json"), HasSubstr("No such file"))));
}

TEST_F(TokenizerFiles, AreNotWrittenWhereVocabTxtCannotSayIt) {
  const auto refused = [&](auto change, const char* message) {
    TokenizerSpec spec = golden_spec();
    change(spec);
    EXPECT_THAT([&] { write_tokenizer(folder_, spec, 512); }, ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  };
  refused([](auto& spec) { spec.vocabulary[2999].id = 5000; }, "no token with the id 2999");
  refused([](auto& spec) { spec.vocabulary[2999].text = "a\nb"; }, "line break");
  refused([](auto& spec) { spec.vocabulary[2999].text = "a\u3000"; }, "ends in whitespace");
}

}  // namespace
}  // namespace sartor::text
