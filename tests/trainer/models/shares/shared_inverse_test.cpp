// Ranks that invert a matrix together, and EASE, which they train by that.
#include <gmock/gmock.h>

#include <cmath>

#include "base/random.h"
#include "interactions/write_prepared.h"
#include "linear/invert_spd.h"
#include "models/factorization/shares/rank_peers.h"
#include "models/filters/ease.h"
#include "support/folder_test.h"
#include "support/made_ratings.h"
#include "support/thread_ranks.h"

namespace sartor {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int64_t strip = 1024;  // rows that a rank computes together

std::vector<float> diagonally_dominant(int64_t n) {
  std::vector<float> matrix(n * n);
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j <= i; j++) {
      const bool present = random_bits(1, i * n + j) % 16 == 0;
      matrix[i * n + j] = matrix[j * n + i] = i == j    ? 40
                                              : present ? static_cast<float>(random_normal(2, i * n + j))
                                                        : 0;
    }
  }
  return matrix;
}

// What other ranks compute is not a number at first, so that each needs their parts.
TEST(SharedInverse, HasTheBitsOfOneProcess) {
  for (const int64_t n : {1025, 2600}) {
    const auto matrix = diagonally_dominant(n);
    auto one = matrix;
    auto alone = cuda::Context::cpu(2);
    cuda::invert_spd(alone, {{one.data(), n, n}});
    for (const int size : {2, 3}) {
      testing::on_threads(size, [&](Collective& ranks) {
        auto own = matrix;
        for (int64_t row = 0; row < n; row++) {
          if (row / strip % size != ranks.rank()) std::fill_n(own.begin() + row * n, n, NAN);
        }
        auto context = cuda::Context::cpu(1);
        RankPeers peers(ranks);
        cuda::invert_spd(context, {{own.data(), n, n}, &peers});
        EXPECT_TRUE(own == one) << n << " on " << size;
        return 0;
      });
    }
  }
}

TEST(SharedInverse, AllRanksFindThatThereIsNone) {
  constexpr int64_t n = 1100;
  std::vector<float> matrix(n * n);
  for (int64_t i = 0; i < n; i++) matrix[i * n + i] = i == 1050 ? -1.0f : 1.0f;
  testing::on_threads(2, [&](Collective& ranks) {
    auto own = matrix;
    auto context = cuda::Context::cpu(1);
    RankPeers peers(ranks);
    EXPECT_THAT(
        [&] {
          cuda::invert_spd(context, {{own.data(), n, n}, &peers});
        },
        ThrowsMessage<std::invalid_argument>(HasSubstr("not positive definite: pivot 1050 is -1")));
    return 0;
  });
}

class SharedEase : public testing::FolderTest {};

TEST_F(SharedEase, IsThatOfOneProcess) {
  constexpr int64_t users = 1300, items = 1100;
  testing::MadeRatings source(users, items, [](int64_t cell) {
    return random_bits(1, cell) % 50 < 1 + uint64_t(cell % 3) ? std::optional(1.0f) : std::nullopt;
  });
  datasets::write_prepared(path("prepared.h5"), datasets::collect(source, {}, folder_), {.test = 0.1, .seed = 3},
                           {"{}", "hash"});
  const auto trained = [&](Collective& ranks, int threads) {
    const auto data = datasets::open_prepared(path("prepared.h5"));
    auto context = cuda::Context::cpu(threads);
    Ease ease({.regularization = 30}, data, context, &ranks);
    ease.train_epoch();
    return dynamic_cast<const EaseModel&>(*ease.model()).inverse;
  };
  Alone alone;
  const auto one = trained(alone, 2);
  EXPECT_EQ(one->size(), size_t{items * items});
  for (const auto& found : testing::on_threads(2, [&](Collective& ranks) { return trained(ranks, 1); })) {
    EXPECT_TRUE(*found == *one);
  }
}

}  // namespace
}  // namespace sartor
