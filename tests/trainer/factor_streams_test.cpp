// Ratings that exceed the device's memory arrive in blocks of rows: the same factors, bit for bit.
#include <gmock/gmock.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <future>
#include <regex>

#include "base/random.h"
#include "core/gpu/module.h"
#include "interactions/write_prepared.h"
#include "models/factorization/als/als.h"
#include "models/factorization/als/ials.h"
#include "models/factorization/device_memory.h"
#include "models/factorization/rating_blocks.h"
#include "support/elsewhere.h"
#include "support/folder_test.h"
#include "support/made_ratings.h"
#include "support/thread_ranks.h"

namespace sartor {
namespace {

using cuda::Context;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// The ratings of row r: columns r, r + 1, ...
class Rows {
 public:
  explicit Rows(const std::vector<int64_t>& counts) {
    for (const int64_t count : counts) {
      for (int64_t at = 0; at < count; at++) {
        columns.push_back(static_cast<int32_t>(std::ssize(offsets) - 1 + at));
        values.push_back(static_cast<float>(random_normal(1, std::ssize(values))));
      }
      offsets.push_back(std::ssize(columns));
    }
  }

  int64_t count() const { return std::ssize(offsets) - 1; }

  RatingBlocks blocks(Context& context, int64_t memory) { return blocks(context, memory, {0, count()}); }
  RatingBlocks blocks(Context& context, int64_t memory, const std::vector<int64_t>& pieces) {
    RatingBlocks made(
        context, offsets, pieces, memory, [this](int64_t begin, int64_t end, auto to_columns, auto to_values) {
          read_again++;
          std::copy_n(columns.begin() + offsets[begin], offsets[end] - offsets[begin], to_columns.begin());
          std::copy_n(values.begin() + offsets[begin], offsets[end] - offsets[begin], to_values.begin());
        });
    for (int64_t at = 0; at < made.size(); at += 5) {  // not at the bounds of rows
      const auto count = static_cast<size_t>(std::min<int64_t>(5, made.size() - at));
      made.write(at, std::span(columns).subspan(at, count), std::span(values).subspan(at, count));
    }
    return made;
  }

  // All blocks in order have these ratings. Returns the numbers of their rows. For memory that the host can read.
  std::vector<int64_t> expect_in(RatingBlocks& blocks, int64_t pieces = 1) const {
    std::vector<int64_t> rows;
    int64_t next = 0;
    const auto expect = [&](int64_t first, const cuda::Csr<const float>& ratings) {
      EXPECT_EQ(first, next);
      next += ratings.rows;
      rows.push_back(ratings.rows);
      for (int64_t row = 0; row <= ratings.rows; row++) {
        EXPECT_EQ(ratings.offsets[row], offsets[first + row] - offsets[first]);
      }
      for (int64_t at = 0; at < ratings.offsets[ratings.rows]; at++) {
        EXPECT_EQ(ratings.columns[at], columns[offsets[first] + at]);
        EXPECT_EQ(ratings.values[at], values[offsets[first] + at]);
      }
    };
    for (int64_t piece = 0; piece < pieces; piece++) blocks.each(piece, expect);
    EXPECT_EQ(next, count());
    return rows;
  }

  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> columns;
  std::vector<float> values;
  int read_again = 0;
};

TEST(RatingBlocks, HaveAllRowsInOrder) {
  for (const bool gpu : {false, true}) {
    Context context = gpu ? testing::elsewhere() : Context::cpu(1);
    Rows rows({2, 0, 3, 1, 0, 0, 9, 1, 1});
    const int64_t whole = RatingBlocks::whole_bytes(rows.offsets), least = RatingBlocks::least_bytes(rows.offsets);
    EXPECT_EQ(whole, 17 * 8 + 10 * 8);
    EXPECT_EQ(least, 2 * (9 * 8 + 2 * 8));
    for (const auto& [memory, expected] : {std::pair(whole, std::vector<int64_t>{9}),
                                           {whole - 1, {6, 2, 1}},
                                           {least, {4, 2, 1, 2}},
                                           {1, {1, 1, 1, 1, 1, 1, 1, 1, 1}}}) {
      RatingBlocks blocks = rows.blocks(context, memory);
      rows.read_again = 0;
      EXPECT_EQ(blocks.blocks(), std::ssize(expected));
      for (int time = 0; time < 3; time++) EXPECT_EQ(rows.expect_in(blocks), expected) << memory;
      // On a GPU ratings come from memory of the host, on the CPU they are read again.
      EXPECT_EQ(rows.read_again, gpu || memory == whole ? 0 : 3 * blocks.blocks()) << memory;
    }
  }
}

// No block extends over the end of a piece; pieces may be empty.
TEST(RatingBlocks, EndWithTheirPieces) {
  for (const bool gpu : {false, true}) {
    Context context = gpu ? testing::elsewhere() : Context::cpu(1);
    Rows rows({2, 0, 3, 1, 0, 0, 9, 1, 1});
    for (const auto& [memory, expected] : {std::pair(int64_t{1000}, std::vector<int64_t>{2, 5, 2}),
                                           {RatingBlocks::least_bytes(rows.offsets), {2, 4, 1, 2}}}) {
      RatingBlocks blocks = rows.blocks(context, memory, {0, 0, 2, 7, 7, 9});
      for (int time = 0; time < 3; time++) EXPECT_EQ(rows.expect_in(blocks, 5), expected) << memory;
    }
  }
}

TEST(RatingBlocks, MayBeEmpty) {
  Context context = Context::cpu(1);
  for (const auto& [counts, blocks] : {std::pair(std::vector<int64_t>{}, 0), {{0}, 1}, {{0, 0, 0}, 3}}) {
    Rows rows(counts);
    RatingBlocks made = rows.blocks(context, 0);
    EXPECT_EQ(made.blocks(), blocks);
    rows.expect_in(made);
  }
}

TEST(RatingBlocks, FaultsOfReadingAgainAreThrown) {
  Context context = Context::cpu(1);
  RatingBlocks blocks(context, {0, 1, 2, 3}, std::array<int64_t, 2>{0, 3}, 1, [](int64_t begin, int64_t, auto, auto) {
    if (begin == 1) throw std::invalid_argument("the file 评分.h5 has changed");
  });
  std::vector<int64_t> used;
  const auto use = [&](int64_t first, const auto&) { used.push_back(first); };
  EXPECT_THAT([&] { blocks.each(0, use); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("the file 评分.h5 has changed")));
  EXPECT_THAT(used, ElementsAre(0));
}

// Copies that write down their calls.
class Recorded : public cuda::Copies {
 public:
  explicit Recorded(std::string& calls) : calls_(calls) {}
  void* allocate_host(size_t bytes) override { return std::malloc(bytes); }
  void release_host(void* memory) noexcept override { std::free(memory); }
  void start(void* to, const void* from, size_t bytes) override {
    calls_ += "copy ";
    std::memcpy(to, from, bytes);
  }
  void start_out(void*, const void*, size_t) override { calls_ += "copy_out "; }
  void wait() override { calls_ += "wait "; }
  void hold_operations() override { calls_ += "hold_operations "; }
  void hold_copies() override { calls_ += "hold_copies "; }

