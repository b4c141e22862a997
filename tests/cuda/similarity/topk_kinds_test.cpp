// topk with every similarity and precision, prepared items and sets of items, on every backend.
#include <gmock/gmock.h>

#include <cmath>

#include "cuda/similarity/topk_support.h"

namespace sartor::cuda {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr Similarity similarities[] = {Similarity::cosine, Similarity::centred_cosine, Similarity::dot};
constexpr TopkPrecision precisions[] = {TopkPrecision::fp32, TopkPrecision::tf32, TopkPrecision::fp16,
                                        TopkPrecision::bf16};

// Calls check(params) for every combination.
void each_kind(int64_t k, const auto& check) {
  for (const Similarity similarity : similarities) {
    for (const TopkPrecision precision : precisions) {
      SCOPED_TRACE(
          fmt::format("similarity {}, precision {}", static_cast<int>(similarity), static_cast<int>(precision)));
      check(TopkParams{.k = k, .similarity = similarity, .precision = precision});
    }
  }
}

std::vector<uint32_t> random_bits(int64_t size, double probability, uint64_t seed) {
  std::vector<uint32_t> words((size + 31) / 32);
  for (const int32_t id : RandomLists(1, size, probability, seed).ids) words[id / 32] |= 1u << id % 32;
  return words;
}

std::vector<float> bias_for(const TopkParams& params, int64_t items) {
  return params.similarity == Similarity::dot ? normals(items, 7) : std::vector<float>();
}

// Sizes around the GPU's tiles of 128 x 128 and words of 32 items; up to 16 queries, which a GPU searches in its own
// way, and more; small and large k; rows of several tiles of columns, aligned to 16 bytes or not; primes.
class TopkKindsOfShape : public BackendTest<TopkShape> {};
INSTANTIATE_BACKENDS(TopkKindsOfShape, TopkShape{1, 1, 1, 1}, TopkShape{1, 131, 40, 131}, TopkShape{5, 1009, 37, 10},
                     TopkShape{16, 96, 2, 1}, TopkShape{17, 257, 24, 1}, TopkShape{129, 127, 33, 20},
                     TopkShape{127, 129, 8, 129}, TopkShape{128, 128, 16, 128}, TopkShape{20, 1501, 5, 700},
                     TopkShape{40, 300, 200, 5}, TopkShape{70, 140, 201, 30}, TopkShape{257, 300, 3, 7});

TEST_P(TopkKindsOfShape, EqualADoubleLoop) {
  const auto [q, n, d, k] = shape();
  each_kind(k, [&](const TopkParams& params) {
    expect_double_loop(context(), {normal_rows(q, d, 1), normal_rows(n, d, 2), bias_for(params, n)}, params);
  });
}

TEST_P(TopkKindsOfShape, FindOnlyItemsThatAllMasksPermit) {
  const auto [q, n, d, k] = shape();
  const RandomLists excluded(q, n, 0.3, 5);
  each_kind(k, [&](const TopkParams& params) {
    TopkInputs inputs = {normal_rows(q, d, 3),   normal_rows(n, d, 4),  bias_for(params, n), &excluded,
                         random_bits(n, 0.8, 6), random_bits(n, 0.2, 7)};
    expect_double_loop(context(), inputs, params);
    inputs.excluded = nullptr;
    inputs.denied.clear();
    expect_double_loop(context(), inputs, params);
  });
}

TEST_P(TopkKindsOfShape, PreparedItemsGiveTheSameBits) {
  const auto [q, n, d, k] = shape();
  each_kind(k, [&](const TopkParams& params) {
    const DeviceSearch first(context(), {normal_rows(q, d, 1), normal_rows(n, d, 2), bias_for(params, n)});
    const DeviceSearch second(context(), {normal_rows(q, d, 3), normal_rows(n, d, 2), bias_for(params, n)});
    const TopkItems prepared(context(), first.items(), params.similarity, params.precision);
    EXPECT_EQ(prepared.count(), n);
    EXPECT_EQ(prepared.columns(), d);
    for (const DeviceSearch* search : {&first, &second}) {
      const auto found = search->run(params, &prepared), expected = search->run(params);
      EXPECT_EQ(found.ids, expected.ids);
      EXPECT_EQ(found.scores, expected.scores);
    }
  });
}

class TopkKinds : public BackendTest<> {
 protected:
  // Scores of the items for one query, by item.
  std::vector<float> scores(const Matrix& query, const Matrix& items, TopkParams params) {
    params.k = items.rows;
    const auto found = run(context(), {query, items}, params);
    std::vector<float> scores(items.rows);
    for (int64_t rank = 0; rank < params.k; rank++) scores[found.ids[rank]] = found.scores[rank];
    return scores;
  }
};
INSTANTIATE_BACKENDS(TopkKinds, NoShape{});

// Rounding to nearest, ties to even, also below 2^-14, where fp16 has fewer bits. Each row is divided by its scale 1
// before rounding; its first column is 0.75.
TEST_P(TopkKinds, ElementsAreRoundedToNearestEven) {
  struct Rounded {
    float given, fp16, bf16;
  };
  const float d16 = 0x1p-11f, d8 = 0x1p-8f;  // distance of the numbers between 0.5 and 1
  const Rounded cases[] = {{0.5f + d16 / 2, 0.5f, 0.5f},
                           {0.5f + d16 * 3 / 2, 0.5f + 2 * d16, 0.5f},
                           {0.5f + d16 * 0.75f, 0.5f + d16, 0.5f},
                           {-0.5f - d8 / 2, -0.5f - d8 / 2, -0.5f},
                           {0.5f + d8 * 3 / 2, 0.5f + d8 * 3 / 2, 0.5f + 2 * d8},
                           {0x1p-25f, 0, 0x1p-25f},
                           {0x1.8p-24f, 0x1p-23f, 0x1.8p-24f},
                           {-0x1.2p-25f, -0x1p-24f, -0x1.2p-25f},
                           {0x1.ffcp-15f, 0x1p-14f, 0x1p-14f}};
  Matrix items(std::size(cases), 2);
  for (int64_t j = 0; j < items.rows; j++) items.values[2 * j] = 0.75f, items.values[2 * j + 1] = cases[j].given;
  const Matrix query(1, 2, {0, 1});
  const auto fp16 = scores(query, items, {.similarity = Similarity::dot, .precision = TopkPrecision::fp16});
  const auto bf16 = scores(query, items, {.similarity = Similarity::dot, .precision = TopkPrecision::bf16});
  for (int64_t j = 0; j < items.rows; j++) {
    EXPECT_EQ(fp16[j], cases[j].fp16) << j;
    EXPECT_EQ(bf16[j], cases[j].bf16) << j;
  }
}

// Each row has its own scale, so that neither fp16 nor norms overflow.
TEST_P(TopkKinds, PowersOfTwoDoNotChangeRoundedCosines) {
  const auto queries = normal_rows(20, 33, 1), items = normal_rows(150, 33, 2);
  const auto scaled = [](Matrix rows, int bits) {
    for (int64_t r = 0; r < rows.rows; r++) {
      for (int64_t c = 0; c < rows.columns; c++) rows.row(r)[c] *= std::ldexp(1.0f, static_cast<int>(r % 3 - 1) * bits);
    }
    return rows;
  };
  each_kind(15, [&](const TopkParams& params) {
    if (params.similarity == Similarity::dot) return;
    const bool halves = params.precision == TopkPrecision::fp16 || params.precision == TopkPrecision::bf16;
    const int bits = halves ? 110 : 40;
    const auto found = run(context(), {queries, items}, params);
    const auto same = run(context(), {scaled(queries, bits), scaled(items, bits)}, params);
    EXPECT_EQ(found.ids, same.ids);
    EXPECT_EQ(found.scores, same.scores);
  });
}

TEST_P(TopkKinds, DotsOfLargeAndSmallRows) {
  const Matrix query(1, 2, {0x1p-100f, 0x1p-101f}), items(3, 2, {0x1p120f, 0, 0, -0x1p127f, 0x1p-20f, 0x1p-20f});
  each_kind(3, [&](const TopkParams& params) {
    if (params.similarity != Similarity::dot) return;
    EXPECT_THAT(scores(query, items, params), ElementsAre(0x1p20f, -0x1p26f, 0x1.8p-120f));
  });
}

// Rows of the matrix of the article S2 with 0 for missing ratings: correlations by numpy.corrcoef.
TEST_P(TopkKinds, CentredCosinesAreCorrelations) {
  const Matrix ratings(4, 4, {5, 4, 3, 0, 4, 5, 0, 3, 3, 0, 5, 4, 0, 3, 4, 5});
  for (const TopkPrecision precision : precisions) {
    const TopkParams params = {.similarity = Similarity::centred_cosine, .precision = precision};
    const auto found = scores(rows_of(ratings, {0}), ratings, params);
    const double correlations[] = {1, 2.0 / 7, -3.0 / 7, -6.0 / 7};
    for (int j = 0; j < 4; j++) EXPECT_NEAR(found[j], correlations[j], 1e-6) << j;
  }
}

TEST_P(TopkKinds, RowsWithoutVarianceHaveCorrelationZero) {
  Matrix items = normal_rows(40, 7, 1);
  std::fill_n(items.row(5), 7, 0.1f);
  std::fill_n(items.row(33), 7, -1e30f);
  for (const TopkPrecision precision : precisions) {
    const TopkParams params = {.similarity = Similarity::centred_cosine, .precision = precision};
    const auto found = scores(normal_rows(1, 7, 2), items, params);
    EXPECT_EQ(found[5], 0);
    EXPECT_EQ(found[33], 0);
    EXPECT_THAT(scores(rows_of(items, {5}), items, params), Each(0));
  }
}

TEST_P(TopkKinds, CorrelationsDoNotDependOnTheMeans) {
  Matrix items(100, 8), moved(100, 8);
  for (int64_t i = 0; i < std::ssize(items.values); i++) {
    items.values[i] = static_cast<float>(i * i % 23);
    moved.values[i] = items.values[i] + static_cast<float>(1000 * (i / 8));
  }
  for (const TopkPrecision precision : precisions) {
    const TopkParams params = {.k = 9, .similarity = Similarity::centred_cosine, .precision = precision};
    const auto found = run(context(), {items, items}, params), same = run(context(), {moved, moved}, params);
    EXPECT_EQ(found.ids, same.ids);
    EXPECT_EQ(found.scores, same.scores);
  }
}

TEST_P(TopkKinds, TiesGoToTheLowerIdAndZeroRowsScoreZero) {
  Matrix items = normal_rows(1, 5, 1);
  items = rows_of(items, std::vector<int32_t>(300, 0));  // all rows are equal
  std::fill_n(items.row(3), 5, 0.0f);
  for (const int64_t queries : {2, 40}) {
    each_kind(299, [&](const TopkParams& params) {
      const auto found = run(context(), {rows_of(items, std::vector<int32_t>(queries, 0)), items}, params);
      for (int64_t i = 0; i < queries * 299; i++) ASSERT_EQ(found.ids[i], i % 299 + (i % 299 > 2));
      const auto none = run(context(), {rows_of(items, std::vector<int32_t>(queries, 3)), items}, params);
      for (int64_t i = 0; i < queries * 299; i++) ASSERT_EQ(none.ids[i], i % 299);
      EXPECT_THAT(none.scores, Each(0));
    });
  }
}

TEST_P(TopkKinds, NotANumberIsNeverFound) {
  for (const float wrong : {std::numeric_limits<float>::quiet_NaN(), infinity}) {
    for (const int64_t queries : {3, 40}) {
      each_kind(50, [&](const TopkParams& params) {
        if (std::isinf(wrong) && params.similarity == Similarity::dot) return;
        Matrix items = normal_rows(50, 4, 1), rows = normal_rows(queries, 4, 2);
        items.row(11)[2] = wrong;
        rows.row(1)[3] = wrong;
        const auto found = run(context(), {rows, items}, params);
        for (int64_t q = 0; q < queries; q++) {
          const auto ids = std::span(found.ids).subspan(q * 50, 50);
          EXPECT_EQ(std::ranges::count(ids, -1), q == 1 ? 50 : 1) << q;
          EXPECT_EQ(std::ranges::count(ids, 11), 0) << q;
        }
      });
    }
  }
}

TEST_P(TopkKinds, SetsMayLeaveFewItemsOrNone) {
  for (const int64_t queries : {1, 30}) {
    each_kind(3, [&](const TopkParams& params) {
      TopkInputs inputs = {normal_rows(queries, 6, 1), normal_rows(100, 6, 2)};
      inputs.allowed = {0, 0, 0, 1u << 3 | 1u << 4};  // bit 4 of the last word would be item 100
      const auto last = run(context(), inputs, params);
      for (int64_t q = 0; q < queries; q++) {
        EXPECT_THAT(std::span(last.ids).subspan(q * 3, 3), ElementsAre(99, -1, -1));
      }
      inputs.denied = {0, 0, 0, 1u << 3};
      EXPECT_THAT(run(context(), inputs, params).ids, Each(-1));
      EXPECT_THAT(run(context(), inputs, params).scores, Each(-infinity));
    });
  }
}

// Queries are searched in several batches if there is little memory.
TEST_P(TopkKinds, AnyWorkspaceIsEnough) {
  const TopkInputs inputs = {normal_rows(150, 9, 1), normal_rows(200, 9, 2)};
  for (const int64_t bytes : {1, 1 << 16}) {
    for (const TopkPrecision precision : {TopkPrecision::fp32, TopkPrecision::fp16}) {
      for (const int64_t k : {7, 199}) {
        expect_double_loop(context(), inputs, {.k = k, .precision = precision, .workspace_bytes = bytes});
      }
    }
  }
}

TEST_P(TopkKinds, NoQueriesAndNoColumns) {
  each_kind(3, [&](const TopkParams& params) {
    EXPECT_TRUE(run(context(), {Matrix(0, 3), normal_rows(5, 3, 1)}, params).ids.empty());
    EXPECT_THAT(run(context(), {Matrix(2, 0), Matrix(5, 0)}, params).ids, ElementsAre(0, 1, 2, 0, 1, 2));
    EXPECT_THAT(run(context(), {Matrix(2, 0), Matrix(5, 0)}, params).scores, Each(0));
  });
}

TEST_P(TopkKinds, OnlyCentredAndRoundedItemsAreCopied) {
  const TopkInputs inputs = {normal_rows(1, 3, 1), normal_rows(5, 3, 2)};
  const DeviceSearch search(context(), inputs);
  each_kind(1, [&](const TopkParams& params) {
    const bool halves = params.precision == TopkPrecision::fp16 || params.precision == TopkPrecision::bf16;
    const bool copied = halves || params.similarity == Similarity::centred_cosine;
    const TopkItems items(context(), search.items(), params.similarity, params.precision);
    EXPECT_EQ(items.rows() == search.items().data, !copied);
    EXPECT_EQ(items.stride(), !copied || !context().is_gpu() ? 3 : halves ? 8 : 4);
    EXPECT_EQ(items.scale() != nullptr, context().is_gpu() && (halves || params.similarity != Similarity::dot));
    if (!copied) return;
    std::optional<DeviceRows> rows(std::in_place, context(), inputs.items);
    const TopkItems copy(context(), rows->view(), params.similarity, params.precision);
    rows.reset();
    EXPECT_EQ(search.run(params, &copy).scores, search.run(params).scores);
  });
}

TEST_P(TopkKinds, NamesTheFault) {
  const DeviceSearch search(context(), {Matrix(2, 3), Matrix(5, 3)});
  const TopkItems items(context(), search.items(), Similarity::cosine, TopkPrecision::fp32);
  const auto rejects = [&](const TopkParams& params, const char* message) {
    EXPECT_THAT([&] { search.run(params, &items); }, ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  };
  rejects({.k = 6}, "k is 6, there are 5 items");
  rejects({.k = 1, .similarity = Similarity::dot}, "the items are prepared for another similarity or precision");
  rejects({.k = 1, .precision = TopkPrecision::fp16}, "the items are prepared for another similarity or precision");
  rejects({.k = 1, .workspace_bytes = -1}, "workspace_bytes is -1");
  EXPECT_THAT(
      [&] {
        TopkItems(context(), {nullptr, 1LL << 31, 0}, Similarity::cosine, TopkPrecision::fp32);
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("2147483648 items, expected fewer than 2^31")));
}

TEST(TopkCpuKinds, TheSameBitsWhateverTheThreads) {
  const RandomLists excluded(300, 9000, 0.01, 3);
  const TopkInputs inputs = {normal_rows(300, 7, 1),    normal_rows(9000, 7, 2),  {}, &excluded,
                             random_bits(9000, 0.9, 4), random_bits(9000, 0.1, 5)};
  each_kind(20, [&](const TopkParams& params) {
    Context one = Context::cpu(1), several = Context::cpu(5);
    const auto expected = run(one, inputs, params), found = run(several, inputs, params);
    EXPECT_EQ(found.ids, expected.ids);
    EXPECT_EQ(found.scores, expected.scores);
  });
}

TEST(TopkRowScale, BringsTheLargestElementBetweenAHalfAndOne) {
  const auto scale = [](float largest) { return topk_row_scale(std::bit_cast<uint32_t>(largest)); };
  EXPECT_EQ(scale(0.5f), 1);
  EXPECT_EQ(scale(0.999f), 1);
  EXPECT_EQ(scale(1), 2);
  EXPECT_EQ(scale(3), 4);
  EXPECT_EQ(scale(0x1p-126f), 0x1p-125f);
  EXPECT_EQ(scale(0x1p-149f), 0x1p-126f);
  EXPECT_EQ(scale(0x1p126f), 0x1p127f);
  EXPECT_EQ(scale(std::numeric_limits<float>::max()), 0x1p127f);
  EXPECT_EQ(scale(0), 1);
  EXPECT_EQ(scale(infinity), 1);
  EXPECT_EQ(scale(std::numeric_limits<float>::quiet_NaN()), 1);
}

}  // namespace
}  // namespace sartor::cuda
