// Steps of classifiers and masked language models on the meta device.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/bert_folders.h"
#include "support/device_steps.h"
#include "support/folder_test.h"
#include "support/tokenize.h"
#include "tasks/texts/classifier_learner.h"
#include "tasks/texts/masked_lm_learner.h"
#include "text/tokenizers/tokenizer_files.h"
#include "text/write_texts.h"

namespace sartor {
namespace {

class TextSteps : public testing::WorkingFolderTest {
 protected:
  void SetUp() override {
    set_threads(1);
    testing::write_bert_folder("model", testing::small_bert());
    std::string rows = "text,label,value\n";
    for (int i = 0; i < 40; i++) {
      rows += (i % 3 ? "很好 good" : "不好的 bad not a") + std::string(i % 5, 'a') + (i % 2 ? ",正面," : ",负面,");
      rows += std::to_string(i) + "\n";
    }
    write("a.csv", rows);
    tokenize("single.h5", text::LabelKind::single_label, "label");
    tokenize("multi.h5", text::LabelKind::multi_label, "label");
    tokenize("regression.h5", text::LabelKind::regression, "value");
  }

  static void tokenize(const std::string& path, text::LabelKind kind, const std::string& column) {
    testing::tokenize(path, text::read_tokenizer("model"),
                      {.sources = {{.table = {.path = "a.csv"}}}, .label = {.kind = kind, .column = column}});
  }

  template <class Trained, class Config> void expect_steps(const std::string& name, const Config& config) {
    const auto data = datasets::open_texts(config.data.path);
    testing::expect_no_waiting<Trained>(name, config.training, [&](int64_t losses, const Transfer& transfer) {
      return std::make_unique<testing::SomeSteps<Trained>>(losses, config, data, alone_, transfer);
    });
  }

  static ClassifierTrainingConfig classifier(const std::string& data) {
    ClassifierTrainingConfig config;
    config.data.path = data;
    config.model.path = "model";
    config.model.dropout = config.model.classifier_dropout = 0.1;
    return config;
  }

  ProcessGroup alone_{{}, /*gpu=*/false, std::chrono::seconds(1)};
};

TEST_F(TextSteps, OfClassifiersWaitForNothing) {
  for (const char* data : {"single.h5", "multi.h5", "regression.h5"}) {
    for (const auto precision : {transformer::Precision::fp32, transformer::Precision::bf16}) {
      auto config = classifier(data);
      config.precision = precision;
      expect_steps<ClassifierLearner>("classifier of " + std::string(data), config);
    }
  }
}

TEST_F(TextSteps, OfClassifiersWithEveryOptionWaitForNothing) {
  auto config = classifier("single.h5");
  config.model.r_drop = 1;
  config.model.label_smoothing_factor = 0.1;
  config.model.class_weights = {0.5, 2};
  config.model.layer_decay = 0.9;
  expect_steps<ClassifierLearner>("classifier with R-Drop", config);
  auto adapted = classifier("single.h5");
  adapted.model.lora = bert::LoraConfig{};
  expect_steps<ClassifierLearner>("classifier with adapters", adapted);
}

TEST_F(TextSteps, OfMaskedLanguageModelsWaitForNothing) {
  for (const auto precision : {transformer::Precision::fp32, transformer::Precision::bf16}) {
    PretrainConfig config;
    config.data.path = "single.h5";
    config.model.path = "model";
    config.precision = precision;
    expect_steps<MaskedLmLearner>("masked language model", config);
  }
}

}  // namespace
}  // namespace sartor