 private:
  std::string& calls_;
};

// A block is used after its copies, and the next one, which overwrites the block before, is copied meanwhile: after the
// operations of that block were enqueued, and before those of this one.
TEST(RatingBlocks, TheNextOneIsCopiedWhileOneIsUsed) {
  Context context = testing::elsewhere();
  std::string calls;
  RatingBlocks blocks(context, {0, 1, 2, 3}, std::array<int64_t, 3>{0, 1, 3}, 1, nullptr,
                      std::make_unique<Recorded>(calls));
  const auto use = [&](int64_t first, const auto&) { calls += "use_" + std::to_string(first) + " "; };
  blocks.each(0, use);
  blocks.each(1, use);
  EXPECT_EQ(calls,
            "hold_copies copy copy copy "
            "hold_operations hold_copies copy copy copy use_0 "
            "hold_operations hold_copies copy copy copy use_1 "
            "hold_operations use_2 ");
}

TEST(RatingBlocks, TheNextOneIsReadWhileOneIsUsed) {
  Context context = Context::cpu(1);
  std::promise<void> used_first;
  const auto being_used = used_first.get_future();
  RatingBlocks blocks(context, {0, 1, 2}, std::array<int64_t, 2>{0, 2}, 1, [&](int64_t begin, int64_t, auto, auto) {
    if (begin == 0) return;
    EXPECT_EQ(being_used.wait_for(std::chrono::seconds(60)), std::future_status::ready);
  });
  blocks.each(0, [&](int64_t first, const auto&) {
    if (first == 0) used_first.set_value();
  });
}

constexpr int64_t users = 301, items = 97;

std::optional<float> rating_of(int64_t cell) {
  if (random_bits(1, cell) % 100 < uint64_t(cell % items)) return {};
  return static_cast<float>(1 + random_bits(2, cell) % 5);
}

class FactorStreams : public testing::FolderTest {
 protected:
  FactorStreams() : path_(path("prepared.h5")) {
    testing::MadeRatings source(users, items, rating_of);
    datasets::write_prepared(path_, datasets::collect(source, {}, folder_), {.test = 0.1, .seed = 3}, {"{}", "hash"});
  }

