// A language model and a classifier from raw texts: vocabulary, tokenize, pretrain, classify.
#include <nlohmann/json.hpp>
#include <set>

#include "integration/trained_models.h"
#include "models/hf/text_input.h"
#include "storage/stored_texts.h"
#include "support/ranks.h"
#include "text/tokenizers/tokenizer_files.h"

namespace sartor::testing {
namespace {

using nlohmann::json;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class LanguageModel : public TrainedModels {
 protected:
  // Writes texts.tsv: 90 short reviews, each with a unique ideograph, and a row of invalid UTF-8.
  static constexpr int64_t rows = 90;
  static std::string own_character(int64_t row) {
    const auto code = static_cast<char32_t>(0x5000 + row);
    return {static_cast<char>(0xE0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 0x3F)),
            static_cast<char>(0x80 | (code & 0x3F))};
  }
  void write_texts() const {
    const std::vector<std::string> things = {"酒店", "手机", "book"}, good = {"很好😀", "喜欢！"},
                                   bad = {"太差", "失望"};
    std::string table = "text\tlabel\n";
    for (int64_t row = 0; row < rows; row++) {
      const auto& words = row % 2 ? good : bad;
      table += "这个" + things[row % 3] + words[row / 2 % 2] + own_character(row) + (row % 5 ? "" : "，" + words[0]) +
               "\t" + (row % 2 ? "好" : "坏") + "\n";
    }
    write("texts.tsv", table + "很好\xff\t好\n");
    std::filesystem::create_directories(path("词"));
  }

