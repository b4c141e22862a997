// docs/config.md and the published configs say what the programs do.
#include <algorithm>
#include <regex>
#include <sstream>

#include "integration/fixture.h"
#include "support/paths.h"

namespace sartor::testing {
namespace {

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Docs, ConfigIsCurrent) {
  std::string fields;
  for (const char* program : {"sartor-train", "sartor-infer"}) {
    fields += run_command({sartor::testing::program(program), "--help-config-markdown"}).out;
  }
  EXPECT_EQ(contents(sartor::testing::source_path("docs/config.md")), fields) << "renew it with scripts/docs.sh";
}

// So that ~ is understood in all of them.
TEST(Docs, PathsAreKnownAsPaths) {
  std::istringstream lines(contents(sartor::testing::source_path("docs/config.md")));
  for (std::string line; std::getline(lines, line);) {
    EXPECT_FALSE(
        std::regex_search(line, std::regex("^\\| `([^`]*[.])?(path|output|rejects|model|tokenizer)` \\| text")))
        << line;
  }
}

TEST(Docs, EveryPublishedConfigIsUnderstood) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(sartor::testing::source_path("configs"))) {
    if (entry.path().extension() != ".yaml") continue;
    const std::string text = contents(entry.path());
    const std::string named = "sartor-infer --config configs/" + entry.path().filename().string();
    const bool infers =
        std::ranges::any_of(std::vector<std::string>{"task: recommend", "task: similar", "task: embed", named},
                            [&](const std::string& word) { return text.find(word) != text.npos; });
    const Outcome outcome =
        run_command({infers ? sartor::testing::program("sartor-infer") : sartor::testing::program("sartor-train"),
                     "--config", entry.path().string(), "--dry-run"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(text.starts_with("# ")) << entry.path() << " says nothing of itself";
  }
}

}  // namespace
}  // namespace sartor::testing
