// Token ids, lengths and bytes of rows for generators.
#include "datasets/generation_support.h"
#include "text/tokenizers/byte_bpe.h"
#include "text/tokenizers/parts/byte_alphabet.h"

namespace sartor::text {
namespace {

using datasets::Content;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::ThrowsMessage;
using ::testing::UnorderedElementsAre;

class GeneratorRowsOf : public GeneratorFile {};

TEST_F(GeneratorRowsOf, PlainTexts) {
  const auto data = write_file(csv("goods 好,,\nbad,,\n"));
  EXPECT_EQ(data.content, Content::language_modeling);
  EXPECT_EQ(data.chat, "none");
  EXPECT_EQ(data.end, end_token);
  EXPECT_EQ(data.label_kind, "none");
  EXPECT_THAT(rows_of(data.train),
              ElementsAre(ElementsAre(begin_token, good, s, hao, end_token), ElementsAre(begin_token, bad, end_token)));
  EXPECT_THAT(data.train.second(), ElementsAre(0, 0));
  EXPECT_THAT(data.train.bytes(), ElementsAre(9, 3));  // 好 has 3
  EXPECT_THAT(data.train.weights(), IsEmpty());
  EXPECT_THAT(data.train.sources(), ElementsAre(2, 3));
  EXPECT_EQ(report_.tokens, 8);
  EXPECT_EQ(report_.counted, 6);  // all but the first of each row
  EXPECT_EQ(report_.bytes, 12);
}

TEST_F(GeneratorRowsOf, PromptsAndCompletionsAreTokenizedApart) {
  const auto data = write_file(pairs("good,s 好,\n"));  // not the token ##s
  EXPECT_EQ(data.content, Content::prompt_completion);
  EXPECT_THAT(rows_of(data.train), ElementsAre(ElementsAre(begin_token, good, unknown, hao, end_token)));
  EXPECT_THAT(data.train.second(), ElementsAre(2));
  EXPECT_THAT(data.train.bytes(), ElementsAre(5));
  EXPECT_EQ(report_.counted, 3);
  EXPECT_EQ(data.text, "{a}");
  EXPECT_EQ(data.pair, "{b}");
}

TEST_F(GeneratorRowsOf, PreferencesAreTwoRowsWithOnePrompt) {
  const auto data = write_file(pairs("good,好,坏坏\nbad,坏,好\n"), {.rejected = "{c}"});
  EXPECT_EQ(data.content, Content::preference);
  EXPECT_EQ(data.rejected, "{c}");
  EXPECT_THAT(
      rows_of(data.train),
      ElementsAre(ElementsAre(begin_token, good, hao, end_token), ElementsAre(begin_token, good, huai, huai, end_token),
                  ElementsAre(begin_token, bad, huai, end_token), ElementsAre(begin_token, bad, hao, end_token)));
  EXPECT_THAT(data.train.second(), ElementsAre(2, 2, 2, 2));
  EXPECT_THAT(data.train.bytes(), ElementsAre(3, 6, 3, 3));
  EXPECT_THAT(data.train.sources(), ElementsAre(2, 2, 3, 3));
}

TEST_F(GeneratorRowsOf, TextsBeginWithOneTokenAndEndWithOne) {
  auto config = pairs("<|begin_of_text|>good,好</s>,\n");
  EXPECT_THAT(rows_of(write_file(config).train), ElementsAre(ElementsAre(begin_token, good, hao, end_token)));
  config = csv("<|begin_of_text|>good</s>,,\n");
  EXPECT_THAT(rows_of(write_file(config).train), ElementsAre(ElementsAre(begin_token, good, end_token)));
  tokenizer_.emplace(generator_tokenizer(false));
  EXPECT_THAT(rows_of(write_file(csv("good,,\n")).train), ElementsAre(ElementsAre(good, end_token)));
  EXPECT_THAT(rows_of(write_file(csv("good bad,,\n"), {.eos = false}).train), ElementsAre(ElementsAre(good, bad)));
}

TEST_F(GeneratorRowsOf, ChatFormatsBringTheirOwnBeginning) {
  chat_ = {.format = ChatFormat::chatml, .system = "好"};
  auto data = write_file(pairs("good,bad,\n"), {.chat = ChatChoice::chatml});
  EXPECT_EQ(data.chat, "chatml");
  EXPECT_EQ(data.system, "好");
  EXPECT_EQ(data.end, im_end);
  EXPECT_THAT(rows_of(data.train), ElementsAre(ElementsAre(im_start, system, hao, im_end, im_start, user, good, im_end,
                                                           im_start, assistant, bad, im_end)));
  EXPECT_THAT(data.train.second(), ElementsAre(10));
  EXPECT_THAT(data.train.bytes(), ElementsAre(3));

  chat_ = {.format = ChatFormat::llama3};
  data = write_file(pairs("good, bad ,\n"), {.chat = ChatChoice::llama3});
  EXPECT_EQ(data.chat, "llama3");
  EXPECT_EQ(data.system, std::nullopt);
  EXPECT_THAT(rows_of(data.train), ElementsAre(ElementsAre(begin_token, header, user, header_end, good, end_of_turn,
                                                           header, assistant, header_end, bad, end_of_turn)));
  EXPECT_THAT(data.train.bytes(), ElementsAre(3));  // without the spaces, which this format removes
}

TEST_F(GeneratorRowsOf, LongTextsAreCut) {
  auto data = write_file(csv("good 好 坏 bad,,\ngood 好 坏,,\n好,,\n"), {}, {4});
  EXPECT_THAT(rows_of(data.train),
              ElementsAre(ElementsAre(begin_token, good, hao, huai), ElementsAre(begin_token, good, hao, huai),
                          ElementsAre(begin_token, hao, end_token)));
  EXPECT_THAT(data.train.bytes(), ElementsAre(12, 12, 3));  // "good 好 坏" twice: the second lacks only its end
  EXPECT_EQ(report_.cut, 2);
  EXPECT_EQ(report_.full, 2);

  data = write_file(pairs("good,bads 好 坏,\ngood,bad,\n"), {}, {4});
  EXPECT_THAT(rows_of(data.train),
              ElementsAre(ElementsAre(begin_token, good, bad, s), ElementsAre(begin_token, good, bad, end_token)));
  EXPECT_THAT(data.train.bytes(), ElementsAre(4, 3));
  EXPECT_EQ(report_.cut, 1);
}

TEST_F(GeneratorRowsOf, LongTextsAreDivided) {
  const auto data = write_file(csv("good 好 坏 bads,,\n好,,\n"), {}, {3, LongTexts::divide});
  EXPECT_THAT(rows_of(data.train),
              ElementsAre(ElementsAre(begin_token, good, hao), ElementsAre(begin_token, huai, bad),
                          ElementsAre(begin_token, s, end_token), ElementsAre(begin_token, hao, end_token)));
  EXPECT_THAT(data.train.bytes(), ElementsAre(8, 8, 1, 3));  // spaces belong to the token after them
  EXPECT_EQ(report_.bytes, 20);
  EXPECT_EQ(report_.cut, 0);
  EXPECT_EQ(report_.counted, 8);
}

// All bytes are tokens, whose ids are the bytes; " g" is the token 256.
Tokenizer byte_tokenizer() {
  TokenizerSpec spec;
  for (int byte = 0; byte < 256; byte++) spec.vocabulary.push_back({std::string(byte_character(byte)), byte});
  spec.vocabulary.push_back({"Ġg", 256});
  spec.model = ByteBpe();
  std::get<ByteBpe>(spec.model).merges = {{"Ġ", "g"}};
  spec.normalizer = NoNormalizer();
  spec.pre_tokenizer = ByteLevelPreTokenizer();
  spec.decoder = ByteLevelDecoder();
  return Tokenizer(std::move(spec));
}

TEST_F(GeneratorRowsOf, TokensMayEndWithinACharacter) {
  tokenizer_.emplace(byte_tokenizer());
  auto data = write_file(csv("中文 g,,\n中,,\n中 go,,\n"), {.eos = false}, {4});
  EXPECT_THAT(rows_of(data.train), ElementsAre(ElementsAre(0xE4, 0xB8, 0xAD, 0xE6), ElementsAre(0xE4, 0xB8, 0xAD),
                                               ElementsAre(0xE4, 0xB8, 0xAD, 256)));
  EXPECT_THAT(data.train.bytes(), ElementsAre(4, 3, 5));
  EXPECT_EQ(report_.cut, 2);

  data = write_file(csv("中文 g,,\n"), {.eos = false}, {4, LongTexts::divide});
  EXPECT_THAT(rows_of(data.train), ElementsAre(ElementsAre(0xE4, 0xB8, 0xAD), ElementsAre(0xE6, 0x96, 0x87, 256)));
  EXPECT_THAT(data.train.bytes(), ElementsAre(3, 5));
  data = write_file(pairs("a,文字,\n"), {.eos = false}, {5});
  EXPECT_THAT(data.train.bytes(), ElementsAre(4));
}

TEST_F(GeneratorRowsOf, PromptsAreNeverCut) {
  write_file(pairs("good good good,好,\ngood good,好,\n"), {}, {4});
  EXPECT_EQ(report_.train, 1);
  EXPECT_THAT(read("rejects.tsv"), HasSubstr("2\tprompt leaves no room for a completion\t"
                                             "4 tokens, max_length is 4: good good good"));
  EXPECT_THAT([&] { write_file(pairs("good good good,好,\n"), {}, {4}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("4 tokens, max_length is 4")));
}

TEST_F(GeneratorRowsOf, PromptsMayBeEmptyCompletionsNot) {
  auto data = write_file(pairs(",好,\n  ,坏,\ngood,,\nbad, \t,\n"));
  EXPECT_THAT(rows_of(data.train),
              ElementsAre(ElementsAre(begin_token, hao, end_token), ElementsAre(begin_token, huai, end_token)));
  EXPECT_THAT(data.train.second(), ElementsAre(1, 1));
  EXPECT_EQ(report_.counted, 4);
  EXPECT_THAT(rejects_.counts(), ElementsAre(Pair("completion is missing", 2)));

  tokenizer_.emplace(generator_tokenizer(false));
  data = write_file(pairs(",好,\n"));
  EXPECT_THAT(rows_of(data.train), ElementsAre(ElementsAre(hao, end_token)));
  EXPECT_THAT(data.train.second(), ElementsAre(0));
  EXPECT_EQ(report_.counted, 1);  // nothing predicts the first token
}

TEST_F(GeneratorRowsOf, RowsWithoutATokenToPredictAreRejected) {
  tokenizer_.emplace(generator_tokenizer(false));
  write_file(csv("good,,\ngood bad,,\n"), {.eos = false});
  EXPECT_THAT(rejects_.counts(), ElementsAre(Pair("text has no token to predict", 1)));
  write_file(pairs(",good,\ngood,bad,\n"), {.eos = false});
  EXPECT_THAT(rejects_.counts(), ElementsAre(Pair("completion has no token to predict", 1)));
  write_file(csv("\u0301,,\ngood,,\n"));  // an accent, which normalization removes
  EXPECT_THAT(rejects_.counts(), ElementsAre(Pair("text has no tokens", 1)));
  write_file(pairs("good,\u0301,\ngood,bad,\n"));
  EXPECT_THAT(rejects_.counts(), ElementsAre(Pair("completion has no tokens", 1)));
}

TEST_F(GeneratorRowsOf, PreferencesMustDiffer) {
  write_file(pairs("good,好,好\ngood,Bad,bad\ngood,bad bad 好,bad bad 坏\ngood,好,\ngood,好,坏\n"), {.rejected = "{c}"},
             {4});
  EXPECT_EQ(report_.train, 2);
  EXPECT_THAT(rejects_.counts(), UnorderedElementsAre(Pair("chosen and rejected texts are equal", 1),
                                                      Pair("chosen and rejected texts have the same tokens", 2),
                                                      Pair("rejected text is missing", 1)));
}

TEST_F(GeneratorRowsOf, BrokenTextsAreRejectedOthersAreKept) {
  const auto data = write_file(pairs("good,\xe5\xa5,\n\xff,好,\n混合 mixed 😀,好a坏,\n"));
  EXPECT_THAT(rejects_.counts(), UnorderedElementsAre(Pair("a is not UTF-8", 1), Pair("b is not UTF-8", 1)));
  EXPECT_THAT(data.train.bytes(), ElementsAre(7));
}

TEST_F(GeneratorRowsOf, NeedRoom) {
  EXPECT_THAT([&] { write_file(csv("good,,\n"), {}, {1}); },
              ThrowsMessage<std::invalid_argument>("max_length is 1, expected at least 2 for a text's first tokens"));
  EXPECT_EQ(write_file(csv("good,,\n"), {}, {2}).train.rows(), 1);
}

TEST_F(GeneratorRowsOf, WeightsOfColumnsAndTables) {
  auto config = csv("good,1,\nbad,0.25,\n好,,\n坏,-1,\ngood bad,nan,\nbad bad,1e300,\nbad 好,x,\n");
  auto data = write_file(config, {.weight = "b"});
  EXPECT_THAT(data.train.weights(), ElementsAre(1, 0.25f));
  EXPECT_THAT(rejects_.counts(), UnorderedElementsAre(Pair("weight is missing", 1), Pair("weight is negative", 1),
                                                      Pair("weight is not a number", 3)));

  config = csv("good,,\n");
  config.sources.push_back({.table = {.path = write("b.csv", "a\nbad\n好 坏 好 坏\n")}});
  config.sources[0].constants = {{"weight", "2"}};
  config.sources[1].constants = {{"weight", "0"}, {"b", "!"}};
  config.text = "{a}";
  data = write_file(config, {.weight = "weight"}, {3, LongTexts::divide});
  EXPECT_THAT(data.train.weights(), ElementsAre(2, 0, 0, 0, 0));  // all rows of a text have its weight
  EXPECT_THAT(write_file(csv("good,1,\nbad,1,\n"), {.weight = "b"}).train.weights(), IsEmpty());
  config = pairs("good,好,坏\n");
  config.sources[0].constants = {{"weight", "3"}};
  EXPECT_THAT(write_file(config, {.rejected = "{c}", .weight = "weight"}).train.weights(), ElementsAre(3, 3));
}

TEST_F(GeneratorRowsOf, AllWeightsZero) {
  EXPECT_THAT(
      [&] { write_file(csv("good,0,\nbad,0,\n"), {.weight = "b"}); },
      ThrowsMessage<std::invalid_argument>("the weights of all training rows are 0, expected at least one above 0"));
  expect_nothing_written();
}

TEST_F(GeneratorRowsOf, ConstantsReplaceColumns) {
  auto config = pairs("bad,好,\n");
  config.sources[0].constants = {{"a", "good"}, {"情感", "坏"}};
  config.text = "{a}{情感}";
  EXPECT_THAT(rows_of(write_file(config).train), ElementsAre(ElementsAre(begin_token, good, huai, hao, end_token)));
}

}  // namespace
}  // namespace sartor::text
