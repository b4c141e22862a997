#include "text/tokenizers/trainers/byte_bpe_trainer.h"

#include <chrono>
#include <sstream>

#include "datasets/text_support.h"
#include "support/folder_test.h"

namespace sartor::text {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

struct Trained {
  std::vector<std::string> tokens, merges;
  bool operator==(const Trained&) const = default;
};

Trained trained(const TokenizerSpec& spec) {
  Trained found;
  for (const auto& [text, id] : spec.vocabulary) found.tokens.push_back(text);
  for (const auto& [left, right] : std::get<ByteBpe>(spec.model).merges) found.merges.push_back(left + " " + right);
  return found;
}

Trained expected(const json& golden) { return {golden["tokens"], golden["merges"]}; }

ByteBpeTrainerOptions options_of(const json& golden) {
  return {
      .vocabulary_size = golden["vocabulary_size"],
      .min_frequency = golden["min_frequency"],
      .special_tokens = golden["special"],
      .pattern = value_of<SplitPattern>(golden["pattern"].get<std::string>()),
      .add_prefix_space = golden["prefix_space"],
      .max_token_length = golden["max_length"].is_null() ? std::nullopt : std::optional<int64_t>(golden["max_length"])};
}

// The lines of a file; with `field`, that tab-separated field of each line that has it.
std::vector<std::string> lines(const std::filesystem::path& path, std::optional<size_t> field = std::nullopt) {
  std::vector<std::string> found(1);
  for (const char c : contents(path)) c == '\n' ? void(found.emplace_back()) : found.back().push_back(c);
  if (!field) return found;
  std::vector<std::string> fields;
  for (const auto& line : found) {
    std::istringstream rest(line + "\t");
    std::string value;
    for (size_t i = 0; i <= *field && std::getline(rest, value, '\t'); i++)
      if (i == *field) fields.push_back(value);
  }
  return fields;
}

std::vector<std::string> corpus(const std::string& name) {
  const bool chinese = name == "reviews-zh";
  const auto field = chinese ? std::nullopt : std::optional<size_t>(2);
  std::vector<std::string> texts;
  for (const char* file : {chinese ? "pos.txt" : "amazonReviewSnippets_GroundTruth.txt",
                           chinese ? "neg.txt" : "movieReviewSnippets_GroundTruth.txt"}) {
    const auto more = lines(public_data / name / file, field);
    texts.insert(texts.end(), more.begin(), more.end());
  }
  return texts;
}

TEST(ByteBpeTrainer, FindsTheTokensAndMergesOfTheReference) {
  for (const json& golden : golden_json("byte_bpe_trainer.json")["cases"]) {
    ByteBpeTrainer trainer(options_of(golden));
    for (const auto& [word, count] : golden["words"].items()) {
      for (int i = 0; i < count.get<int>(); i++) trainer.add(word);
    }
    EXPECT_EQ(trained(trainer.train()), expected(golden)) << golden;
  }
}

class ByteBpeTrainerCorpora : public ::testing::TestWithParam<size_t> {};
TEST_P(ByteBpeTrainerCorpora, GiveWhatTheReferenceFinds) {
  const json golden = golden_json("byte_bpe_trainer.json")["corpora"][GetParam()];
  const std::string name = golden["corpus"];
  if (!std::filesystem::exists(public_data / name)) GTEST_SKIP() << "scripts/fetch_data.py " << name << " has not run";
  ByteBpeTrainer trainer({.vocabulary_size = golden["vocabulary_size"],
                          .pattern = value_of<SplitPattern>(golden["pattern"].get<std::string>())});
  const auto texts = corpus(name);
  const auto begun = std::chrono::steady_clock::now();
  for (const auto& text : texts) trainer.add(text);
  const auto found = trained(trainer.train());
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begun;
  RecordProperty("seconds", std::to_string(seconds.count()));
  std::string all;
  for (const auto& line : found.tokens) all += line + "\n";
  for (const auto& line : found.merges) all += line + "\n";
  EXPECT_EQ(datasets::sha256(all), golden["sha256"]);
}
INSTANTIATE_TEST_SUITE_P(All, ByteBpeTrainerCorpora, ::testing::Range<size_t>(0, 5));

TEST(ByteBpeTrainer, DoesNotMindTheOrderOfTexts) {
  const std::vector<std::string> texts = {"low lower lowest", "new newer newest", "wide wider widest", "中文 分词",
                                          "很好很好"};
  ByteBpeTrainer forward({.min_frequency = 1}), backward({.min_frequency = 1});
  for (const auto& text : texts) forward.add(text);
  for (size_t i = texts.size(); i-- > 0;) backward.add(texts[i]);
  EXPECT_EQ(trained(forward.train()), trained(backward.train()));
}

TEST(ByteBpeTrainer, TakesAnyBytes) {
  ByteBpeTrainer broken({.min_frequency = 1}), replaced({.min_frequency = 1});
  broken.add("质量\xe8\xb4 很好\xff\xff!");
  replaced.add("质量\uFFFD 很好\uFFFD\uFFFD!");
  for (auto* trainer : {&broken, &replaced}) trainer->add("");
  EXPECT_EQ(trained(broken.train()), trained(replaced.train()));
}

TEST(ByteBpeTrainer, MakesATokenizerThatLosesNothing) {
  ByteBpeTrainer trainer({.vocabulary_size = 300, .special_tokens = {"<|endoftext|>", "<|im_end|>"}});
  for (int i = 0; i < 3; i++) trainer.add("质量很好 very good");
  const Tokenizer tokenizer(trainer.train());
  for (const std::string text : {"质量不好", "naïve 😀\n\tx", " very good", "a<|im_end|>b<|endoftext|>"}) {
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text).ids, false), text);
  }
  EXPECT_EQ(tokenizer.encode("<|endoftext|> good<|im_end|>").ids.front(), 0);
  EXPECT_THAT(tokenizer.encode("质量很好").ids, ElementsAre(*tokenizer.id_of("è´¨éĩıå¾Īå¥½")));
}

