// Values that another thread makes ahead of time. Also run with ThreadSanitizer.
#include "optimization/ahead.h"

#include <gmock/gmock.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>

namespace sartor {
namespace {

using ::testing::ThrowsMessage;
using Value = std::unique_ptr<int64_t>;

TEST(Ahead, GivesAllValuesInOrder) {
  for (const int64_t most : {0, 1, 3, 100}) {
    Ahead<Value> ahead(5, 205, most, [](int64_t i) { return std::make_unique<int64_t>(i); });
    for (int64_t i = 5; i < 205; i++) ASSERT_EQ(*ahead.next(), i) << most;
  }
}

TEST(Ahead, IsNeverFurtherAheadThanAsked) {
  std::atomic<int64_t> taken = 0, furthest = 0;
  Ahead<int64_t> ahead(0, 2000, 3, [&](int64_t i) {
    furthest = std::max<int64_t>(furthest, i - taken);
    return i;
  });
  for (int64_t i = 0; i < 2000; i++) {
    EXPECT_EQ(ahead.next(), i);
    taken++;
  }
  EXPECT_LE(furthest, 4);  // one is made while three are ready and one is being taken
}

TEST(Ahead, MakesValuesWhenTheyAreAskedForWithoutAThread) {
  const auto mine = std::this_thread::get_id();
  int64_t made = 0;
  Ahead<int64_t> ahead(0, 3, 0, [&](int64_t i) {
    EXPECT_EQ(std::this_thread::get_id(), mine);
    made++;
    return i;
  });
  EXPECT_EQ(made, 0);
  EXPECT_EQ(ahead.next(), 0);
  EXPECT_EQ(made, 1);
}

TEST(Ahead, FailsAtTheValueThatFailed) {
  for (const int64_t most : {0, 1, 4}) {
    Ahead<int64_t> ahead(0, 10, most, [](int64_t i) {
      if (i == 3) throw std::invalid_argument("row 3 is broken");
      return i;
    });
    for (int64_t i = 0; i < 3; i++) EXPECT_EQ(ahead.next(), i);
    EXPECT_THAT([&] { ahead.next(); }, ThrowsMessage<std::invalid_argument>("row 3 is broken"));
  }
}

TEST(Ahead, StopsWithValuesThatNobodyTakes) {
  std::atomic<int64_t> made = 0;
  for (const int64_t taken : {0, 1, 7}) {
    Ahead<std::string> ahead(0, 1'000'000, 2, [&](int64_t i) {
      made++;
      return std::to_string(i);
    });
    for (int64_t i = 0; i < taken; i++) EXPECT_EQ(ahead.next(), std::to_string(i));
  }
  EXPECT_LE(made, 3 * 3 + 8);
}

TEST(Ahead, MayHaveNothingToMake) {
  Ahead<int64_t> ahead(4, 4, 2, [](int64_t) -> int64_t { throw std::logic_error("asked for"); });
}

}  // namespace
}  // namespace sartor
