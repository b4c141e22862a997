#include "text/tokenizers/trainers/wordpiece_trainer.h"

#include "datasets/text_support.h"

namespace sartor::text {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::vector<std::string> texts_of(const TokenizerSpec& spec) {
  std::vector<std::string> texts;
  for (const auto& [text, id] : spec.vocabulary) texts.push_back(text);
  return texts;
}

TEST(WordPieceTrainer, FindsWhatTheReferenceFinds) {
  const json golden = golden_json("trainer.json");
  for (const json& each : golden["cases"]) {
    WordPieceTrainer trainer({.vocabulary_size = each["vocabulary_size"],
                              .min_frequency = each["min_frequency"],
                              .limit_alphabet = each["limit_alphabet"]});
    for (const auto& [word, count] : golden["words"].items()) {
      for (int i = 0; i < count.get<int>(); i++) trainer.add(word);
    }
    auto found = texts_of(trainer.train());
    std::ranges::sort(found);
    EXPECT_EQ(json(found), each["vocabulary"]);
  }
}

TEST(WordPieceTrainer, MakesAChineseVocabularyOfCharacters) {
  WordPieceTrainer trainer({.min_frequency = 2});
  trainer.add("质量很好，很喜欢！iphone");
  trainer.add("质量不好 IPHONE\xff");
  const TokenizerSpec spec = trainer.train();
  const Tokenizer tokenizer(spec);
  EXPECT_THAT(texts_of(spec), ::testing::IsSupersetOf({"质", "量", "很", "好", "，", "！", "iphone"}));
  for (const auto& text : texts_of(spec)) EXPECT_FALSE(text.starts_with("##质")) << text;
  const auto encoded = tokenizer.encode("很好iphone");
  EXPECT_EQ(tokenizer.decode(encoded.ids), "很 好 iphone");
  EXPECT_EQ(encoded.ids.front(), 2);
  EXPECT_EQ(encoded.ids.back(), 3);
}

TEST(WordPieceTrainer, DoesNotMindTheOrderOfTexts) {
  const std::vector<std::string> texts = {"low lower lowest", "new newer newest", "wide wider widest", "中文 分词"};
  WordPieceTrainer forward({.min_frequency = 1}), backward({.min_frequency = 1});
  for (const auto& text : texts) forward.add(text);
  for (size_t i = texts.size(); i-- > 0;) backward.add(texts[i]);
  EXPECT_EQ(texts_of(forward.train()), texts_of(backward.train()));
}

TEST(WordPieceTrainer, StopsAtItsSize) {
  WordPieceTrainer trainer({.vocabulary_size = 13, .min_frequency = 1});
  trainer.add("abc abc abd");
  EXPECT_THAT(texts_of(trainer.train()),
              ElementsAre("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "d", "##b", "##c", "##d", "ab"));
}

TEST(WordPieceTrainer, RefusesWhatIsOutOfRange) {
  const auto refused = [](const WordPieceTrainerOptions& options, const char* message) {
    EXPECT_THAT([&] { WordPieceTrainer made(options); }, ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  };
  refused({.vocabulary_size = 0}, "vocabulary_size is 0");
  refused({.min_frequency = 0}, "min_frequency is 0");
  refused({.limit_alphabet = -1}, "limit_alphabet is -1");
  refused({.special_tokens = {"[UNK]", "[CLS]"}}, "special_tokens have [SEP] 0 times");
  WordPieceTrainer empty({});
  empty.add(" \t");
  EXPECT_THAT([&] { empty.train(); }, ThrowsMessage<std::invalid_argument>(HasSubstr("no word")));
}

}  // namespace
}  // namespace sartor::text