// A word of 300,000 different stretches: quadratic time in its length would take hours.
TEST(ByteBpeTrainer, IsFastWithLongWords) {
  Random random(5);
  std::string word;
  for (int i = 0; i < 300'000; i++) word += static_cast<char>('a' + random.below(26));
  ByteBpeTrainer trainer({.vocabulary_size = 1500, .pattern = SplitPattern::none});
  trainer.add(word);
  trainer.add(std::string(300'000, 'x'));
  EXPECT_EQ(trainer.train().vocabulary.size(), 1500);
}

TEST(ByteBpeTrainer, RefusesWhatIsOutOfRange) {
  const auto refused = [](const ByteBpeTrainerOptions& options, const char* message) {
    EXPECT_THAT([&] { ByteBpeTrainer made(options); }, ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  };
  refused({.vocabulary_size = 0}, "vocabulary_size is 0");
  refused({.min_frequency = 0}, "min_frequency is 0");
  refused({.special_tokens = {"a", ""}}, "special_tokens contain an empty token");
  refused({.special_tokens = {"a\xff"}}, "special_tokens contain invalid UTF-8");
  refused({.pattern = SplitPattern::qwen2, .add_prefix_space = true}, "only possible with the patterns gpt2 and none");
  refused({.max_token_length = 0}, "max_token_length is 0, expected 1 or more");
  ByteBpeTrainer empty({});
  empty.add("");
  EXPECT_THAT([&] { empty.train(); }, ThrowsMessage<std::invalid_argument>(HasSubstr("no words")));
}

class TrainedFolder : public testing::FolderTest {};
TEST_F(TrainedFolder, NamesItsSpecialTokens) {
  ByteBpeTrainer trainer({.pattern = SplitPattern::qwen2});
  trainer.add("很好 很好 good good");
  const TokenizerSpec spec = trainer.train();
  write_tokenizer(folder_, spec, 64, "", {{"eos_token", "<|endoftext|>"}, {"pad_token", "<|endoftext|>"}});
  EXPECT_THAT(files(), ElementsAre("merges.txt", "tokenizer.json", "tokenizer_config.json", "vocab.json"));
  const json config = json::parse(read("tokenizer_config.json"));
  EXPECT_EQ(config["eos_token"], "<|endoftext|>");
  EXPECT_EQ(config["pad_token"], "<|endoftext|>");
  EXPECT_EQ(config["model_max_length"], 64);
  EXPECT_EQ(hash_of(read_tokenizer(folder_)), hash_of(spec));
}

}  // namespace
}  // namespace sartor::text
