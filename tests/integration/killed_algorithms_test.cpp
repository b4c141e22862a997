// Every algorithm, killed at random calls on files and resumed several times, gives bitwise the model of an
// uninterrupted run.
#include <map>
#include <type_traits>

#include "integration/killed_runs.h"
#include "models/factorization/algorithms.h"

namespace sartor::testing {
namespace {

// Fields that make the training short, or are needed for data of 30 items. Other algorithms have their defaults.
const std::map<std::string, std::string> short_training = {
    {"als", "factors: 4, epochs: 6"},
    {"ials", "factors: 4, epochs: 6"},
    {"bpmf", "factors: 3, epochs: 12, burn_in: 4, keep_every: 2"},
    {"sgd", "factors: 4, epochs: 6"},
    {"svdpp", "factors: 4, epochs: 6, batch_users: 8"},
    {"nmf", "factors: 4, epochs: 6"},
    {"svd", "factors: 4"},
    {"bpr", "factors: 4, epochs: 6, blocks: 2"},
    {"simplex", "factors: 4, epochs: 6, negatives: 16, batch: 8"},
    {"gfcf", "factors: 4"},
    {"elsa", "factors: 4, epochs: 6, batch_size: 8"},
    {"kmeans", "n_clusters: 7, tol: 0"},
    {"agglomerative", "n_clusters: 7"}};

template <Algorithm... Algorithms>
std::vector<std::string> names_of(std::type_identity<AlgorithmTable<Algorithms...>>) {
  return {std::string(Algorithms::name)...};
}

std::vector<std::string> every_algorithm() {
  auto names = names_of(std::type_identity<FactorizationAlgorithms>());
  names.insert(names.end(), {"kmeans", "agglomerative"});
  return names;
}

class KilledAlgorithm : public KilledRuns, public ::testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    KilledRuns::SetUp();
    const std::string more = short_training.contains(GetParam()) ? ", " + short_training.at(GetParam()) : "";
    const std::string model = "model: {algorithm: " + GetParam() + more + "}\n" +
                              "device: cpu\nthreads: 2\ncheckpoint: {every: 1}\noutput: FOLDER/run\n";
    if (GetParam() == "kmeans" || GetParam() == "agglomerative") {
      write_points();
      train_whole("task: cluster\ndata: {table: {path: FOLDER/points.csv, id: id, columns: [x, y]}}\n" + model,
                  "clusters.h5");
    } else {
      write_ratings(40, 30);
      expect_done(train(prepare_config));
      train_whole("task: factorize\ndata: {path: FOLDER/prepared.h5}\n" + model, "factors.h5");
    }
  }

  void write_points() const {
    std::string rows = "id,x,y\n";
    for (int row = 0; row < 300; row++) {
      rows += "点" + std::to_string(row) + "," + std::to_string(random_normal(1, row)) + "," +
              std::to_string(random_normal(2, row)) + "\n";
    }
    write("points.csv", rows);
  }
};

TEST_P(KilledAlgorithm, ResumesToTheSameBits) {
  constexpr int runs = 3, kills = 3;
  const int64_t calls = calls_of_the_run();
  ASSERT_GT(calls, 10);
  int killed = 0;
  for (int run = 0; run < runs && !HasFatalFailure(); run++) {
    std::string when;
    for (int kill = 0; kill < kills; kill++) {
      const uint64_t chance = random_bits(run, kill);
      const int64_t call = 1 + static_cast<int64_t>(chance / 2 % static_cast<uint64_t>(calls));
      const Outcome outcome =
          run_with_fault(restart(), folder_, call, chance % 2 ? Fault::kill_before : Fault::kill_after);
      when += "call " + std::to_string(call) + ", ";
      if (outcome.status == 0) break;  // what was left of the run made fewer calls
      ASSERT_EQ(outcome.status, 137) << when << outcome.err;
      killed++;
    }
    expect_same_after_restart(when);
  }
  EXPECT_GE(killed, runs);
}

INSTANTIATE_TEST_SUITE_P(EveryAlgorithm, KilledAlgorithm, ::testing::ValuesIn(every_algorithm()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace sartor::testing
