// Compares attention for decoders with a double loop: causal, with cached keys, grouped key heads, and other head sizes
// and scales. Values and gradients of each kind, in fp32 and bf16.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "models/transformer/ops/attention.h"
#include "trainer/models/transformer_support.h"

namespace sartor::transformer {
namespace {

using namespace testing;

struct Case {
  std::vector<int64_t> q_lengths, k_lengths;
  int64_t heads, key_heads, d;
  std::optional<double> scale;

  AttentionRows rows() const {
    AttentionRows rows = {{0}, {0}};
    for (const auto length : q_lengths) rows.q_offsets.push_back(rows.q_offsets.back() + length);
    for (const auto length : k_lengths) rows.k_offsets.push_back(rows.k_offsets.back() + length);
    return rows;
  }
};

const Case cases[] = {
    {{1}, {1}, 1, 1, 1, {}},                       // one token
    {{1, 1}, {9, 70}, 6, 2, 16, {}},               // the next token over cached keys
    {{3, 1, 17}, {3, 1, 17}, 4, 2, 5, 0.3},        // odd sizes
    {{7, 65, 130}, {7, 65, 130}, 3, 1, 20, {}},    // one key head; several blocks of queries
    {{5, 64, 66}, {12, 131, 66}, 4, 4, 33, 0.25},  // with and without cached keys
    {{2, 100}, {90, 100}, 8, 2, 8, 0.1},
};

// Gradients of sum(by * out).
struct Plain {
  at::Tensor out, dq, dk, dv, weights;

  Plain(const Case& of, bool causal, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
        const at::Tensor& by)
      : out(at::zeros_like(q)), dq(at::zeros_like(q)), dk(at::zeros_like(k)), dv(at::zeros_like(v)) {
    const auto rows = of.rows();
    weights = at::zeros({std::ssize(of.q_lengths), of.heads, *std::ranges::max_element(of.q_lengths),
                         *std::ranges::max_element(of.k_lengths)},
                        at::kDouble);
    for (size_t b = 0; b < of.q_lengths.size(); b++) {
      for (int64_t head = 0; head < of.heads; head++) {
        for (int64_t i = 0; i < of.q_lengths[b]; i++) {
          const int64_t keys = causal ? i + 1 + of.k_lengths[b] - of.q_lengths[b] : of.k_lengths[b];
          add_query(of, static_cast<int64_t>(b), head, i, rows.q_offsets[b] + i, rows.k_offsets[b], keys,
                    {q, k, v, by});
        }
      }
    }
  }

