// Compares the inference encoder with the model it was created from.
#include "models/bert/cpu_encoder.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/bert/folder.h"
#include "support/folder_test.h"
#include "trainer/models/bert_support.h"

namespace sartor::bert {
namespace {

using namespace testing;

BertConfig config_of(const std::string& family, transformer::Activation activation) {
  auto config = small_config();
  config.model_type = family;
  config.hidden_act = activation;
  if (family == "roberta") config.pad_token_id = 1;
  if (family == "electra") config.embedding_size = 16;
  return config;
}

// The value for a precision of the CPU.
template <class T> T by_precision(transformer::Precision precision, T fp32, T bf16, T int8) {
  if (precision == transformer::Precision::fp32) return fp32;
  return precision == transformer::Precision::bf16 ? bf16 : int8;
}

std::string name(transformer::Precision precision) { return by_precision(precision, "Fp32", "Bf16", "Int8"); }

class Encoder : public ::testing::TestWithParam<transformer::Precision> {};
INSTANTIATE_TEST_SUITE_P(Precisions, Encoder, ::testing::ValuesIn(precisions()),
                         [](const auto& test) { return name(test.param); });

TEST_P(Encoder, GivesTheModelsNumbers) {
  // Relative to the size of the result: rounding of sums; rounding to 8 bits in two layers, coarser for bf16;
  // quantization to 8 bits per output and token.
  const double tolerance = by_precision(GetParam(), 1e-5, 0.05, 0.05);
  const auto rows = random_rows({5, 1, 17, 130, 9});
  for (const auto* family : {"bert", "roberta", "distilbert", "electra"}) {
    for (const auto activation : {transformer::Activation::gelu, transformer::Activation::gelu_tanh,
                                  transformer::Activation::relu, transformer::Activation::silu}) {
      const auto config = config_of(family, activation);
      const auto batch = transformer::pack(input_spec(config), rows);
      const auto close = [&](const at::Tensor& found, const at::Tensor& expected) {
        EXPECT_EQ(found.scalar_type(), at::kFloat);
        EXPECT_LT(largest_difference(found, expected), tolerance * expected.abs().max().item<double>())
            << family << ", activation " << int(activation);
      };
      const auto classifier = made_model(config, Head::classification);
      close(CpuEncoder(classifier, GetParam()).classify(batch), classifier.classify(batch));
      const auto base = made_model(config, Head::none);
      const CpuEncoder encoder(base, GetParam());
      close(encoder.embed(batch, Pooling::mean, false), base.embed(batch, Pooling::mean, false));
      close(encoder.embed(batch, Pooling::cls, true), base.embed(batch, Pooling::cls, true));
    }
  }
}

TEST_P(Encoder, GivesATextTheSameBitsInAnyBatch) {
  const auto config = small_config();
  const CpuEncoder encoder(made_model(config, Head::classification), GetParam());
  const auto rows = random_rows({5, 1, 17, 130, 9, 40, 2, 64});
  const auto together = encoder.classify(transformer::pack(input_spec(config), rows));
  for (size_t b = 0; b < rows.size(); b++) {
    const Rows alone = {rows[b]};
    EXPECT_TRUE(
        encoder.classify(transformer::pack(input_spec(config), alone))[0].equal(together[static_cast<int64_t>(b)]))
        << b;
  }
  const Rows two = {rows[6], rows[3]};
  const auto other = encoder.classify(transformer::pack(input_spec(config), two));
  EXPECT_TRUE(other[0].equal(together[6]));
  EXPECT_TRUE(other[1].equal(together[3]));
}

TEST_P(Encoder, OutlivesItsModelAndItsThreads) {
  const auto config = small_config();
  const auto batch = transformer::pack(input_spec(config), random_rows({5, 1, 17, 130, 9, 200}));
  auto model = std::make_unique<Bert>(made_model(config, Head::classification));
  const CpuEncoder encoder(*model, GetParam());
  const auto before = encoder.classify(batch);
  model.reset();
  EXPECT_TRUE(encoder.classify(batch).equal(before));
  const int threads = at::get_num_threads();
  at::set_num_threads(2);
  const auto two = encoder.classify(batch);
  at::set_num_threads(1);
  const auto one = encoder.classify(batch);
  at::set_num_threads(threads);
  EXPECT_TRUE(one.equal(two));
}

// Shapes of a published small model, because oneDNN selects kernels by size, with batches of a few and of hundreds of
// tokens, sorted and unsorted.
TEST_P(Encoder, GivesATextTheSameBitsInAnyWindow) {
  auto config = small_config();
  config.hidden_size = 384;
  config.num_attention_heads = 12;
  config.intermediate_size = 1536;
  const CpuEncoder classifier(made_model(config, Head::classification), GetParam());
  const CpuEncoder embedder(made_model(config, Head::none), GetParam());
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < 40; i++) lengths.push_back(1 + i * i % 53);
  const auto rows = random_rows(lengths);
  const auto logits = classifier.classify(transformer::pack(input_spec(config), rows));
  const auto embeddings = embedder.embed(transformer::pack(input_spec(config), rows), Pooling::mean, true);
  for (const int64_t window : {1, 3, 7, 40}) {
    for (int64_t first = 0; first < std::ssize(rows); first += window) {
      const int64_t count = std::min(window, std::ssize(rows) - first);
      Rows some(rows.begin() + first, rows.begin() + first + count);
      std::ranges::reverse(some);
      const auto batch = transformer::pack(input_spec(config), some);
      EXPECT_TRUE(classifier.classify(batch).flip(0).equal(logits.narrow(0, first, count))) << window << ", " << first;
      EXPECT_TRUE(embedder.embed(batch, Pooling::mean, true).flip(0).equal(embeddings.narrow(0, first, count)))
          << window << ", " << first;
    }
  }
}

// Products with numbers of rows around those of one call, with both implementations of bf16.
TEST(Products, GiveARowTheSameBitsInAnyBatchAndOnAnyThreads) {
  const int threads = at::get_num_threads();
  for (const auto precision : precisions()) {
    for (const auto by : {transformer::Product::By::kernels, transformer::Product::By::onednn}) {
      if (by == transformer::Product::By::onednn && precision != transformer::Precision::bf16) continue;
      const auto type = precision == transformer::Precision::bf16 ? at::kBFloat16 : at::kFloat;
      for (const auto& [inputs, outputs] : {std::pair{384, 1536}, {1536, 384}, {101, 33}}) {
        const auto weight = at::randn({outputs, inputs}) / std::sqrt(inputs), bias = at::randn({outputs});
        const transformer::Product product(weight, bias, precision, by);
        const auto x = at::randn({261, inputs}).to(type);
        const auto together = product.activated(x, transformer::Activation::gelu);
        const auto expected = at::gelu(at::linear(x.to(at::kFloat), weight, bias));
        const double tolerance = by_precision(precision, 1e-5, 0.03, 0.08);
        EXPECT_LT(largest_difference(together, expected), tolerance) << name(precision);
        for (const int team : {1, 2, 5}) {
          at::set_num_threads(team);
          for (const int64_t rows : {1, 2, 15, 16, 17, 63, 64, 65, 120, 121, 200}) {
            const auto some =
                product.activated(x.narrow(0, 261 - rows, rows).contiguous(), transformer::Activation::gelu);
            EXPECT_TRUE(some.equal(together.narrow(0, 261 - rows, rows)))
                << name(precision) << ", " << inputs << ", " << rows << " rows on " << team << " threads";
          }
        }
        at::set_num_threads(threads);
      }
    }
  }
}

class EncoderFolder : public sartor::testing::FolderTest {};

TEST_F(EncoderFolder, IsReadWithoutAModelBetween) {
  const auto config = small_config();
  const auto model = made_model(config, Head::classification);
  save_bert(model, folder_);
  const auto batch = transformer::pack(input_spec(config), random_rows({5, 1, 17}));
  for (const auto precision : precisions()) {
    const auto encoder = CpuEncoder::open(folder_, Head::classification, precision);
    EXPECT_TRUE(encoder.classify(batch).equal(CpuEncoder(model, precision).classify(batch)));
  }
  save_bert(made_model(config, Head::none), folder_);
  EXPECT_THAT([&] { CpuEncoder::open(folder_, Head::classification, transformer::Precision::fp32); },
              ::testing::ThrowsMessage<std::invalid_argument>(::testing::HasSubstr("has no tensor classifier.weight")));
}

TEST_F(EncoderFolder, EmbedsWithoutAPooler) {
  const auto config = small_config();
  const auto model = made_model(config, Head::masked_lm);  // no classifier
  save_bert(model, folder_);
  const auto encoder = CpuEncoder::open(folder_, Head::none, transformer::Precision::fp32);
  const auto base = load_bert(folder_, Head::none);
  const auto batch = transformer::pack(input_spec(config), random_rows({5, 1, 17}));
  for (const auto pooling : {Pooling::mean, Pooling::cls}) {
    EXPECT_LT(largest_difference(encoder.embed(batch, pooling, true), base.model.embed(batch, pooling, true)), 1e-5);
  }
}

TEST_P(Encoder, EmbedsATextToTheSameBitsInAnyBatch) {
  const auto config = small_config();
  const CpuEncoder encoder(made_model(config, Head::none), GetParam());
  const auto rows = random_rows({5, 1, 17, 130, 9, 40, 2, 64});
  for (const auto pooling : {Pooling::mean, Pooling::cls}) {
    const auto together = encoder.embed(transformer::pack(input_spec(config), rows), pooling, true);
    for (size_t b = 0; b < rows.size(); b++) {
      const Rows alone = {rows[b]};
      EXPECT_TRUE(encoder.embed(transformer::pack(input_spec(config), alone), pooling, true)[0].equal(
          together[static_cast<int64_t>(b)]))
          << b;
    }
  }
}

TEST(EncoderErrors, SaysThatTheCpuHasNoBf16) {
  if (cuda::best_isa() == cuda::Isa::v4) GTEST_SKIP() << "this CPU has bf16";
  EXPECT_THAT([] { CpuEncoder(made_model(small_config(), Head::none), transformer::Precision::bf16); },
              ::testing::ThrowsMessage<std::invalid_argument>(::testing::HasSubstr("requires a CPU with AVX-512")));
}

TEST(EncoderErrors, SaysThatThereIsNoClassifier) {
  const auto config = small_config();
  const CpuEncoder encoder(made_model(config, Head::none), transformer::Precision::fp32);
  EXPECT_THROW(encoder.classify(transformer::pack(input_spec(config), random_rows({3}))), std::invalid_argument);
}

}  // namespace
}  // namespace sartor::bert
