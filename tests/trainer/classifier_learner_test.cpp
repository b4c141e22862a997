// R-Drop, and the initialization of a classifier's head.
#include <ATen/ATen.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include "models/bert/folder.h"
#include "support/bert_folders.h"
#include "support/folder_test.h"
#include "support/learner_rows.h"
#include "support/tokenize.h"
#include "tasks/texts/classifier_learner.h"
#include "text/tokenizers/tokenizer_files.h"
#include "text/write_texts.h"

namespace sartor {
namespace {

using ::testing::HasSubstr;
using testing::labels_of;
using testing::loss_of;
using ::testing::ThrowsMessage;

class ClassifierLearning : public testing::WorkingFolderTest {
 protected:
  void SetUp() override {
    testing::write_bert_folder("model", testing::small_bert());
    write("a.csv", "text,label\n很好,正面\n不好的,负面\ngood 好 good,正面\n坏,负面\n");
    tokenize("texts.h5", text::LabelKind::single_label);
    tokenize("several.h5", text::LabelKind::multi_label);
  }

  static void tokenize(const std::string& path, text::LabelKind kind) {
    testing::tokenize(path, text::read_tokenizer("model"),
                      {.sources = {{.table = {.path = "a.csv"}}}, .label = {.kind = kind, .column = "label"}});
  }

  static ClassifierTrainingConfig config(double dropout, double r_drop) {
    ClassifierTrainingConfig config;
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
  ClassifierLearner learner(with, data, alone_, Transfer(at::kCPU)), plain(without, data, alone_, Transfer(at::kCPU));
  const std::vector<int64_t> twice = {0, 1, 2, 3, 0, 1, 2, 3};
  at::manual_seed(7);
  const double both = loss_of(plain, twice).item<double>();
  at::manual_seed(7);
  const double found = loss_of(learner, rows_).item<double>();

  auto shape = bert::read_config("model");
  shape.hidden_dropout_prob = shape.attention_probs_dropout_prob = 0.3;
  shape.classifier_dropout = 0.3;
  auto model = bert::load_bert("model", shape, bert::Head::classification, at::kCPU).model;
  model.train(true);
  std::vector<std::vector<int32_t>> ids;
  for (const auto row : twice) ids.push_back(data.train.ids(row));
  at::manual_seed(7);
  const auto answers = model.classify(transformer::pack(input_spec(shape), ids)).chunk(2);
  const double apart = transformer::disagreement(answers[0], answers[1]).item<double>();
  EXPECT_GT(apart, 0);
  EXPECT_NEAR(found, both / 2 + 2 * apart, 1e-5);
  EXPECT_EQ(labels_of(learner, rows_), 4);
  EXPECT_EQ(learner.flops(rows_), 2 * plain.flops(rows_));
}

TEST_F(ClassifierLearning, RDropChangesNothingWithoutDropout) {
  const auto data = datasets::open_texts("texts.h5");
  const auto with = config(0, 2), without = config(0, 0);
  ClassifierLearner learner(with, data, alone_, Transfer(at::kCPU)), plain(without, data, alone_, Transfer(at::kCPU));
  const auto learned = learner.parameters(), expected = plain.parameters();
  const auto found = loss_of(learner, rows_), loss = loss_of(plain, rows_);
  EXPECT_NEAR(found.item<double>(), loss.item<double>(), 1e-5);
  found.backward();
  loss.backward();
  for (size_t i = 0; i < learned.size(); i++) {
    EXPECT_TRUE(at::allclose(learned[i].tensor.grad(), expected[i].tensor.grad(), 1e-4, 1e-6)) << learned[i].name;
  }
}

class ClassifierHead : public ClassifierLearning {
 protected:
  // Weights (2, 24) of the output layer, as initialized by a learner and as stored in the folder of the base model.
  static at::Tensor begun(const std::vector<std::string>& labels, BaseHead head,
                          bert::Head saved = bert::Head::classification) {
    testing::write_bert_folder("base", testing::small_bert(labels), saved);
    auto chosen = config(0, 0);
    chosen.model.path = "base";
    chosen.model.head = head;
    const auto data = datasets::open_texts("texts.h5");
    EXPECT_THAT(data.labels, ::testing::ElementsAre("正面", "负面"));
    ClassifierLearner learner(chosen, data, one_process(), Transfer(at::kCPU));
    for (const auto& [name, tensor, rate, decays] : learner.parameters()) {
      if (name == "classifier.weight") return tensor.detach().clone();
    }
    return {};
  }
  static at::Tensor of_base() {
    return bert::load_bert("base", bert::Head::classification).model.parameter("classifier.weight");
  }