 private:
  struct Inputs {
    const at::Tensor &q, &k, &v, &by;
  };
  void add_query(const Case& of, int64_t b, int64_t head, int64_t i, int64_t row, int64_t first, int64_t keys,
                 const Inputs& in) {
    const auto q = in.q.accessor<double, 2>(), k = in.k.accessor<double, 2>(), v = in.v.accessor<double, 2>();
    const auto by = in.by.accessor<double, 2>();
    auto o = out.accessor<double, 2>(), gq = dq.accessor<double, 2>(), gk = dk.accessor<double, 2>();
    auto gv = dv.accessor<double, 2>();
    auto kept = weights.accessor<double, 4>();
    const int64_t d = of.d, from = head * d, key_from = head / (of.heads / of.key_heads) * d;
    const double scale = of.scale.value_or(1 / std::sqrt(double(d)));
    std::vector<double> p(keys), dp(keys);
    double total = 0, dot = 0;
    for (int64_t j = 0; j < keys; j++) {
      double score = 0;
      for (int64_t c = 0; c < d; c++) {
        score += q[row][from + c] * k[first + j][key_from + c];
        dp[j] += by[row][from + c] * v[first + j][key_from + c];
      }
      total += p[j] = std::exp(score * scale);
    }
    for (int64_t j = 0; j < keys; j++) {
      kept[b][head][i][j] = p[j] /= total;
      dot += p[j] * dp[j];
    }
    for (int64_t j = 0; j < keys; j++) {
      const double ds = p[j] * (dp[j] - dot) * scale;
      for (int64_t c = 0; c < d; c++) {
        o[row][from + c] += p[j] * v[first + j][key_from + c];
        gq[row][from + c] += ds * k[first + j][key_from + c];
        gk[first + j][key_from + c] += ds * q[row][from + c];
        gv[first + j][key_from + c] += p[j] * by[row][from + c];
      }
    }
  }
};

using Variant = std::tuple<AttentionKind, at::ScalarType, bool>;

std::string name_of(const ::testing::TestParamInfo<Variant>& test) {
  static const char* const kinds[] = {"Packed", "Sdpa", "Eager"};
  const auto& [kind, type, causal] = test.param;
  return std::string(kinds[static_cast<int>(kind)]) + c10::toString(type) + (causal ? "Causal" : "");
}

class DecoderAttention : public ::testing::TestWithParam<Variant> {};
INSTANTIATE_TEST_SUITE_P(, DecoderAttention,
                         ::testing::Combine(::testing::Values(AttentionKind::packed, AttentionKind::sdpa,
                                                              AttentionKind::eager),
                                            ::testing::Values(at::kFloat, at::kBFloat16), ::testing::Bool()),
                         name_of);

TEST_P(DecoderAttention, EqualsADoubleLoop) {
  const auto [kind, type, causal] = GetParam();
  // bf16 rounds results to 8 bits; libtorch also rounds weights and their gradients
  const double tolerance = type == at::kFloat ? 2e-5 : 3e-2;
  at::manual_seed(21);
  for (const auto& of : cases) {
    const auto rows = of.rows();
    const auto leaf = [&](int64_t size, int64_t heads) {
      return at::randn({size, heads * of.d}).to(type).requires_grad_();
    };
    const auto q = leaf(rows.q_offsets.back(), of.heads), k = leaf(rows.k_offsets.back(), of.key_heads),
               v = leaf(rows.k_offsets.back(), of.key_heads);
    const auto found = attend(
        {.q = q, .k = k, .v = v, .rows = rows, .head_size = of.d, .scale = of.scale, .causal = causal, .kind = kind});
    EXPECT_EQ(found.out.scalar_type(), type);
    const auto by = probe(found.out);
    (found.out * by).sum().backward();

    const auto wide = [](const at::Tensor& t) { return t.detach().to(at::kDouble); };
    const Plain plain(of, causal, wide(q), wide(k), wide(v), wide(by));
    const auto expect = [&](const at::Tensor& tensor, const at::Tensor& expected, const char* what) {
      EXPECT_LT(largest_difference(tensor, expected), tolerance * (expected.abs().max().item<double>() + 0.1))
          << what << ", case " << &of - cases;
    };
    expect(found.out, plain.out, "out");
    expect(q.grad(), plain.dq, "by q");
    expect(k.grad(), plain.dk, "by k");
    expect(v.grad(), plain.dv, "by v");
    if (kind == AttentionKind::eager) expect(found.weights, plain.weights, "weights");
  }
}

// The result of a token is the same whether earlier tokens are computed with it or cached.
TEST(Attend, ATokenOverCachedKeysIsTheLastOfItsSequence) {
  at::manual_seed(22);
  constexpr int64_t n = 70, d = 16;
  const auto q = at::randn({n, 4 * d}), k = at::randn({n, 2 * d}), v = at::randn({n, 2 * d});
  for (const auto kind : {AttentionKind::packed, AttentionKind::sdpa, AttentionKind::eager}) {
    const auto whole =
        attend({.q = q, .k = k, .v = v, .rows = {{0, n}, {0, n}}, .head_size = d, .causal = true, .kind = kind});
    for (const int64_t last : {1, 3, 64}) {
      const auto step = attend({.q = q.slice(0, n - last),
                                .k = k,
                                .v = v,
                                .rows = {{0, last}, {0, n}},
                                .head_size = d,
                                .causal = true,
                                .kind = kind});
      EXPECT_LT(largest_difference(step.out, whole.out.slice(0, n - last)), 1e-5);
    }
  }
}

// With q = 0 and v = identity, rows of `out` are rows of attention weights: 1 / number of visible keys, or 0 if
// dropped.
TEST(Attend, CausalHeadsOfAGroupDropWeightsEachByItself) {
  at::manual_seed(23);
  constexpr int64_t n = 40, heads = 6;
  const auto zeros = at::zeros({n, heads * n}), keys = at::zeros({n, 2 * n}), v = at::eye(n).repeat({1, 2});
  const auto out =
      attend({.q = zeros, .k = keys, .v = v, .rows = {{0, n}, {0, n}}, .head_size = n, .causal = true, .dropout = 0.5})
          .out.view({n, heads, n});
  const auto seen = at::arange(n) <= at::arange(n).view({n, 1});
  for (int64_t head = 0; head < heads; head++) {
    const auto kept = out.select(1, head).ne(0);
    EXPECT_FALSE(kept.logical_and(seen.logical_not()).any().item<bool>());
    EXPECT_NEAR(kept.sum().item<double>() / (n * (n + 1) / 2), 0.5, 5 * std::sqrt(0.25 / (n * (n + 1) / 2)));
    for (int64_t other = 0; other < head; other++) EXPECT_FALSE(kept.equal(out.select(1, other).ne(0)));
  }
}

TEST(Attend, SaysWhatDoesNotFit) {
  const auto x = at::randn({4, 12}), wide = at::randn({4, 24});
  const AttentionRows rows = {{0, 4}, {0, 4}};
  const auto message = [](const AttentionRequest& request) -> std::string {
    try {
      attend(request);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(message({.q = x, .k = x, .v = x, .rows = rows, .head_size = 5}), HasSubstr("multiples of 5"));
  EXPECT_THAT(message({.q = x, .k = wide, .v = wide, .rows = rows, .head_size = 4}), HasSubstr("12, 24 and 24"));
  EXPECT_THAT(message({.q = x, .k = x, .v = wide, .rows = rows, .head_size = 4}), HasSubstr("12, 12 and 24"));
  EXPECT_THAT(message({.q = x, .k = x, .v = x, .rows = rows, .head_size = 4, .scale = 0}), HasSubstr("scale is 0"));
  EXPECT_THAT(message({.q = x, .k = x, .v = x, .rows = {{0, 1, 4}, {0, 2, 4}}, .head_size = 4, .causal = true}),
              HasSubstr("sequence 1 has 3 queries and 2 keys"));
}

}  // namespace
}  // namespace sartor::transformer
