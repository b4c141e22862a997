// The branch of accelerators reads no tensor back: a step runs on libtorch's meta device, which has no values and
// throws on any attempt to read one.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "models/gpt/model.h"
#include "models/transformer/ops/token_loss.h"
#include "support/meta_operators.h"
#include "trainer/models/gpt_support.h"

namespace sartor::gpt {
namespace {

using namespace testing;

class GptOnADevice : public ::testing::TestWithParam<std::string> {
  sartor::testing::MetaOperators operators_;
};
INSTANTIATE_TEST_SUITE_P(Families, GptOnADevice, ::testing::ValuesIn(all_families),
                         [](const auto& test) { return test.param; });

TEST_P(GptOnADevice, ReadsNothingBackInAStep) {
  const auto rows = random_rows({9, 30, 1});
  auto config = small_config(GetParam());
  config.embedding_dropout = config.hidden_dropout = 0.1;
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    Gpt model(config, at::kMeta);
    model.train();
    model.compute_in(type);
    const auto batch = transformer::pack(input_spec(config), rows, {}, at::kMeta);
    const auto hidden = model.hidden(batch);
    EXPECT_EQ(hidden.sizes(), (std::vector<int64_t>{40, 24}));
    const auto targets = at::empty({40}, at::TensorOptions(at::kMeta).dtype(at::kLong));
    const auto weights = at::empty({40}, at::TensorOptions(at::kMeta).dtype(at::kFloat));
    transformer::token_loss(hidden, model.output_weight(), targets, weights, type).backward();
    for (const auto& [name, parameter] : model.parameters()) {
      ASSERT_TRUE(parameter.grad().defined()) << name;
      EXPECT_EQ(parameter.grad().sizes(), parameter.sizes()) << name;
    }
  }
}

}  // namespace
}  // namespace sartor::gpt
