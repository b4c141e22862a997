// R-Drop as a classifier learns by it.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "models/bert/folder.h"
#include "support/bert_folders.h"
#include "support/folder_test.h"
#include "tasks/classifier_learner.h"
#include "tasks/sources.h"
#include "text/tokenizer.h"
#include "text/tokenizer_files.h"
#include "text/write_texts.h"

namespace sartor {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class ClassifierLearning : public testing::WorkingFolderTest {
 protected:
  void SetUp() override {
    testing::write_bert_folder("model", testing::small_bert());
    write("a.csv", "text,label\n很好,正面\n不好的,负面\ngood 好 good,正面\n坏,负面\n");
    tokenize("texts.h5", datasets::LabelKind::single_label);
    tokenize("several.h5", datasets::LabelKind::multi_label);
  }

  static void tokenize(const std::string& path, datasets::LabelKind kind) {
    const auto spec = text::read_tokenizer("model");
    const datasets::TextConfig config = {.sources = {{.table = {.path = "a.csv"}}},
                                         .label = {.kind = kind, .column = "label"}};
    datasets::Rejects rejects;
    datasets::TextSource source(config, rejects);
    const auto describe = [](const datasets::TextReport&) { return datasets::Provenance{"{}", "hash"}; };
    write_texts(path, source, config, text::Tokenizer(spec), {16}, datasets::TextDuplicates::keep,
                {.test = 0, .validation = 0}, {hash_of(spec), describe});
  }

  static ClassifyConfig config(double dropout, double r_drop) {
    ClassifyConfig config;
    config.data.path = "texts.h5";
    config.model.path = "model";
    config.model.dropout = config.model.classifier_dropout = dropout;
    config.model.r_drop = r_drop;
    return config;
  }

  const std::vector<int64_t> rows_ = {0, 1, 2, 3};
  ProcessGroup alone_{{}, /*gpu=*/false, std::chrono::seconds(1)};
};

TEST_F(ClassifierLearning, RDropAddsWhatTwoDrawsOfDropoutDifferBy) {
  const auto data = datasets::open_texts("texts.h5");
  const auto with = config(0.3, 2), without = config(0.3, 0);
  ClassifierLearner learner(with, data, alone_, -1), plain(without, data, alone_, -1);
  const std::vector<int64_t> twice = {0, 1, 2, 3, 0, 1, 2, 3};
  at::manual_seed(7);
  const double both = plain.loss(twice).item<double>();
  at::manual_seed(7);
  const double found = learner.loss(rows_).item<double>();

  auto shape = bert::read_config("model");
  shape.hidden_dropout_prob = shape.attention_probs_dropout_prob = 0.3;
  shape.classifier_dropout = 0.3;
  auto model = bert::load_bert("model", shape, bert::Head::classification, at::kCPU).model;
  model.train(true);
  std::vector<std::vector<int32_t>> ids;
  for (const auto row : twice) ids.push_back(data.train.ids(row));
  at::manual_seed(7);
  const auto answers = model.classify(bert::pack(shape, ids)).chunk(2);
  const double apart = bert::disagreement(answers[0], answers[1]).item<double>();
  EXPECT_GT(apart, 0);
  EXPECT_NEAR(found, both / 2 + 2 * apart, 1e-5);
  EXPECT_EQ(learner.labels(rows_), 4);
  EXPECT_EQ(learner.flops(rows_), 2 * plain.flops(rows_));
}

TEST_F(ClassifierLearning, RDropChangesNothingWithoutDropout) {
  const auto data = datasets::open_texts("texts.h5");
  const auto with = config(0, 2), without = config(0, 0);
  ClassifierLearner learner(with, data, alone_, -1), plain(without, data, alone_, -1);
  const auto learnt = learner.parameters(), expected = plain.parameters();
  const auto found = learner.loss(rows_), loss = plain.loss(rows_);
  EXPECT_NEAR(found.item<double>(), loss.item<double>(), 1e-5);
  found.backward();
  loss.backward();
  for (size_t i = 0; i < learnt.size(); i++) {
    EXPECT_TRUE(at::allclose(learnt[i].tensor.grad(), expected[i].tensor.grad(), 1e-4, 1e-6)) << learnt[i].name;
  }
}

TEST_F(ClassifierLearning, RDropIsForASingleLabel) {
  const auto data = datasets::open_texts("several.h5");
  auto several = config(0.1, 1);
  several.data.path = "several.h5";
  EXPECT_THAT(
      [&] { ClassifierLearner(several, data, alone_, -1); },
      ThrowsMessage<std::invalid_argument>(HasSubstr("model.r_drop are for single_label, several.h5 is multi")));
}

}  // namespace
}  // namespace sartor
