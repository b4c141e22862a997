// Compares the real MiniLM folder with transformers on 200 English and Chinese reviews.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <filesystem>

#include "models/bert/cpu_encoder.h"
#include "models/bert/folder.h"
#include "support/paths.h"
#include "trainer/models/bert_support.h"

namespace sartor::bert {
namespace {

using namespace testing;

const std::filesystem::path minilm = sartor::testing::source_path("data/minilm");

class MiniLm : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(minilm / "model.safetensors")) {
      GTEST_SKIP() << minilm << " is missing: run scripts/fetch_data.py minilm";
    }
    for (const auto& row : golden("minilm.json")) {
      rows_.push_back(row["ids"]);
      logits_.push_back(tensor(row["logits"], {2}));
      embeddings_.push_back(tensor(row["embedding"], {4}));
    }
    ASSERT_EQ(rows_.size(), 200);
    model_.emplace(load_bert(minilm, Head::classification).model);
    for (const auto& parameter : model_->parameters()) {
      if (parameter.name.starts_with("classifier")) set_by_formula(parameter, 0.5);
    }
  }
  at::Tensor expected() const { return at::stack(logits_); }

  Rows rows_;
  std::vector<at::Tensor> logits_, embeddings_;
  std::optional<Bert> model_;
};

TEST_F(MiniLm, LacksOnlyItsClassifier) {
  const auto loaded = load_bert(minilm, Head::classification);
  EXPECT_THAT(loaded.missing, ::testing::ElementsAre("classifier.weight", "classifier.bias"));
  EXPECT_THAT(loaded.unexpected, ::testing::IsEmpty());
}

TEST_F(MiniLm, LogitsAreThoseOfTransformers) {
  const c10::NoGradGuard no_gradients;
  const auto& config = model_->config();
  const auto packed = model_->classify(transformer::pack(input_spec(config), rows_));
  EXPECT_LT(largest_difference(packed, expected()), 1e-5) << "all together, packed";

  const auto padded = pad(rows_, {}, 0);
  EXPECT_LT(
      largest_difference(model_->classify(transformer::pack(input_spec(config), padded.ids, padded.mask)), expected()),
      1e-5)
      << "from padded";

  model_->attention_by(transformer::AttentionKind::sdpa);
  for (int64_t first = 0; first < 200; first += 32) {
    const int64_t count = std::min<int64_t>(32, 200 - first);
    const Rows some(rows_.begin() + first, rows_.begin() + first + count);
    EXPECT_LT(largest_difference(model_->classify(transformer::pack(input_spec(config), some)),
                                 expected().narrow(0, first, count)),
              1e-5)
        << "padded attention, batch at " << first;
  }
  model_->attention_by(transformer::AttentionKind::packed);
  for (size_t i = 0; i < rows_.size(); i++) {
    const Rows alone = {rows_[i]};
    EXPECT_LT(largest_difference(model_->classify(transformer::pack(input_spec(config), alone))[0], logits_[i]), 1e-5)
        << "alone, " << i;
  }
}

TEST_F(MiniLm, EncoderGivesTheSameLogits) {
  const auto& config = model_->config();
  const auto batch = transformer::pack(input_spec(config), rows_);
  const double spread = (expected() - expected().mean(0)).abs().max().item<double>();
  for (const auto precision : precisions()) {
    EXPECT_LT(largest_difference(CpuEncoder(*model_, precision).classify(batch), expected()),
              precision == transformer::Precision::fp32 ? 1e-5 : 0.1 * spread);
  }
}

TEST_F(MiniLm, EmbeddingsAreThoseOfSentenceTransformers) {
  const c10::NoGradGuard no_gradients;
  const auto model = load_bert(minilm, Head::none).model;
  const auto batch = transformer::pack(input_spec(model.config()), rows_);
  const auto found = model.embed(batch, Pooling::mean, true);
  EXPECT_LT(largest_difference(found.narrow(1, 0, 4), at::stack(embeddings_)), 1e-6);
  EXPECT_LT(
      largest_difference(CpuEncoder(model, transformer::Precision::fp32).embed(batch, Pooling::mean, true), found),
      1e-6);
}

}  // namespace
}  // namespace sartor::bert
