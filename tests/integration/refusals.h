// Fixture for user errors: one error line, exit status 2, no partial output.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "integration/fixture.h"

namespace sartor::testing {

class Refusals : public Programs {
 protected:
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
      if (!entry.path().filename().string().starts_with("config-")) names.push_back(entry.path().string());
    }
    std::ranges::sort(names);
    return names;
  }

  // Number of error lines of the program; progress lines may precede them.
  static int64_t one_line(const std::string& text, const std::string& program) {
    const size_t at = text.find(program + ": ");
    return at == std::string::npos ? 0 : std::count(text.begin() + static_cast<int64_t>(at), text.end(), '\n');
  }

  // `said` is a regular expression for the error line.
  void refused(const std::string& program, const std::string& config, const std::string& said,
               const std::vector<std::string>& more = {}, const std::vector<std::string>& environment = {}) {
    SCOPED_TRACE(config);
    const auto before = files();
    const Outcome outcome = run_command(command(program, config, more), environment);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, ::testing::ContainsRegex(said));
    EXPECT_EQ(one_line(outcome.err, program), 1) << outcome.err;
    EXPECT_EQ(files(), before);
  }
};

}  // namespace sartor::testing
