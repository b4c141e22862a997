// Fixture for tests of factor models on several ranks, connected by Gloo.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "integration/fixture.h"
#include "support/ranks.h"

namespace sartor::testing {

class Ranks : public Programs {
 protected:
  // The messages of the ranks.
  std::vector<std::string> expect_done_on(int ranks, const std::vector<std::string>& command) const {
    std::vector<std::string> said;
    for (const auto& each : on_ranks(ranks, command)) {
      EXPECT_EQ(each.status, 0) << each.err;
      said.push_back(each.err);
    }
    return said;
  }

  // Otherwise checkpoints depend on time.
  const std::vector<std::string> every_epoch = {"--set", "checkpoint.every=1"};

  // All files of the run that do not depend on time.
  std::string bytes_of(const std::string& run) const {
    std::string all = read(run + "/model/factors.h5") + read(run + "/results.json");
    for (const auto* epoch : {"4", "5"}) {
      all += read(run + "/checkpoints/epoch-00000" + epoch + "/state.h5");
      all += read(run + "/checkpoints/epoch-00000" + epoch + "/state.json");
    }
    std::istringstream lines(read(run + "/metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      auto metrics = nlohmann::json::parse(line);
      metrics.erase("seconds");
      metrics.erase("train");  // its seconds
      all += metrics.dump();
    }
    return all;
  }

  // The bytes of `output` by one process; ranks must write the same.
  void expect_same_bytes(const std::string& config, const std::string& output,
                         const std::string& if_several = "sharding=auto") const {
    std::string one;
    for (const int ranks : {1, 2, 4}) {
      const std::string set = ranks > 1 ? if_several : "sharding=auto";
      const auto said =
          expect_done_on(ranks, command("sartor-infer", config, {"--overwrite", "--set", "threads=1", "--set", set}));
      EXPECT_THAT(said[0], ::testing::HasSubstr(output + ": "));
      for (int rank = 1; rank < ranks; rank++) EXPECT_EQ(said[rank], "");
      if (ranks == 1) one = read(output);
      EXPECT_GT(one.size(), 1000u);
      EXPECT_TRUE(read(output) == one) << output << " on " << ranks << " ranks";
    }
  }

  static constexpr const char* similar_config = "task: similar\ndevice: cpu\nmodel: FOLDER/run\n";
};

}  // namespace sartor::testing
