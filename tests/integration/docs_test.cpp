// Checks of the documentation and the published configs.
#include <algorithm>
#include <regex>
#include <sstream>

#include <fmt/format.h>

#include "integration/fixture.h"
#include "support/bert_folders.h"
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
  EXPECT_EQ(contents(sartor::testing::source_path("docs/config.md")), fields) << "regenerate it with scripts/docs.sh";
}

// Fields for paths are declared as paths, which expand ~.
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
    const bool infers = std::ranges::any_of(
        std::vector<std::string>{"task: recommend", "task: similar", "task: embed", "task: generate", named},
        [&](const std::string& word) { return text.find(word) != text.npos; });
    const Outcome outcome =
        run_command({infers ? sartor::testing::program("sartor-infer") : sartor::testing::program("sartor-train"),
                     "--config", entry.path().string(), "--dry-run"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(text.starts_with("# ")) << entry.path() << " has no header comment";
    for (const std::string part : {"# data: ", "# run: ", "# expect: "}) {
      EXPECT_LT(text.find('\n' + part), text.find("\ntask: "))
          << entry.path() << " has no '" << part << "' in its header";
    }
  }
}

TEST(Docs, WhatPagesLinkToIsThere) {
  static const std::regex link(R"(\]\(([^)#]+))");
  std::vector<std::filesystem::path> pages = {source_path("README.md"), source_path("CONTRIBUTING.md")};
  for (const auto& entry : std::filesystem::directory_iterator(source_path("docs"))) {
    if (entry.path().extension() == ".md") pages.push_back(entry.path());
  }
  for (const auto& page : pages) {
    const std::string text = contents(page);
    for (std::sregex_iterator found(text.begin(), text.end(), link), end; found != end; ++found) {
      const std::string target = (*found)[1];
      if (target.find("://") != target.npos) continue;
      EXPECT_TRUE(std::filesystem::exists(page.parent_path() / target)) << page << " links to " << target;
    }
  }
}

class ConfigHeader : public WorkingFolderTest {
 protected:
  // Runs the command on the "run:" line of a config's header, with the programs on the PATH.
  static void follow(const std::string& config) {
    std::istringstream lines(contents(source_path("configs/" + config)));
    const auto programs = std::filesystem::path(program("sartor-infer")).parent_path().string();
    std::string command;
    for (std::string line; std::getline(lines, line) && line.starts_with("#");) {
      if (line.starts_with("# run: ")) command = line.substr(line.find(" sartor-"));
    }
    const auto outcome = run_command({"/bin/sh", "-c", "PATH=" + programs + ":$PATH; " + command});
    ASSERT_EQ(outcome.status, 0) << command << "\n" << outcome.err;
  }
};

TEST_F(ConfigHeader, OfEmbeddingsIsEnoughInAFreshClone) {
  std::filesystem::create_directory_symlink(source_path("configs"), "configs");
  auto model = small_bert();
  model.max_position_embeddings = 256;
  write_bert_folder("data/minilm", model);
  std::filesystem::create_directories("data/reviews-en");
  std::string rows;
  for (int row = 0; row < 9; row++) rows += fmt::format("{}\t{}\tgood {} 好\n", row, row - 4, std::string(row, 'a'));
  write("data/reviews-en/movieReviewSnippets_GroundTruth.txt", rows);
  follow("reviews-en-embed.yaml");
  follow("reviews-en-similar.yaml");
  EXPECT_TRUE(std::filesystem::exists("runs/reviews-en-similar.csv"));
}

}  // namespace
}  // namespace sartor::testing
