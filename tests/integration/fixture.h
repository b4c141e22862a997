// Fixture for end-to-end tests of both programs in a temporary folder.
#pragma once

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/random.h"
#include "support/faults/faults.h"
#include "support/folder_test.h"
#include "support/paths.h"

namespace sartor::testing {

class Programs : public FolderTest {
 protected:
  // Writes a config and returns the command that runs it; FOLDER in the config is replaced by the test's folder.
  std::vector<std::string> command(const std::string& program, std::string config,
                                   const std::vector<std::string>& more = {}) const {
    for (size_t at; (at = config.find("FOLDER")) != std::string::npos;) config.replace(at, 6, folder_.string());
    const std::string file = write("config-" + std::to_string(configs_++) + ".yaml", config);
    std::vector<std::string> words = {sartor::testing::program(program), "--config", file};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  Outcome train(const std::string& config, const std::vector<std::string>& more = {}) const {
    return run_command(command("sartor-train", config, more));
  }
  Outcome infer(const std::string& config, const std::vector<std::string>& more = {}) const {
    return run_command(command("sartor-infer", config, more));
  }

  // Writes ratings.csv: about a third of the cells of a rank-2 matrix of `users` x `items`, shuffled, some ids Chinese.
  void write_ratings(int64_t users = 60, int64_t items = 40) const {
    std::string rows = "user,item,rating,time\n";
    for (int64_t cell = 0; cell < users * items; cell++) {
      const int64_t at = cell * 1009 % (users * items), user = at / items, item = at % items;
      if (random_bits(1, at) % 3) continue;
      const double taste =
          random_normal(2, user) * random_normal(3, item) + random_normal(4, user) * random_normal(5, item);
      const double rating = std::clamp(std::round(3 + taste), 1.0, 5.0);
      rows += (user % 2 ? "用户" : "u") + std::to_string(user) + ",i" + std::to_string(item) + "," +
              std::to_string(int(rating)) + "," + std::to_string(1'000'000 + cell) + "\n";
    }
    write("ratings.csv", rows);
  }

  static constexpr const char* prepare_config =
      "task: prepare\n"
      "source: {path: FOLDER/ratings.csv, columns: {user: user, item: item, value: rating, time: time}}\n"
      "split: {method: random, test: 0.2, validation: 0.1, seed: 7}\n"
      "output: FOLDER/prepared.h5\n";
  static constexpr const char* factorize_config =
      "task: factorize\n"
      "device: cpu\n"
      "data: {path: FOLDER/prepared.h5}\n"
      "model: {factors: 4, epochs: 5, regularization: 0.5}\n"
      "output: FOLDER/run\n";
  static constexpr const char* recommend_config =
      "task: recommend\n"
      "device: cpu\n"
      "model: FOLDER/run\n"
      "k: 5\n"
      "output: FOLDER/lists.csv\n";

  // The files whose names contain "out.".
  std::vector<std::string> outputs() const {
    std::vector<std::string> names;
    for (const auto& name : files()) {
      if (name.find("out.") != name.npos) names.push_back(name);
    }
    return names;
  }

  void expect_done(const Outcome& outcome) const { ASSERT_EQ(outcome.status, 0) << outcome.err; }
  void make_run(const std::vector<std::string>& more = {}) {
    write_ratings();
    expect_done(train(prepare_config));
    expect_done(train(factorize_config, more));
  }

 private:
  mutable int configs_ = 0;
};

}  // namespace sartor::testing