  template <class Algorithm> auto train(const typename Algorithm::Config& config, Context context,
                                        std::optional<int64_t> memory = {}, Collective* ranks = nullptr) const {
    const auto data = datasets::open_prepared(path_);
    Algorithm algorithm(config, data, context, ranks, memory);
    for (int epoch = 0; epoch < 2; epoch++) algorithm.train_epoch();
    return algorithm.factors();
  }

  // The least memory that suffices, as the error says.
  template <class Algorithm> int64_t least(const typename Algorithm::Config& config, Context context) const {
    const auto data = datasets::open_prepared(path_);
    try {
      Algorithm(config, data, context, nullptr, 1);
    } catch (const std::invalid_argument& error) {
      const std::string text = error.what();
      std::smatch found;
      EXPECT_TRUE(std::regex_match(
          text, found,
          std::regex("max_device_memory is 1, training needs at least (\\d+) bytes of device memory "
                     "\\(\\d+ of factors, \\d+ of scratch, \\d+ of ratings in the smallest blocks\\)")))
          << text;
      return found.size() > 1 ? std::stoll(found[1]) : 0;
    }
    ADD_FAILURE() << "one byte suffices";
    return 0;
  }

  // With a fifth of the memory of the ratings, and with the least that suffices.
  template <class Algorithm>
  void expect_same(const typename Algorithm::Config& config, const std::function<Context()>& context) const {
    const auto data = datasets::open_prepared(path_);
    const auto whole = train<Algorithm>(config, context());
    const int64_t smallest = least<Algorithm>(config, context()), rated = data.train.size();
    for (const int64_t memory : {smallest, smallest + 2 * rated * 8 / 5}) {
      const auto model = train<Algorithm>(config, context(), memory);
      EXPECT_TRUE(model.user_factors == whole.user_factors && model.item_factors == whole.item_factors) << memory;
      EXPECT_TRUE(model.item_bias == whole.item_bias) << memory;
    }
    EXPECT_THROW(train<Algorithm>(config, context(), smallest - 1), std::invalid_argument);
  }

  std::string path_;
};

TEST_F(FactorStreams, AlsFindsTheSameBits) {
  for (const auto& config : {AlsConfig{.factors = 7}, AlsConfig{.factors = 70, .biases = false}}) {
    expect_same<Als>(config, [] { return Context::cpu(2); });
    expect_same<Als>(config, [] { return testing::elsewhere(); });
  }
}

TEST_F(FactorStreams, ImplicitAlsFindsTheSameBits) {
  using cuda::ImplicitSolver;
  for (const auto solver : {ImplicitSolver::cg, ImplicitSolver::cholesky, ImplicitSolver::block}) {
    const IalsConfig config = {.factors = 20, .threshold = 2, .solver = solver, .block = 8};
    expect_same<Ials>(config, [] { return Context::cpu(2); });
  }
}

TEST_F(FactorStreams, AlsFindsTheSameBitsOnTheGpu) {
  std::string why_not;
  if (cuda::gpu_count(&why_not) == 0) GTEST_SKIP() << why_not;
  expect_same<Als>({.factors = 7}, [] { return Context::gpu(); });
}

TEST_F(FactorStreams, RanksFindTheSameBits) {
  const AlsConfig config = {.factors = 7};
  const auto whole = train<Als>(config, Context::cpu(1));
  const int64_t memory = least<Als>(config, testing::elsewhere());
  for (const auto& model : testing::on_threads(
           3, [&](Collective& ranks) { return train<Als>(config, testing::elsewhere(), memory, &ranks); })) {
    EXPECT_TRUE(model.user_factors == whole.user_factors && model.item_bias == whole.item_bias);
  }
}

TEST_F(FactorStreams, EachSideGetsHalfOrWhatItsLongestRowNeeds) {
  Context context = Context::cpu(1);
  const std::vector<int64_t> offsets = {0, 10, 20, 30, 40}, one = {0, 90, 91};
  const auto plan = [&](const auto& users, const auto& items, int64_t left) {
    const auto [of_users, of_items] = plan_memory(
        context, 1000 + left, {.factors = 700, .scratch = 300, .user_offsets = users, .item_offsets = items});
    EXPECT_LE(of_users + of_items, left);
    return of_users;
  };
  EXPECT_EQ(plan(offsets, offsets, 720), 360);  // all of it
  EXPECT_EQ(plan(offsets, offsets, 719), 359);
  EXPECT_EQ(plan(one, offsets, 752 + 192), 752);  // the longest row takes most
  EXPECT_EQ(plan(offsets, one, 752 + 192), 192);
  EXPECT_THROW(plan(offsets, one, 752 + 191), std::invalid_argument);
  EXPECT_NO_THROW(plan_memory(context, {}, {int64_t{1} << 60, int64_t{1} << 60, offsets, offsets}));
}

}  // namespace
}  // namespace sartor
