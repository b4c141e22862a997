// The table of classes against values computed by hand.
#include "texts/classify.h"

#include <gmock/gmock.h>

#include "support/bert_folders.h"
#include "support/folder_test.h"

namespace sartor::inference {
namespace {

using ::testing::HasSubstr;
using testing::small_bert;
using ::testing::ThrowsMessage;

const float ln3 = std::log(3.0f);

class ClassTableTest : public testing::FolderTest {
 protected:
  // Two parts, of rows 0 and 2, and of row 5, in the format of the output and in another one.
  std::string written(const ClassificationConfig& config, const bert::BertConfig& model, double temperature,
                      const std::vector<float>& logits) const {
    const auto joined = written(config, model, temperature, logits, ".parquet");
    EXPECT_EQ(written(config, model, temperature, logits, ".csv"), joined);
    return joined;
  }
  std::string written(const ClassificationConfig& config, const bert::BertConfig& model, double temperature,
                      const std::vector<float>& logits, const std::string& form) const {
    const auto table = make_class_table(config, model, temperature);
    const auto columns = static_cast<int64_t>(logits.size()) / 3;
    text::TextWindow first = {.rows = {0, 2}}, second = {.part = 1, .rows = {5}};
    for (size_t i = 0; i < config.keep.size(); i++) {
      first.kept.emplace_back().push_back("好, x");
      first.kept.back().push_back("");
      second.kept.emplace_back().push_back("z");
    }
    table->begin(path("0" + form));
    table->append(first, {logits.begin(), logits.begin() + 2 * columns});
    table->append({.kept = std::vector<datasets::StringColumn>(config.keep.size())}, {});
    table->end();
    table->begin(path("1" + form));
    table->append(second, {logits.begin() + 2 * columns, logits.end()});
    table->end();
    EXPECT_EQ(table->join({path("0" + form), path("1" + form)}, path("out.csv"), [] {}), 3);
    return read("out.csv");
  }
};

TEST_F(ClassTableTest, OneClassOfEach) {
  ClassificationConfig config;
  config.keep = {"title"};
  EXPECT_EQ(written(config, small_bert(), 1, {0, ln3, 0, -ln3, 0, 0}),
            "row,title,label,probability\n0,\"好, x\",正面,0.75\n2,\"\",负面,0.75\n5,z,负面,0.5\n");
  config.probabilities = true;
  EXPECT_EQ(written(config, small_bert(), 2, {0, 2 * ln3, 0, -2 * ln3, 0, 0}),
            "row,title,label,probability,probability_负面,probability_正面\n"
            "0,\"好, x\",正面,0.75,0.25,0.75\n2,\"\",负面,0.75,0.75,0.25\n5,z,负面,0.5,0.5,0.5\n");
}

TEST_F(ClassTableTest, SeveralClasses) {
  ClassificationConfig config;
  const auto model = small_bert({"a", "b"}, transformer::Problem::multi_label);
  const std::vector<float> logits = {ln3, ln3, -ln3, ln3, -ln3, -ln3};
  EXPECT_EQ(written(config, model, 1, logits), "row,label,probability\n0,a|b,0.75\n2,b,0.75\n5,\"\",0.25\n");
  config.threshold = 0.2;
  config.separator = "; ";
  config.probabilities = true;
  EXPECT_EQ(written(config, model, 1, logits),
            "row,label,probability,probability_a,probability_b\n"
            "0,a; b,0.75,0.75,0.75\n2,a; b,0.75,0.25,0.75\n5,a; b,0.25,0.25,0.25\n");
}

TEST_F(ClassTableTest, Numbers) {
  EXPECT_EQ(written({}, small_bert({"LABEL_0"}, transformer::Problem::regression), 1, {1.5, -2, 0}),
            "row,value\n0,1.5\n2,-2\n5,0\n");
  EXPECT_EQ(written({}, small_bert({"x", "y"}, transformer::Problem::regression), 1, {1, 2, 3, 4, 5, 6}),
            "row,value_x,value_y\n0,1,2\n2,3,4\n5,5,6\n");
}

TEST_F(ClassTableTest, WhatDoesNotFitIsNamed) {
  const auto refused = [](const ClassificationConfig& config, const bert::BertConfig& model, const std::string& said) {
    EXPECT_THAT([&] { make_class_table(config, model, 1); }, ThrowsMessage<std::invalid_argument>(HasSubstr(said)));
  };
  const auto number = small_bert({"LABEL_0"}, transformer::Problem::regression);
  ClassificationConfig config;
  config.temperature = 2;
  refused(config, number, "temperature is given, but the model gives numbers");
  config = {};
  config.probabilities = true;
  refused(config, number, "probabilities is given, but the model gives numbers");
  config = {};
  config.keep = {"label"};
  refused(config, small_bert(), "two columns label");
  config = {};
  refused(config, small_bert({"a|b", "c"}, transformer::Problem::multi_label),
          "the class a|b contains the separator |");
  make_class_table(config, small_bert({"a|b", "c"}), 1);
}

}  // namespace
}  // namespace sartor::inference
