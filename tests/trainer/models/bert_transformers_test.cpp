// Saved models and tokenizers can be opened by transformers and give the same results. Requires the transformers
// installation of scripts/test.sh. Can also be run for folders of runs:
//   SARTOR_MODEL_FOLDERS=runs/reviews-en/model:runs/other/model ctest --preset release -R Transformers
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "models/bert/folder.h"
#include "support/bert_folders.h"
#include "support/faults/faults.h"
#include "support/folder_test.h"
#include "support/paths.h"
#include "text/tokenizers/tokenizer.h"
#include "trainer/models/bert_support.h"

namespace sartor::bert {
namespace {

using namespace testing;

class Transformers : public sartor::testing::FolderTest {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(library)) GTEST_SKIP() << library << " is missing: run scripts/setup.sh tests";
    for (const char* text :
         {"good", "Not good, VERY bad!", "", " ", "很好。不坏！", "good的很bad", "a\tb\nc", "[SEP] good [MASK]",
          "ǺÉ naïve ﬁ", "😀", "👩‍👩‍👧‍👦 very 👍🏽 好", "好\xff坏", "\xe5\xa5",
          "a\xed\xa0\xbd\xed\xb8\x80z", "\xf0\x9f\x98 bad",
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
      texts_.emplace_back(text);
    }
    std::string longer;
    for (int i = 0; i < 300; i++) longer += i % 3 ? "good 很 " : "not";
    texts_.push_back(longer);
  }
  // Texts of published corpora, if available.
  void add_reviews() {
    for (const auto* file : {"reviews-en/amazonReviewSnippets_GroundTruth.txt", "reviews-zh/neg.txt"}) {
      std::ifstream lines(sartor::testing::source_path(std::string("data/") + file));
      int64_t number = 0;
      for (std::string line; std::getline(lines, line);) {
        if (number++ % 50 == 0) texts_.push_back(line.substr(line.rfind('\t') + 1));
      }
    }
  }

  void expect_the_same_model(const std::filesystem::path& folder) {
    SCOPED_TRACE(folder.string());
    std::string bytes;
    for (const auto& text : texts_) bytes += text + '\0';
    const auto asked = run_command({sartor::testing::venv_program("python"),
                                    sartor::testing::source_path("tests/trainer/models/ask_transformers.py"), folder,
                                    write("texts", bytes), path("answer.json")},
                                   {"PYTHONPATH=" + library});
    ASSERT_EQ(asked.status, 0) << asked.err;
    const auto answer = nlohmann::json::parse(read("answer.json"));
    const auto& rows = answer["rows"];
    ASSERT_EQ(rows.size(), texts_.size());

    const c10::NoGradGuard no_gradients;
    const auto loaded = load_bert(folder, Head::classification);
    EXPECT_THAT(loaded.missing, ::testing::IsEmpty());
    const auto& config = loaded.model.config();
    EXPECT_EQ(answer["labels"].get<std::vector<std::string>>(), config.labels);
    const text::Tokenizer tokenizer(text::read_tokenizer(folder));
    const text::EncodeOptions options = {.truncation = text::Truncation{.max_length = config.longest_sequence()}};
    double most = 0;
    for (size_t i = 0; i < texts_.size(); i++) {
      const auto encoded = tokenizer.encode(texts_[i], options);
      EXPECT_EQ(encoded.ids, rows[i]["ids"].get<std::vector<int32_t>>()) << texts_[i];
      const auto logits = loaded.model.classify(transformer::pack(input_spec(config), Rows{encoded.ids}));
      const auto theirs = tensor(rows[i]["logits"], logits.sizes());
      const double difference = largest_difference(logits, theirs);
      EXPECT_LT(difference, 1e-5) << texts_[i];
      most = std::max(most, difference);
    }
    fmt::print("{}: {} texts, logits differ by at most {:.1e}\n", folder.string(), texts_.size(), most);
  }

  const std::string library = sartor::testing::source_path("build/transformers");
  std::vector<std::string> texts_;
};

TEST_F(Transformers, OpensAClassifierOfEachFamily) {
  for (const char* family : {"bert", "distilbert", "electra"}) {
    auto config = sartor::testing::small_bert({"坏", "okay", "好"});
    config.model_type = family;
    if (config.family().defaults.embedding_size) config.embedding_size = 16;
    const auto made = path(family), written = path(std::string(family) + "-written");
    sartor::testing::write_bert_folder(made, config);
    const auto model = load_bert(made, Head::classification).model;
    std::filesystem::create_directory(written);
    save_bert(model, written);
    text::write_tokenizer(written, text::read_tokenizer(made), model.config().longest_sequence(),
                          model.config().family().tokenizer_class);
    expect_the_same_model(written);
  }
}

TEST_F(Transformers, OpensMergedAdapters) {
  sartor::testing::write_bert_folder(path("made"), sartor::testing::small_bert());
  auto model = load_bert(path("made"), Head::classification).model;
  model.add_adapters({.rank = 3, .alpha = 5, .modules = {"query", "dense"}});
  for (const auto& adapter : model.adapters()) set_by_formula(adapter, 0.3);
  std::filesystem::create_directory(path("written"));
  save_bert(model, path("written"));
  text::write_tokenizer(path("written"), text::read_tokenizer(path("made")), model.config().longest_sequence());
  expect_the_same_model(path("written"));
}

TEST_F(Transformers, OpensTheFoldersOfRuns) {
  const char* folders = std::getenv("SARTOR_MODEL_FOLDERS");
  if (!folders) GTEST_SKIP() << "SARTOR_MODEL_FOLDERS is not set";
  add_reviews();
  std::istringstream names(folders);
  for (std::string name; std::getline(names, name, ':');) {
    expect_the_same_model(sartor::testing::source_path(name));
  }
}

}  // namespace
}  // namespace sartor::bert
