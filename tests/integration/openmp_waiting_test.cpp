// Spin count of OpenMP threads in the programs, as reported by libgomp.
#include <gmock/gmock.h>

#include "support/faults/faults.h"
#include "support/paths.h"

namespace sartor {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Outcome shown(const char* name, std::vector<std::string> environment = {}) {
  environment.emplace_back("OMP_DISPLAY_ENV=verbose");
  return run_command({testing::program(name), "--version"}, environment);
}

TEST(OpenmpWaiting, IsShort) {
  for (const auto* name : {"sartor-train", "sartor-infer"}) {
    const Outcome outcome = shown(name);
    EXPECT_EQ(outcome.status, 0);
    EXPECT_THAT(outcome.out, HasSubstr(name));
    EXPECT_THAT(outcome.err, HasSubstr("GOMP_SPINCOUNT = '2000'"));
  }
}

TEST(OpenmpWaiting, IsTheUsersToSet) {
  EXPECT_THAT(shown("sartor-train", {"GOMP_SPINCOUNT=77"}).err, HasSubstr("GOMP_SPINCOUNT = '77'"));
  EXPECT_THAT(shown("sartor-infer", {"OMP_WAIT_POLICY=ACTIVE"}).err, Not(HasSubstr("GOMP_SPINCOUNT = '2000'")));
}

}  // namespace
}  // namespace sartor