  static constexpr const char* data_config =
      "data:\n"
      "  sources: [{path: FOLDER/texts.tsv, quote: ''}]\n"
      "  label: {column: label}\n"
      "split: {test: 0.2, validation: 0.2}\n";
  static std::string vocabulary_config() {
    return std::string("task: vocabulary\n") + data_config + "output: FOLDER/词/tokenizer/\n";
  }
  static std::string tokenize_config() {
    return std::string("task: tokenize\n") + data_config +
           "tokenizer: FOLDER/词/tokenizer\nmax_length: 20\noutput: FOLDER/texts.h5\n";
  }
  static constexpr const char* shape =
      "{hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 24, "
      "max_position_embeddings: 20}";
  static std::string pretrain_config(const std::string& run, const std::string& training = "max_steps: 8") {
    return fmt::format(
        "task: pretrain\ndevice: cpu\nthreads: 1\ndata: {{path: FOLDER/texts.h5}}\n"
        "model: {{tokenizer: FOLDER/词/tokenizer, shape: {}}}\n"
        "training: {{logging_steps: 1, learning_rate: 0.01, {}}}\noutput: FOLDER/{}\n",
        shape, training, run);
  }
  void make_texts() {
    write_texts();
    expect_done(train(vocabulary_config()));
    expect_done(train(tokenize_config()));
  }
};

TEST_F(LanguageModel, TheVocabularyIsOfTrainingRows) {
  make_texts();
  std::set<std::string> known, seen;
  for (const auto& token : text::read_tokenizer(path("词/tokenizer")).vocabulary) known.insert(token.text);
  const auto data = datasets::open_texts(path("texts.h5"));
  EXPECT_EQ(data.train.rows(), 54);
  EXPECT_THAT(read("词/tokenizer.rejects.tsv"), HasSubstr("\t92\t"));
  const auto training = data.train.sources();
  for (const auto row : training) seen.insert(own_character(row - 2));
  for (int64_t row = 0; row < rows; row++) {
    EXPECT_EQ(known.contains(own_character(row)), seen.contains(own_character(row))) << row;
  }
  for (const char* token : {"酒", "！", "😀", "book", "[MASK]"}) EXPECT_TRUE(known.contains(token)) << token;
  EXPECT_EQ(json::parse(read("词/tokenizer/tokenizer_config.json"))["model_max_length"], 512);
}

TEST_F(LanguageModel, VocabularyOptionsCount) {
  write_texts();
  const auto tokens = [&](const std::string& more) {
    expect_done(train(vocabulary_config() + more, {"--overwrite"}));
    std::set<std::string> found;
    for (const auto& token : text::read_tokenizer(path("词/tokenizer")).vocabulary) found.insert(token.text);
    return found;
  };
  const auto few = tokens("limit_alphabet: 9\nvocab_size: 5\n");
  EXPECT_EQ(std::ranges::count_if(few, [](const auto& token) { return !token.starts_with("##"); }), 5 + 9);
  EXPECT_TRUE(tokens("normalizer: {handle_chinese_chars: false}\n").contains("##酒店"));
  EXPECT_FALSE(tokens("min_frequency: 1000\n").contains("book"));
  EXPECT_TRUE(tokens("").contains("book"));
  EXPECT_TRUE(std::filesystem::exists(path("词/tokenizer.3")));  // earlier ones were renamed
  expect_done(train(tokenize_config()));
}

TEST_F(LanguageModel, ATemperatureOfFewRowsIsWarnedOf) {
  make_texts();
  const std::string classify =
      "task: classify\ndevice: cpu\nthreads: 1\ndata: {path: FOLDER/texts.h5}\nmodel: {path: FOLDER/run/model}\n"
      "training: {max_steps: 3, learning_rate: 0.003, per_device_batch_size: 8}\nbootstrap_draws: 0\noutput: "
      "FOLDER/few\n";
  expect_done(train(pretrain_config("run")));
  const auto few = train(classify);
  expect_done(few);
  EXPECT_THAT(few.err, ContainsRegex("temperature [0-9.]+ fitted on 18 validation rows"));
  EXPECT_THAT(few.err,
              HasSubstr("18 validation rows are too few to fit a temperature reliably, 50 or more are recommended"));
  expect_done(train(tokenize_config(), {"--overwrite", "--set", "split.test=0", "--set", "split.validation=0.6"}));
  const auto enough = train(classify, {"--overwrite"});
  expect_done(enough);
  EXPECT_THAT(enough.err, ContainsRegex("temperature [0-9.]+ fitted on 54 validation rows"));
  EXPECT_THAT(enough.err, Not(HasSubstr("are too few")));
}

TEST_F(LanguageModel, LearnsAndIsFineTuned) {
  make_texts();
  expect_done(train(pretrain_config("run", "num_train_epochs: 15, per_device_batch_size: 8")));
  const auto losses = logged("run", "validation", "loss"), perplexities = logged("run", "validation", "perplexity");
  ASSERT_EQ(losses.size(), 15);
  EXPECT_LT(losses.back(), losses.front() - 1);
  EXPECT_NEAR(perplexities.back(), std::exp(losses.back()), 1e-6 * perplexities.back());
  EXPECT_GT(logged("run", "validation", "accuracy").back(), 0.4);
  const auto results = json::parse(read("run/results.json"));
  EXPECT_EQ(results["validation"]["loss"], losses.back());
  EXPECT_FALSE(results.contains("test"));
  EXPECT_EQ(json::parse(read("run/model/config.json"))["architectures"][0], "BertForMaskedLM");

  const auto classified = train(
      "task: classify\ndevice: cpu\nthreads: 1\ndata: {path: FOLDER/texts.h5}\nmodel: {path: FOLDER/run/model}\n"
      "training: {num_train_epochs: 15, learning_rate: 0.003, per_device_batch_size: 8}\noutput: FOLDER/classifier\n");
  expect_done(classified);
  EXPECT_THAT(classified.err,
              ContainsRegex("weights not loaded from .* but initialized randomly: .*classifier.weight"));
  EXPECT_THAT(classified.err, Not(HasSubstr("encoder")));
  for (const char* model : {"run/model", "classifier/model"}) {
    const auto input = hf::read_text_input(path(model));
    ASSERT_TRUE(input) << model;
    EXPECT_EQ(input->text, "{text}");
    EXPECT_EQ(input->pair, std::nullopt);
    EXPECT_EQ(input->max_length, 20);
  }
  EXPECT_GT(json::parse(read("classifier/results.json"))["test"]["accuracy"], 0.9);

  const auto on = train(
      "task: pretrain\ndevice: cpu\nthreads: 1\ndata: {path: FOLDER/texts.h5}\n"
      "model: {path: FOLDER/run/model}\ntraining: {max_steps: 1, learning_rate: 0}\noutput: FOLDER/on\n");
  expect_done(on);
  EXPECT_EQ(weights("on"), weights("run"));
}

TEST_F(LanguageModel, AccumulationRanksAndRecomputationChangeNothing) {
  make_texts();
  const std::string no_dropout = "model.hidden_dropout_prob=0", none = "model.attention_probs_dropout_prob=0";
  const std::vector<std::string> settings = {"--set", no_dropout, "--set", none};
  expect_done(train(pretrain_config("large", "max_steps: 8, per_device_batch_size: 16"), settings));
  expect_done(train(pretrain_config("small", "max_steps: 8, per_device_batch_size: 4, gradient_accumulation_steps: 4"),
                    settings));
  expect_near("small", "large", 1e-5);
  expect_done(train(pretrain_config("again", "max_steps: 8, per_device_batch_size: 16, gradient_checkpointing: true"),
                    settings));
  EXPECT_EQ(weights("again"), weights("large"));
  auto two = command("sartor-train", pretrain_config("two", "max_steps: 8, per_device_batch_size: 8"), settings);
  for (const auto& rank : on_ranks(2, two)) expect_done(rank);
  expect_near("two", "large", 1e-5);
  const auto one = logged("large", "validation", "loss"), shared = logged("two", "validation", "loss");
  ASSERT_EQ(one.size(), shared.size());
  for (size_t i = 0; i < one.size(); i++) EXPECT_NEAR(one[i], shared[i], 1e-5);
}

TEST_F(LanguageModel, KilledAndResumedEqualsUninterrupted) {
  make_texts();
  const std::string training = "max_steps: 9, per_device_batch_size: 8",
                    checkpoint = "checkpoint: {every: 2, keep: 1}\n";
  expect_done(train(pretrain_config("whole", training) + checkpoint));
  const auto words = command("sartor-train", pretrain_config("killed", training) + checkpoint);
  const int64_t calls = count_calls(words, folder_);
  std::filesystem::remove_all(path("killed"));
  for (const int64_t call : {calls / 4, calls / 3}) {
    auto again = words;
    if (std::filesystem::exists(path("killed"))) again.push_back("--resume");
    EXPECT_EQ(run_with_fault(again, folder_, call, Fault::kill_before).status, 137);
  }
  auto again = words;
  again.push_back("--resume");
  expect_done(run_command(again));
  EXPECT_EQ(weights("killed"), weights("whole"));
  EXPECT_EQ(logged("killed", "train", "loss"), logged("whole", "train", "loss"));
  EXPECT_EQ(logged("killed", "validation", "loss"), logged("whole", "validation", "loss"));
}

}  // namespace
}  // namespace sartor::testing
