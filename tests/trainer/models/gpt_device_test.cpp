// The branch of accelerators reads no tensor back: a step runs on libtorch's meta device, which has no values and
// throws on any attempt to read one.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/library.h>

#include "models/gpt/model.h"
#include "models/transformer/ops/token_loss.h"
#include "trainer/models/gpt_support.h"

namespace sartor::gpt {
namespace {

using namespace testing;

// Shapes of the operators that have no version for the meta device.
at::Tensor index_select(const at::Tensor& self, int64_t dim, const at::Tensor& index) {
  auto shape = self.sizes().vec();
  shape[dim] = index.size(0);
  return at::empty(shape, self.options());
}
std::tuple<at::Tensor, at::Tensor, at::Tensor> native_layer_norm(const at::Tensor& input, at::IntArrayRef,
                                                                 const std::optional<at::Tensor>&,
                                                                 const std::optional<at::Tensor>&, double) {
  auto shape = input.sizes().vec();
  shape.back() = 1;
  return {at::empty_like(input), at::empty(shape, input.options()), at::empty(shape, input.options())};
}
std::tuple<at::Tensor, at::Tensor, at::Tensor> native_layer_norm_backward(
    const at::Tensor&, const at::Tensor& input, at::IntArrayRef normalized_shape, const at::Tensor&, const at::Tensor&,
    const std::optional<at::Tensor>&, const std::optional<at::Tensor>&, std::array<bool, 3>) {
  const auto parameter = at::empty(normalized_shape, input.options());
  return {at::empty_like(input), parameter, at::empty_like(parameter)};
}
std::tuple<at::Tensor, at::Tensor> native_dropout(const at::Tensor& input, double, std::optional<bool>) {
  return {at::empty_like(input), at::empty(input.sizes(), input.options().dtype(at::kBool))};
}
at::Tensor embedding_dense_backward(const at::Tensor& gradient, const at::Tensor&, int64_t rows, int64_t, bool) {
  return at::empty({rows, gradient.size(-1)}, gradient.options());
}
at::Tensor& where_out(const at::Tensor& condition, const at::Tensor& self, const at::Tensor& other, at::Tensor& out) {
  out.resize_(at::infer_size(at::infer_size(condition.sizes(), self.sizes()), other.sizes()));
  return out;
}
at::Tensor where(const at::Tensor& condition, const at::Tensor& self, const at::Tensor& other) {
  auto out = at::empty({0}, self.options());
  return where_out(condition, self, other, out);
}
at::Tensor& of_two(const at::Tensor& self, const at::Tensor& other, at::Tensor& out) {
  out.resize_(at::infer_size(self.sizes(), other.sizes()));
  return out;
}
at::Tensor& of_one(const at::Tensor& self, at::Tensor& out) {
  out.resize_(self.sizes());
  return out;
}

class GptOnADevice : public ::testing::TestWithParam<std::string> {
 protected:
  GptOnADevice() : library_(torch::Library::IMPL, "aten", c10::DispatchKey::Meta, __FILE__, __LINE__) {
    library_.impl("index_select", index_select);
    library_.impl("native_layer_norm", native_layer_norm);
    library_.impl("native_layer_norm_backward", native_layer_norm_backward);
    library_.impl("native_dropout", native_dropout);
    library_.impl("embedding_dense_backward", embedding_dense_backward);
    library_.impl("where.self_out", where_out);
    library_.impl("where.self", where);
    library_.impl("logical_and.out", of_two);
    library_.impl("logical_or.out", of_two);
    library_.impl("logical_not.out", of_one);
  }
  torch::Library library_;
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
