// Broken configs and data of the graph filters, EASE, ELSA and SVD: one line, exit status 2, and nothing left.
#include "integration/refusals.h"

namespace sartor::testing {
namespace {

class BrokenModels : public Refusals {
 protected:
  struct Case {
    const char *fields, *said;
  };

  void SetUp() override {
    Refusals::SetUp();
    write_ratings();
    expect_done(train(prepare_config));
  }

  static std::string config(const std::string& algorithm, const std::string& fields) {
    return "task: factorize\ndevice: cpu\nthreads: 1\ndata: {path: FOLDER/prepared.h5}\nmodel: {algorithm: " +
           algorithm + fields + "}\nevaluation: {at: [3]}\noutput: FOLDER/run\n";
  }

  void expect_refused(const std::string& algorithm, const std::vector<Case>& cases) {
    EXPECT_GE(cases.size(), 10u);
    for (const auto& [fields, said] : cases) {
      refused("sartor-train", config(algorithm, std::string(", ") + fields), said);
    }
  }
};

TEST_F(BrokenModels, Gfcf) {
  expect_refused("gfcf",
                 {{"filter: cubic", ":5: model.filter: found cubic, expected linear or plateau"},
                  {"filter: plateu", "model.filter: found plateu, expected .*did you mean plateau"},
                  {"order: 0", "model.order: found 0, expected integer from 1 to 1000"},
                  {"flatness: 0", "model.flatness: found 0, expected number above 0"},
                  {"flatness: 平", "model.flatness: found .平"},
                  {"degree_power: 3", "model.degree_power: found 3, expected number from 0 to 2"},
                  {"factors: 41", "model.factors is 41, expected at most the number of users and items, 60 and 40"},
                  {"factors: -1", "model.factors: found -1, expected integer from 0 to 65536"},
                  {"ideal_weight: 1e300", "model.ideal_weight: found 1e300, expected number from 0 to 1000000"},
                  {"ideal_degree_power: .nan", "model.ideal_degree_power: found .nan"},
                  {"iterations: 0", "model.iterations: found 0, expected integer at least 1"},
                  {"seed: 1.5", "model.seed: found 1.5"},
                  {"权重: 1", R"(model."权重": unknown key)"},
                  {"filter: \"\xe5\xb9\"", "not UTF-8|UTF-8"}});
}

TEST_F(BrokenModels, Turbocf) {
  expect_refused("turbocf",
                 {{"filter: quartic", ":5: model.filter: found quartic, expected linear, quadratic or cubic"},
                  {"alpha: 1.5", "model.alpha: found 1.5, expected number from 0 to 1"},
                  {"alpha: -0.1", "model.alpha: found -0.1"},
                  {"alpha: '0.5'", "model.alpha: .*without quotes"},
                  {"exponent: 0", "model.exponent: found 0, expected number above 0 to 4"},
                  {"exponent: 1e300", "model.exponent: found 1e300"},
                  {"exponent: .inf", "model.exponent: found .inf"},
                  {"neighbors: -1", "model.neighbors: found -1, expected integer from 0 to 65536"},
                  {"neighbors: 2.5", "model.neighbors: found 2.5"},
                  {"neighbors: 许多", "model.neighbors: found .许多"},
                  {"factors: 3", "model.factors: unknown key"},
                  {"过滤器: linear", R"(model."过滤器": unknown key)"}});
}

TEST_F(BrokenModels, Rp3beta) {
  expect_refused("rp3beta", {{"alpha: 5", ":5: model.alpha: found 5, expected number from 0 to 4"},
                             {"alpha: [1]", "model.alpha: found a list"},
                             {"alpha: ", "model.alpha: found nothing"},
                             {"beta: -1", "model.beta: found -1, expected number from 0 to 4"},
                             {"beta: .inf", "model.beta: found .inf"},
                             {"beta: {a: 1}", "model.beta: found a section"},
                             {"beta: 0.5, beta: 0.6", "beta: duplicate key"},
                             {"neighbors: 65537", "model.neighbors: found 65537, expected integer from 0 to 65536"},
                             {"neighbors: 很多", "model.neighbors: found .很多"},
                             {"neighbours: 3", "model.neighbours: unknown key .*did you mean neighbors"},
                             {"贝塔β: 1", R"(model."贝塔β": unknown key)"},
                             {"filter: linear", "model.filter: unknown key"}});
}

TEST_F(BrokenModels, Ease) {
  expect_refused("ease", {{"regularization: 0", ":5: model.regularization: found 0, expected number above 0"},
                          {"regularization: -200", "model.regularization: found -200"},
                          {"regularization: 1e300", "model.regularization: found 1e300"},
                          {"regularization: .inf", "model.regularization: found .inf"},
                          {"regularization: .nan", "model.regularization: found .nan"},
                          {"regularization: 大", "model.regularization: found .大"},
                          {"regularization: [200]", "model.regularization: found a list"},
                          {"regularization: 0200", "model.regularization: found 0200.*without leading zeros"},
                          {"regularisation: 200", "model.regularisation: unknown key .*did you mean regularization"},
                          {"factors: 3", "model.factors: unknown key"},
                          {"正则化: 200", R"(model."正则化": unknown key)"}});
}

TEST_F(BrokenModels, Elsa) {
  expect_refused("elsa", {{"factors: 0", ":5: model.factors: found 0, expected integer from 1 to 65536"},
                          {"factors: 65537", "model.factors: found 65537"},
                          {"epochs: 0", "model.epochs: found 0, expected integer at least 1"},
                          {"epochs: 1e30", "model.epochs: found 1e30"},
                          {"batch_size: 0", "model.batch_size: found 0, expected integer from 1 to 65536"},
                          {"batch_size: 65537", "model.batch_size: found 65537"},
                          {"learning_rate: 0", "model.learning_rate: found 0, expected number above 0"},
                          {"learning_rate: 快", "model.learning_rate: found .快"},
                          {"seed: -1", "model.seed: found -1, expected integer at least 0"},
                          {"negatives: 3", "model.negatives: unknown key"},
                          {"批量: 3", R"(model."批量": unknown key)"}});
}

TEST_F(BrokenModels, Svd) {
  expect_refused("svd",
                 {{"factors: 0", ":5: model.factors: found 0, expected integer from 1 to 65536"},
                  {"factors: 41", "model.factors is 41, expected at most the 40 items of .*prepared.h5"},
                  {"missing: mean", "model.missing: found mean, expected zero, user_mean, item_mean or baseline"},
                  {"normalization: degree", "model.normalization: found degree, .*did you mean degrees"},
                  {"shrinkage: -1", "model.shrinkage: found -1, expected number at least 0"},
                  {"shrinkage: 1e999", "model.shrinkage: found 1e999"},
                  {"oversampling: -1", "model.oversampling: found -1, expected integer from 0 to 65536"},
                  {"oversampling: 9223372036854775807", "model.oversampling: found 9223372036854775807"},
                  {"iterations: 0", "model.iterations: found 0, expected integer at least 1"},
                  {"seed: -1", "model.seed: found -1"},
                  {"epochs: 3", "model.epochs: unknown key"},
                  {"因子: 3", R"(model."因子": unknown key)"}});
}

TEST_F(BrokenModels, WhatTheyReadAndWrite) {
  const std::string prepared = read("prepared.h5");
  for (const std::string algorithm : {"gfcf", "turbocf", "rp3beta", "ease", "elsa", "svd"}) {
    const bool few = algorithm == "gfcf" || algorithm == "svd" || algorithm == "elsa";
    const std::string whole = config(algorithm, few ? ", factors: 4" : "");
    refused("sartor-train", whole, "there is no run to resume|no run", {"--resume"});
    refused("sartor-train", whole, "device is cuda", {"--set", "device=cuda"}, {"CUDA_VISIBLE_DEVICES="});
    refused("sartor-train", whole, "没有.h5: no such file", {"--set", "data.path=" + path("没有.h5")});
    write("prepared.h5", prepared.substr(0, prepared.size() / 2));
    refused("sartor-train", whole, "prepared.h5 is not a readable HDF5 file");
    write("prepared.h5", prepared);
    refused("sartor-train", whole, "would be written into .*prepared.h5|prepared.h5 is both read and written",
            {"--set", "output=" + path("prepared.h5") + "/run"});
    refused("sartor-train", whole, "early_stopping.metric is ndcg@7",
            {"--set", "early_stopping={patience: 1, metric: ndcg@7}"});
    expect_done(train(whole));
    refused("sartor-train", whole, "run.*exists");
    refused("sartor-train", config(algorithm, few ? ", factors: 3" : ", 因子: 3"), "factors|unknown key", {"--resume"});
    std::filesystem::remove_all(path("run"));
  }
}

TEST_F(BrokenModels, WithoutFactorsHaveNothingToCompare) {
  const std::string similar = "task: similar\ndevice: cpu\nmodel: FOLDER/run\noutput: FOLDER/near.csv\n";
  const std::string cluster = "task: cluster\ndata: {model: FOLDER/run}\nmodel: {n_clusters: 2}\noutput: FOLDER/c\n";
  for (const std::string algorithm : {"ease", "rp3beta", "turbocf", "item_knn", "user_knn"}) {
    expect_done(train(config(algorithm, "")));
    const std::string said = "run: a model of algorithm " + algorithm +
                             " has no factors of items that could be compared, expected a model with factors, such as "
                             "ials, svd or elsa, or an output of task: embed";
    refused("sartor-infer", similar, said);
    refused("sartor-train", cluster, said);
    std::filesystem::remove_all(path("run"));
  }
  expect_done(train(config("gfcf", ", factors: 4")));
  refused("sartor-infer", similar + "of: users\n",
          "a model of algorithm gfcf has no factors of users .*expected of: items");
  expect_done(infer(similar));
}

// What fails in training leaves a run without a model.
TEST_F(BrokenModels, RegularizationThatIsTooSmallForSinglePrecision) {
  std::string same = "user,item,rating\n";
  for (int cell = 0; cell < 60 * 40; cell++) {
    same += "用户" + std::to_string(cell / 40) + "," + std::to_string(cell % 40) + ",1\n";
  }
  const std::string apart = "user,item,rating\n甲,a,1\n乙,b,1\n丙,c,1\n丙,d,1\n";
  const std::string tiny = config("ease", ", regularization: 1e-11");
  for (const auto& [rows, why] : {std::pair(same, "not positive definite"), {apart, "of the diagonal of P is 0"}}) {
    write("ratings.csv", rows);
    expect_done(
        train("task: prepare\nsource: {path: FOLDER/ratings.csv, columns: {user: user, item: item, value: "
              "rating}}\nsplit: {method: random, test: 0}\noutput: FOLDER/prepared.h5\n",
              {"--overwrite"}));
    const Outcome outcome = train(tiny, {"--overwrite"});
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, ::testing::ContainsRegex("model.regularization is 1e-11, which is too small for these "
                                                      "ratings: .*" +
                                                      std::string(why)));
    EXPECT_EQ(one_line(outcome.err, "sartor-train"), 1) << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(path("run/model")));
  }
}

}  // namespace
}  // namespace sartor::testing
