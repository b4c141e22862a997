// TextModel: the values of a row do not depend on other rows; invalid folders are named.
#include "texts/text_model.h"

#include <gmock/gmock.h>

#include <cmath>

#include "core/isa.h"
#include "support/bert_folders.h"
#include "support/folder_test.h"

namespace sartor::inference {
namespace {

using ::testing::HasSubstr;
using testing::small_bert;
using ::testing::ThrowsMessage;
using testing::write_bert_folder;

const std::vector<std::string_view> texts = {"good",
                                             "very bad! 不好的",
                                             "很好 😀 7",
                                             "a b c",
                                             "",
                                             "goods not badb . . . . .",
                                             "unknown \xff words",
                                             "坏",
                                             "好好好好好好好好好好好好好好好好好好好"};

std::vector<Precision> precisions() {
  if (cuda::best_isa() != cuda::Isa::v4) return {Precision::fp32, Precision::int8};
  return {Precision::fp32, Precision::bf16, Precision::int8};
}

class TextModelTest : public testing::FolderTest {
 protected:
  TextModelTest() { write_bert_folder(folder_, small_bert()); }

  static std::vector<float> values_of(const std::vector<float>& all, size_t row, int64_t columns) {
    return {all.begin() + row * columns, all.begin() + (row + 1) * columns};
  }
  void expect_the_same_in_any_batch(const TextModel& model) const {
    const text::Tokenizer tokenizer(text::read_tokenizer(folder_));
    const auto rows = tokenizer.encode(texts, {}, {});
    const auto together = model.score(rows, 1 << 20);
    ASSERT_EQ(std::ssize(together), rows.size() * model.columns());
    for (const int64_t budget : {1, 7, 20, 60}) EXPECT_EQ(model.score(rows, budget), together) << budget;
    for (size_t row = 0; row < texts.size(); row++) {
      const auto alone = model.score(tokenizer.encode(texts[row]), 100);
      EXPECT_EQ(alone, values_of(together, row, model.columns())) << texts[row];
    }
    EXPECT_NE(values_of(together, 0, model.columns()), values_of(together, 1, model.columns()));
  }
};

TEST_F(TextModelTest, ClassifiesARowTheSameInAnyBatch) {
  for (const auto precision : precisions()) {
    SCOPED_TRACE(name_of(precision));
    const auto model = TextModel::classifier(folder_, precision, -1);
    EXPECT_EQ(model.columns(), 2);
    expect_the_same_in_any_batch(model);
  }
}

TEST_F(TextModelTest, EmbedsARowTheSameInAnyBatch) {
  for (const auto pooling : {Pooling::mean, Pooling::cls}) {
    for (const auto precision : precisions()) {
      SCOPED_TRACE(name_of(precision));
      const auto model = TextModel::embedder(folder_, precision, -1, pooling, true);
      EXPECT_EQ(model.columns(), 24);
      expect_the_same_in_any_batch(model);
    }
  }
}

TEST_F(TextModelTest, Tf32OnACpuIsFp32) {
  const text::Tokenizer tokenizer(text::read_tokenizer(folder_));
  const auto rows = tokenizer.encode(texts, {}, {});
  EXPECT_EQ(TextModel::classifier(folder_, Precision::tf32, -1).score(rows, 100),
            TextModel::classifier(folder_, Precision::fp32, -1).score(rows, 100));
}

TEST_F(TextModelTest, EmbeddingsHaveLengthOneIfAsked) {
  const text::Tokenizer tokenizer(text::read_tokenizer(folder_));
  const auto rows = tokenizer.encode(texts, {}, {});
  const auto normalized = TextModel::embedder(folder_, Precision::fp32, -1, Pooling::mean, true).score(rows, 100);
  const auto plain = TextModel::embedder(folder_, Precision::fp32, -1, Pooling::mean, false).score(rows, 100);
  for (size_t row = 0; row < texts.size(); row++) {
    double square = 0;
    for (const float value : values_of(plain, row, 24)) square += value * value;
    EXPECT_GT(std::abs(square - 1), 0.01);
    for (size_t i = row * 24; i < (row + 1) * 24; i++) EXPECT_NEAR(normalized[i], plain[i] / std::sqrt(square), 1e-6);
  }
}

TEST_F(TextModelTest, AsksBeforeEachBatch) {
  const auto model = TextModel::classifier(folder_, Precision::fp32, -1);
  const auto rows = text::Tokenizer(text::read_tokenizer(folder_)).encode(texts, {}, {});
  std::vector<int64_t> done;
  model.score(rows, 1, [&](int64_t before) { done.push_back(before); });
  EXPECT_THAT(done, ::testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_THROW(model.score(rows, 1, [](int64_t) { throw std::runtime_error("stop"); }), std::runtime_error);
  EXPECT_TRUE(model.score({}, 1).empty());
}

TEST_F(TextModelTest, ValuesThatAreNotFiniteAreNoResult) {
  const auto broken = path("broken");
  write_bert_folder(broken, small_bert());
  std::string weights = read("broken/model.safetensors");
  for (size_t at = weights.size() - 4000; at + 4 <= weights.size(); at += 4) weights.replace(at, 4, "\xff\xff\xff\x7f");
  write("broken/model.safetensors", weights);
  const auto rows = text::Tokenizer(text::read_tokenizer(folder_)).encode(texts, {}, {});
  EXPECT_THAT([&] { TextModel::classifier(broken, Precision::fp32, -1).score(rows, 100); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("not finite")));
}

TEST_F(TextModelTest, FoldersAreFoundAndNamed) {
  EXPECT_EQ(model_folder(folder_), folder_);
  std::filesystem::create_directory(path("run"));
  EXPECT_THAT([&] { model_folder(path("run")); }, ThrowsMessage<std::invalid_argument>(HasSubstr("no config.json")));
  write("run/run.yaml", "");
  EXPECT_THAT([&] { model_folder(path("run")); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("is a run without a text model")));
  write_bert_folder(path("run/model"), small_bert());
  EXPECT_EQ(model_folder(path("run")), path("run/model"));
  EXPECT_THAT([&] { model_folder(path("none")); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("none: no such folder")));
}

TEST_F(TextModelTest, WhatAModelCannotDoIsSaid) {
  EXPECT_THAT([&] { TextModel::classifier(folder_, Precision::int8, 0); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("int8, which requires a CPU")));
  write_bert_folder(path("base"), small_bert(), bert::Head::none);
  EXPECT_THAT([&] { TextModel::classifier(path("base"), Precision::fp32, -1); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("has no tensor classifier.weight")));
}

}  // namespace
}  // namespace sartor::inference
