// Results and errors of rank 0 reach the other ranks.
#include "runtime/collective.h"

#include <gmock/gmock.h>

#include <stdexcept>

#include "support/told_ranks.h"

namespace sartor {
namespace {

using ::testing::StrEq;
using ::testing::ThrowsMessage;

std::string nothing() { throw std::logic_error("only the first rank works"); }

TEST(Collective, AllGetWhatTheFirstFinds) {
  std::vector<std::string> told;
  testing::Told first(0, 2, told), second(1, 2, told);
  for (const std::string found : {"", "找到 3", "2", "-", "a\nb"}) {
    EXPECT_EQ(on_first(first, [&] { return found; }), found);
    EXPECT_EQ(on_first(second, nothing), found);
  }
  Alone alone;
  EXPECT_EQ(on_first(alone, [] { return "x"; }), "x");
}

TEST(Collective, AllStopWhereTheFirstDoes) {
  std::vector<std::string> told;
  testing::Told first(0, 2, told), second(1, 2, told);
  const auto refuse = []() -> std::string { throw std::invalid_argument("夏季 exists"); };
  EXPECT_THAT([&] { on_first(first, refuse); }, ThrowsMessage<std::invalid_argument>(StrEq("夏季 exists")));
  EXPECT_THAT([&] { on_first(second, nothing); }, ThrowsMessage<std::invalid_argument>(StrEq("rank 0: 夏季 exists")));
  const auto fail = []() -> std::string { throw std::runtime_error("the disk is full"); };
  EXPECT_THAT([&] { on_first(first, fail); }, ThrowsMessage<std::runtime_error>(StrEq("the disk is full")));
  EXPECT_THAT([&] { on_first(second, nothing); }, ThrowsMessage<std::runtime_error>(StrEq("rank 0: the disk is full")));
  Alone alone;
  EXPECT_THAT([&] { on_first(alone, refuse); }, ThrowsMessage<std::invalid_argument>(StrEq("夏季 exists")));
}

}  // namespace
}  // namespace sartor
