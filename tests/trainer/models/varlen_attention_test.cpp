// Attention on accelerators on the CPU: stand-ins take the place of libtorch's fused kernels and compute the same, one
// sequence after the other. Values and gradients are compared with those of the CPU kernel.
#include "models/transformer/ops/varlen_attention.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>

#include <array>

#include "support/meta_operators.h"
#include "trainer/models/model_support.h"

namespace sartor::transformer {
namespace {

using at::Tensor;
using Optional = std::optional<Tensor>;

// ---- the kernels' results ----

struct Setting {
  double scale, dropout;
  bool causal;  // aligned with the last key
  int64_t seed;
};

Tensor kept_of(const Tensor& weights, const Setting& setting, int64_t sequence) {
  if (setting.dropout == 0) return at::ones_like(weights);
  const auto generator = at::detail::createCPUGenerator(setting.seed * 1000 + sequence);
  return at::empty_like(weights).bernoulli_(1 - setting.dropout, generator) / (1 - setting.dropout);
}

// Rows (T, heads, d) of all sequences, in fp32.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& q_offsets, const Tensor& k_offsets,
                 const Setting& setting) {
  std::vector<Tensor> rows;
  const int64_t copies = q.size(1) / k.size(1);
  for (int64_t b = 0; b + 1 < q_offsets.size(0); b++) {
    const auto part = [b](const Tensor& all, const Tensor& offsets) {
      const auto begin = offsets[b].item<int64_t>(), end = offsets[b + 1].item<int64_t>();
      return all.narrow(0, begin, end - begin).to(at::kFloat).transpose(0, 1);
    };
    const auto queries = part(q, q_offsets), keys = part(k, k_offsets).repeat_interleave(copies, 0),
               values = part(v, k_offsets).repeat_interleave(copies, 0);
    auto scores = at::matmul(queries, keys.transpose(1, 2)) * setting.scale;
    if (setting.causal) {
      const int64_t rest = scores.size(2) - scores.size(1);
      scores = scores.masked_fill(at::ones_like(scores[0]).tril(rest) == 0, -INFINITY);
    }
    const auto weights = at::softmax(scores, -1);
    rows.push_back(at::matmul(weights * kept_of(weights, setting, b), values).transpose(0, 1));
  }
  return at::cat(rows);
}

std::array<Tensor, 3> gradients(const Tensor& by_out, const Tensor& q, const Tensor& k, const Tensor& v,
                                const Tensor& q_offsets, const Tensor& k_offsets, const Setting& setting) {
  // The operator runs below autograd.
  const auto keys = c10::impl::tls_local_dispatch_key_set();
  const c10::impl::ForceDispatchKeyGuard above(keys.included_,
                                               keys.excluded_ - c10::autograd_dispatch_keyset_with_ADInplaceOrView);
  const at::AutoGradMode on(true);
  std::vector<Tensor> inputs;
  for (const auto* x : {&q, &k, &v}) inputs.push_back(x->detach().to(at::kFloat).clone().requires_grad_());
  const auto out = attention(inputs[0], inputs[1], inputs[2], q_offsets, k_offsets, setting);
  const auto found = torch::autograd::grad({out}, inputs, {by_out.to(at::kFloat)});
  return {found[0].to(q.scalar_type()), found[1].to(q.scalar_type()), found[2].to(q.scalar_type())};
}

int64_t longest_of(const Tensor& offsets) { return at::diff(offsets).max().item<int64_t>(); }
Tensor drawn(double dropout) { return dropout > 0 ? at::randint(1'000'000, {}, at::kLong) : at::zeros({}, at::kLong); }

// ---- operators ----

int flash_calls = 0, efficient_calls = 0;

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> flash_forward(const Tensor& q, const Tensor& k, const Tensor& v,
                                                                 const Optional& q_offsets, const Optional& k_offsets,
                                                                 int64_t longest_q, int64_t longest_k, double dropout,
                                                                 bool causal, bool, std::optional<double> scale,
                                                                 std::optional<int64_t>, std::optional<int64_t>,
                                                                 const Optional&, const Optional&) {
  flash_calls++;
  sartor::testing::check_flash(q, k, v);
  sartor::testing::check_lengths(q, *q_offsets);
  TORCH_CHECK(longest_q == longest_of(*q_offsets) && longest_k == longest_of(*k_offsets));
  const auto seed = drawn(dropout);
  const auto out = attention(q, k, v, *q_offsets, *k_offsets, {*scale, dropout, causal, seed.item<int64_t>()});
  return {out.to(q.scalar_type()), at::empty({q.size(1), q.size(0)}), seed, at::empty({0}), at::empty({0})};
}
std::tuple<Tensor, Tensor, Tensor> flash_backward(const Tensor& by_out, const Tensor& q, const Tensor& k,
                                                  const Tensor& v, const Tensor& out, const Tensor& logsumexp,
                                                  const Tensor& q_offsets, const Tensor& k_offsets, int64_t longest_q,
                                                  int64_t longest_k, double dropout, bool causal, const Tensor& seed,
                                                  const Tensor&, std::optional<double> scale, std::optional<int64_t>,
                                                  std::optional<int64_t>) {
  sartor::testing::check_flash(q, k, v);
  TORCH_CHECK(out.sizes() == q.sizes() && by_out.sizes() == q.sizes() && logsumexp.size(0) == q.size(1));
  TORCH_CHECK(longest_q == longest_of(q_offsets) && longest_k == longest_of(k_offsets));
  const auto by = gradients(by_out, q, k, v, q_offsets, k_offsets, {*scale, dropout, causal, seed.item<int64_t>()});
  return {by[0], by[1], by[2]};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, c10::SymInt, c10::SymInt> efficient_forward(
    const Tensor& q, const Tensor& k, const Tensor& v, const Optional&, const Optional& q_offsets,
    const Optional& k_offsets, std::optional<int64_t> longest_q, std::optional<int64_t> longest_k, double dropout,
    int64_t mask, bool, std::optional<double> scale, const Optional&, std::optional<int64_t>) {
  efficient_calls++;
  sartor::testing::check_efficient(q, k, v);
  TORCH_CHECK(*longest_q == longest_of(*q_offsets) && *longest_k == longest_of(*k_offsets) && mask != 1);
  const auto seed = drawn(dropout);
  const auto out =
      attention(q[0], k[0], v[0], *q_offsets, *k_offsets, {*scale, dropout, mask == 2, seed.item<int64_t>()});
  return {out.to(q.scalar_type()).unsqueeze(0), at::empty({1}), seed, at::zeros({}, at::kLong), *longest_q, *longest_k};
}
std::tuple<Tensor, Tensor, Tensor, Tensor> efficient_backward(const Tensor& by_out, const Tensor& q, const Tensor& k,
                                                              const Tensor& v, const Optional&, const Tensor& out,
                                                              const Optional& q_offsets, const Optional& k_offsets,
                                                              int64_t longest_q, int64_t longest_k, const Tensor&,
                                                              double dropout, const Tensor& seed, const Tensor&,
                                                              int64_t mask, bool, std::optional<double> scale,
                                                              std::optional<int64_t>, std::optional<int64_t>, bool) {
  sartor::testing::check_efficient(q, k, v);
  TORCH_CHECK(out.sizes() == q.sizes() && by_out.sizes() == q.sizes());
  TORCH_CHECK(longest_q == longest_of(*q_offsets) && longest_k == longest_of(*k_offsets));
  const auto by = gradients(by_out[0], q[0], k[0], v[0], *q_offsets, *k_offsets,
                            {*scale, dropout, mask == 2, seed.item<int64_t>()});
  return {by[0].unsqueeze(0), by[1].unsqueeze(0), by[2].unsqueeze(0), Tensor()};
}

// ---- tests ----

struct Shape {
  std::string name;
  at::ScalarType type;
  int64_t heads, key_heads, d;
  bool causal;
  std::vector<int64_t> queries, keys;  // per sequence
  bool is_flash;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.name; }

class VarlenAttention : public ::testing::TestWithParam<Shape> {
 protected:
  VarlenAttention() : library_(torch::Library::IMPL, "aten", c10::DispatchKey::CPU, __FILE__, __LINE__) {
    library_.impl("_flash_attention_forward", flash_forward);
    library_.impl("_flash_attention_backward", flash_backward);
    library_.impl("_efficient_attention_forward", efficient_forward);
    library_.impl("_efficient_attention_backward", efficient_backward);
    flash_calls = efficient_calls = 0;
  }

  // A leaf with queries, keys and values side by side, if there are as many queries as keys.
  AttentionRequest request(const Tensor& all, const Tensor& rest) const {
    const auto& shape = GetParam();
    AttentionRows rows = {{0}, {0}};
    for (const auto n : shape.queries) rows.q_offsets.push_back(rows.q_offsets.back() + n);
    for (const auto n : shape.keys) rows.k_offsets.push_back(rows.k_offsets.back() + n);
    const auto typed = all.to(shape.type), queries = rest.to(shape.type);
    const int64_t wide = shape.heads * shape.d, narrow = shape.key_heads * shape.d;
    const bool same = shape.queries == shape.keys;
    return {.q = same ? typed.narrow(1, 0, wide) : queries,
            .k = typed.narrow(1, wide, narrow),
            .v = typed.narrow(1, wide + narrow, narrow),
            .rows = rows,
            .head_size = shape.d,
            .scale = 0.3,
            .causal = shape.causal};
  }
  int64_t columns() const { return (GetParam().heads + 2 * GetParam().key_heads) * GetParam().d; }
  static int64_t sum(const std::vector<int64_t>& lengths) {
    int64_t sum = 0;
    for (const auto length : lengths) sum += length;
    return sum;
  }
  Tensor random(int64_t rows, int64_t columns) const { return at::randn({rows, columns}).requires_grad_(); }

  torch::Library library_;
};

INSTANTIATE_TEST_SUITE_P(
    Shapes, VarlenAttention,
    ::testing::Values(Shape{"fp32", at::kFloat, 6, 6, 8, false, {5, 1, 11}, {5, 1, 11}, false},
                      Shape{"fp32_shared_heads", at::kFloat, 6, 2, 8, true, {5, 1, 11}, {5, 1, 11}, false},
                      Shape{"fp32_odd_heads", at::kFloat, 3, 3, 7, true, {4, 9}, {4, 9}, false},
                      Shape{"fp32_first_only", at::kFloat, 3, 3, 8, false, {1, 1}, {4, 9}, false},
                      Shape{"fp32_fewer_queries", at::kFloat, 4, 2, 8, true, {2, 3, 1}, {4, 3, 7}, false},
                      Shape{"bf16", at::kBFloat16, 6, 6, 8, false, {5, 1, 11}, {5, 1, 11}, true},
                      Shape{"bf16_shared_heads", at::kBFloat16, 6, 2, 16, true, {5, 1, 11}, {5, 1, 11}, true},
                      Shape{"bf16_odd_heads", at::kBFloat16, 3, 3, 12, true, {4, 9}, {4, 9}, true},
                      Shape{"bf16_fewer_queries", at::kBFloat16, 4, 2, 8, true, {2, 3, 1}, {4, 3, 7}, true},
                      Shape{"bf16_large_heads", at::kBFloat16, 4, 2, 260, true, {3, 5}, {3, 5}, false}),
    [](const auto& test) { return test.param.name; });

TEST_P(VarlenAttention, GivesTheNumbersOfTheCpuKernel) {
  const auto& shape = GetParam();
  const auto all = random(sum(shape.keys), columns()), queries = random(sum(shape.queries), shape.heads * shape.d);
  const auto by = at::randn({sum(shape.queries), shape.heads * shape.d});
  std::vector<Tensor> results[2];
  for (const bool varlen : {false, true}) {
    const auto asked = request(all, queries);
    const auto out = varlen ? varlen_attention(asked) : attend(asked).out;
    const auto found = torch::autograd::grad({(out * by).sum()}, {all, queries}, {}, {}, false, true);
    results[varlen] = {out.detach(), found[0], found[1].defined() ? found[1] : at::zeros({1})};
  }
  EXPECT_EQ(flash_calls, shape.is_flash ? 1 : 0);
  EXPECT_EQ(efficient_calls, shape.is_flash ? 0 : 1);
  const double tolerance = shape.type == at::kFloat ? 1e-5 : 3e-2;
  for (size_t i = 0; i < results[0].size(); i++) {
    const double largest = results[0][i].abs().max().item<double>();
    EXPECT_LE(sartor::testing::largest_difference(results[0][i], results[1][i]), tolerance * (1 + largest)) << i;
  }
}

// The gradient is that of the same dropped weights.
TEST_P(VarlenAttention, DropsTheSameWeightsInTheBackwardPass) {
  const auto& shape = GetParam();
  if (shape.type != at::kFloat) return;
  const auto all = random(sum(shape.keys), columns()), queries = random(sum(shape.queries), shape.heads * shape.d);
  const auto by = at::randn({sum(shape.queries), shape.heads * shape.d}), step = at::randn_like(all.detach());
  const auto value = [&](const Tensor& at_place, double dropout) {
    at::manual_seed(7);
    auto asked = request(at_place, queries);
    asked.dropout = dropout;
    return (varlen_attention(asked) * by).sum();
  };
  const auto loss = value(all, 0.4);
  EXPECT_GT((loss - value(all, 0)).abs().item<double>(), 1e-3);
  const auto gradient = torch::autograd::grad({loss}, {all})[0];
  const double epsilon = 2e-3;
  const auto difference = (value(all + epsilon * step, 0.4) - value(all - epsilon * step, 0.4)) / (2 * epsilon);
  const double expected = (gradient * step).sum().item<double>();
  EXPECT_NEAR(difference.item<double>(), expected, 0.01 * (1 + std::abs(expected)));
}

TEST(VarlenAttentionOnADevice, CopiesOffsetsOnlyIfTheyAreNotGiven) {
  const sartor::testing::MetaOperators operators;
  const auto options = at::TensorOptions(at::kMeta);
  const auto x = at::empty({7, 16}, options);
  AttentionRequest request = {.q = x, .k = x, .v = x, .rows = {{0, 3, 7}, {0, 3, 7}}, .head_size = 8};
  EXPECT_EQ(attend(request).out.sizes(), x.sizes());
  request.rows.q_offsets_B1 = request.rows.k_offsets_B1 = at::empty({3}, options.dtype(at::kLong));
  EXPECT_ANY_THROW(attend(request)) << "int64 offsets";
  request.rows.q_offsets_B1 = request.rows.k_offsets_B1 = at::empty({3}, options.dtype(at::kInt));
  EXPECT_EQ(attend(request).out.sizes(), x.sizes());
}

}  // namespace
}  // namespace sartor::transformer
