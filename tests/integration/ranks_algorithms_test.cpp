// Every algorithm on several ranks, connected by Gloo: the run of one process. Those that share the training say what
// they have sent.
#include "integration/ranks_fixture.h"

namespace sartor::testing {
namespace {

using ::testing::HasSubstr;

class RanksOfAlgorithms : public Ranks {
 protected:
  void SetUp() override {
    write_ratings(80, 50);
    expect_done(train(prepare_config));
  }

  // model: without braces.
  std::string bytes_of_run(int ranks, const std::string& model, std::string& said) const {
    const std::string config =
        "task: factorize\ndevice: cpu\ndata: {path: FOLDER/prepared.h5}\nmodel: {algorithm: " + model +
        "}\nevaluation: {at: [5], relevant_from: 3}\noutput: FOLDER/run\n";
    said = expect_done_on(ranks, command("sartor-train", config,
                                         {"--overwrite", "--set", "threads=1", "--set", "checkpoint.every=1"}))[0];
    return read("run/model/factors.h5") + read("run/results.json");
  }

  void expect_same(const std::string& model, bool shared) const {
    std::string said;
    const std::string one = bytes_of_run(1, model, said);
    EXPECT_GT(one.size(), 1000u) << said;
    for (const int ranks : {2, 4}) {
      EXPECT_TRUE(bytes_of_run(ranks, model, said) == one) << model << " on " << ranks << " ranks";
      EXPECT_THAT(said, HasSubstr("sent to other ranks in training: rank 0 "));
      EXPECT_EQ(said.find("rank 0 0, rank 1 0") == said.npos, shared) << model << said;
    }
  }
};

TEST_F(RanksOfAlgorithms, ShareNeighbors) {
  expect_same("item_knn, similarity: pearson, neighbors: 10, shrinkage: 3", true);
  expect_same("user_knn, weights: tfidf, prediction: sum", true);
}

TEST_F(RanksOfAlgorithms, ShareWeightsOfItems) {
  expect_same("rp3beta, neighbors: 9", true);
  expect_same("turbocf, filter: quadratic, exponent: 0.8", true);
}

TEST_F(RanksOfAlgorithms, ShareRowsOfFactors) {
  expect_same("ials, factors: 6, epochs: 2", true);
  expect_same("nmf, factors: 5, epochs: 3", true);
  expect_same("bpmf, factors: 4, epochs: 5, burn_in: 2", true);
}

TEST_F(RanksOfAlgorithms, ShareRankingLosses) {
  expect_same("bpr, factors: 7, epochs: 3, candidates: 3", true);
  expect_same("simplex, factors: 7, epochs: 3, negatives: 30, batch: 40", true);
}

TEST_F(RanksOfAlgorithms, TrainTheWhole) {
  expect_same("sgd, factors: 6, epochs: 3", false);  // one block
  expect_same("svdpp, factors: 6, epochs: 3", false);
  expect_same("gfcf, factors: 5", false);
  expect_same("svd, factors: 5", false);
  expect_same("ease", false);  // one strip
  expect_same("elsa, factors: 5, epochs: 2", false);
}

// 4 blocks.
TEST_F(RanksOfAlgorithms, ShareStochasticGradientDescent) {
  write_ratings(520, 180);
  expect_done(train(prepare_config, {"--overwrite"}));
  expect_same("sgd, factors: 6, epochs: 3", true);
  expect_same("sgd, factors: 6, epochs: 2, rates: adagrad, biased: false", true);
}

}  // namespace
}  // namespace sartor::testing
