// Runs each fuzz target on its corpus.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "fuzz/targets.h"
#include "support/paths.h"

namespace sartor::fuzz {
namespace {

TEST(FuzzCorpus, IsReadOrRefused) {
  for (const auto& [name, run] : targets) {
    const auto folder = std::filesystem::path(sartor::testing::source_path("tests/fuzz/corpus")) / name;
    int inputs = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      SCOPED_TRACE(entry.path());
      std::ifstream file(entry.path(), std::ios::binary);
      EXPECT_NO_THROW(run(std::string(std::istreambuf_iterator<char>(file), {}), true));
      inputs++;
    }
    EXPECT_GT(inputs, 5) << name;
  }
}

}  // namespace
}  // namespace sartor::fuzz
