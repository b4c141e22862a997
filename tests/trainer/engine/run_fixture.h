// Runs of a toy model in a temporary folder.
#pragma once

#include <gmock/gmock.h>

#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "engine/run.h"
#include "support/folder_test.h"
#include "toy_model.h"

namespace sartor {

inline std::string text_of(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return std::move(text).str();
}

inline nlohmann::json json_of(const std::filesystem::path& path) { return nlohmann::json::parse(text_of(path)); }

inline std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

struct Crashed {};  // simulates a crash between two epochs

class RunTest : public testing::WorkingFolderTest {
 protected:
  static RunRequest request(const std::string& folder = "runs/a") {
    return {.folder = folder,
            .config = "epochs: 5\nmodel: {factors: 8}\n",
            .checkpoint = {.every = 1},
            .may_change = {"epochs", "checkpoint"}};
  }
  static RunRequest resumed(RunRequest request = RunTest::request()) {
    request.start.resume = true;
    return request;
  }
  static RunRequest overwriting(RunRequest request = RunTest::request()) {
    request.start.overwrite = true;
    return request;
  }

  // Trains to the end, or until a crash after epoch `crash_after` is logged and before it is saved.
  static ToyModel train(RunRequest request, int64_t epochs = 5, int64_t crash_after = 0) {
    sartor::Run run(std::move(request));
    ToyModel model;
    run.restore(model);
    for (auto epoch : run.steps(epochs)) {
      model.train_epoch();
      run.log(epoch, {{"validation", model.metrics()}});
      if (epoch == crash_after) throw Crashed();
      run.checkpoint(epoch, model);
    }
    run.finish(model, {{"test", model.metrics()}});
    return model;
  }

  static std::vector<int64_t> logged_epochs(const std::filesystem::path& run) {
    std::ifstream lines(run / "metrics.jsonl");
    std::vector<int64_t> epochs;
    for (std::string line; std::getline(lines, line);) epochs.push_back(nlohmann::json::parse(line).at("epoch"));
    return epochs;
  }
};

}  // namespace sartor
