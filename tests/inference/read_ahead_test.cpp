// Reading ahead: when the next window is read.
#include "jobs/read_ahead.h"

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <vector>

namespace sartor::inference {
namespace {

struct Window {
  int number = 0;
  bool ends_part = false;
};

class ReadAheadTest : public ::testing::Test {
 protected:
  // Windows of parts with these numbers of windows.
  ReadAhead<Window> reader(std::vector<int> parts, bool shared) {
    std::vector<Window> windows;
    for (const int part : parts) {
      for (int i = 1; i <= part; i++) windows.push_back({static_cast<int>(windows.size()), i == part});
    }
    return ReadAhead<Window>(
        [this, windows]() -> std::optional<Window> {
          const auto i = static_cast<size_t>(read());
          return i < windows.size() ? std::optional(windows[i]) : std::nullopt;
        },
        shared);
  }
  // Returns once there were so many reads.
  void expect_reads(int reads) const {
    for (int seen = reads_; seen < reads; seen = reads_) reads_.wait(seen);
    EXPECT_EQ(reads_, reads);
  }
  // Counts a read that takes this long.
  int read(std::chrono::milliseconds time = {}) {
    const auto begin = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begin < time) continue;
    const int before = reads_++;
    reads_.notify_all();
    return before;
  }

  std::atomic<int> reads_ = 0;
};

TEST_F(ReadAheadTest, GivesAllWindowsInOrder) {
  for (const bool shared : {false, true}) {
    reads_ = 0;
    auto ahead = reader({1, 2, 1, 3}, shared);
    for (int number = 0; number < 7; number++) EXPECT_EQ(ahead.next()->number, number);
    EXPECT_FALSE(ahead.next());
  }
}

TEST_F(ReadAheadTest, ReadsAtOnceWhatNoOneElseTakes) {
  auto alone = reader({1, 1}, /*shared=*/false);
  alone.next();
  expect_reads(2);
  reads_ = 0;
  auto shared = reader({2, 1}, /*shared=*/true);
  shared.next();
  expect_reads(2);
}

TEST_F(ReadAheadTest, ReadsTheNextSharedPartNearTheEndOfThisOne) {
  auto ahead = reader({1, 1}, /*shared=*/true);
  ahead.next();
  ahead.progress(0);
  EXPECT_EQ(reads_, 1);
  ahead.progress(1);
  expect_reads(2);
  ahead.progress(1);
  EXPECT_EQ(ahead.next()->number, 1);
  EXPECT_FALSE(ahead.next());
  EXPECT_EQ(reads_, 3);
}

TEST_F(ReadAheadTest, ReadsAtOnceIfReadingTakesLong) {
  ReadAhead<Window> ahead(
      [this] {
        return std::optional(Window{read(std::chrono::milliseconds(2)), true});
      },
      /*shared=*/true);
  ahead.next();
  ahead.next();
  expect_reads(3);
}

TEST_F(ReadAheadTest, ErrorsSurfaceWithTheirWindow) {
  ReadAhead<Window> ahead(
      [this]() -> std::optional<Window> {
        if (read() == 1) throw std::invalid_argument("坏");
        return Window{};
      },
      /*shared=*/false);
  EXPECT_TRUE(ahead.next());
  EXPECT_THROW(ahead.next(), std::invalid_argument);
}

}  // namespace
}  // namespace sartor::inference