  static ProcessGroup& one_process() {
    static ProcessGroup group({}, /*gpu=*/false, std::chrono::seconds(1));
    return group;
  }
};

TEST_F(ClassifierHead, RowsAreMatchedByName) {
  for (const auto head : {BaseHead::automatic, BaseHead::keep}) {
    const auto same = begun({"正面", "负面"}, head);
    EXPECT_TRUE(same.equal(of_base()));
    const auto swapped = begun({"负面", "正面"}, head);
    EXPECT_TRUE(swapped[0].equal(of_base()[1]));
    EXPECT_TRUE(swapped[1].equal(of_base()[0]));
  }
}

TEST_F(ClassifierHead, OtherClassesStartAnew) {
  for (const std::vector<std::string>& labels : {std::vector<std::string>{"正面", "bad"},
                                                 {"LABEL_0", "LABEL_1"},
                                                 {"正面", "负面", "中"},
                                                 {"1", "2", "3", "4", "5"}}) {
    ::testing::internal::CaptureStderr();
    const auto weight = begun(labels, BaseHead::automatic);
    EXPECT_THAT(::testing::internal::GetCapturedStderr(),
                HasSubstr(fmt::format(
                    "base has {} classes: {}, texts.h5 has 2 classes: 正面, 负面: the output layer is reinitialized",
                    labels.size(), fmt::join(labels, ", "))));
    EXPECT_EQ(weight.size(0), 2);
    EXPECT_LT(weight.abs().max().item<float>(), 0.15) << "drawn with a deviation of 0.02, the base's reach 0.3";
  }
  EXPECT_LT(begun({"正面", "负面"}, BaseHead::anew).abs().max().item<float>(), 0.15);
  EXPECT_LT(begun({"正面", "负面"}, BaseHead::automatic, bert::Head::masked_lm).abs().max().item<float>(), 0.15);
}

TEST_F(ClassifierHead, KeepRefusesWhatDoesNotFit) {
  const auto refused = [](const std::vector<std::string>& labels, const std::string& said,
                          bert::Head saved = bert::Head::classification) {
    EXPECT_THAT([&] { begun(labels, BaseHead::keep, saved); }, ThrowsMessage<std::invalid_argument>(HasSubstr(said)));
  };
  refused({"正面", "bad"}, "model.head is keep, but base has 2 classes: 正面, bad, texts.h5 has 2 classes: 正面, 负面");
  refused({"1", "2", "3", "4", "5", "6"}, "base has 6 classes: 1, 2, 3, 4, 5, ..., texts.h5 has 2");
  refused({"LABEL_0", "LABEL_1", "LABEL_2"}, "base has 3 classes");
  refused({"正面", "负面"}, "model.head is keep, but base has no classifier", bert::Head::masked_lm);
  EXPECT_TRUE(begun({"LABEL_0", "LABEL_1"}, BaseHead::keep).equal(of_base())) << "without names, by number";
}

TEST_F(ClassifierLearning, RDropIsForASingleLabel) {
  const auto data = datasets::open_texts("several.h5");
  auto several = config(0.1, 1);
  several.data.path = "several.h5";
  EXPECT_THAT(
      [&] { ClassifierLearner(several, data, alone_, Transfer(at::kCPU)); },
      ThrowsMessage<std::invalid_argument>(HasSubstr("model.r_drop require single_label data, several.h5 is multi")));
}

}  // namespace
}  // namespace sartor
