// The factorization pipeline, from a table of ratings to recommendations.
#include <iconv.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "integration/fixture.h"
#include "models/factorization/algorithms.h"
#include "storage/prepared.h"
#include "support/paths.h"
#include "support/ranks.h"

namespace sartor::testing {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Pipeline : public Programs {
 protected:
  json results() const { return json::parse(read("run/results.json")); }

  std::vector<std::vector<std::string>> table(const std::string& name) const {
    std::vector<std::vector<std::string>> rows;
    std::istringstream lines(read(name));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream cells(line);
      rows.emplace_back();
      for (std::string cell; std::getline(cells, cell, ',');) rows.back().push_back(cell);
    }
    return rows;
  }
};

TEST_F(Pipeline, LearnsWhatRatingsSay) {
  make_run();
  const json found = results();
  EXPECT_LT(found["test"]["rmse"], found["baselines"]["user_mean"]["rmse"]);
  for (const char* metric : {"rmse", "mae", "precision@10", "recall@10", "ndcg@10", "map@10", "mrr@10", "hit_rate@10",
                             "coverage@10", "gini@10", "novelty@10"}) {
    EXPECT_TRUE(found["test"].contains(metric)) << metric;
    EXPECT_TRUE(found["baselines"]["popularity"].contains(metric)) << metric;
  }
  std::istringstream lines(read("run/metrics.jsonl"));
  int64_t epochs = 0;
  for (std::string line; std::getline(lines, line);) {
    EXPECT_EQ(json::parse(line)["epoch"], ++epochs);
    EXPECT_TRUE(json::parse(line)["validation"].contains("rmse"));
  }
  EXPECT_EQ(epochs, 5);
  EXPECT_TRUE(json::parse(read("run/provenance.json")).contains("data_hash"));
  EXPECT_THAT(read("run/run.yaml"), HasSubstr("regularization: 0.5"));
}

TEST_F(Pipeline, TheSameBitsForAnyNumberOfThreads) {
  make_run();
  const std::string one = read("run/model/factors.h5");
  expect_done(train(factorize_config, {"--overwrite", "--set", "threads=3"}));
  EXPECT_TRUE(read("run/model/factors.h5") == one);
}

TEST_F(Pipeline, MoreEpochsContinueWhereTheRunEnded) {
  make_run();
  expect_done(train(factorize_config, {"--resume", "--set", "model.epochs=8"}));
  const std::string resumed = read("run/model/factors.h5");
  expect_done(train(factorize_config, {"--overwrite", "--set", "model.epochs=8"}));
  EXPECT_TRUE(read("run/model/factors.h5") == resumed);
  EXPECT_TRUE(std::filesystem::exists(path("run.1")));
}

TEST_F(Pipeline, AModelThatIsNotFiniteIsNotFinished) {
  std::string rows = "user,item,rating,time\n";
  for (int cell = 0; cell < 400; cell++) {
    if (cell % 3 == 0) continue;
    rows +=
        "用户" + std::to_string(cell / 20) + ",i" + std::to_string(cell % 20) + (cell % 2 ? ",1e30,0\n" : ",-1e30,0\n");
  }
  write("ratings.csv", rows);
  const Outcome refused = train(prepare_config);
  EXPECT_EQ(refused.status, 2);
  EXPECT_FALSE(std::filesystem::exists(path("prepared.h5")));

  expect_done(train(prepare_config, {"--overwrite", "--set", "source.minimum=-1e38", "--set", "source.maximum=1e38"}));
  for (const char* every : {"1", "99"}) {
    const Outcome stopped = train(factorize_config, {"--set", std::string("checkpoint.every=") + every, "--overwrite"});
    EXPECT_EQ(stopped.status, 1);
    EXPECT_THAT(stopped.err, HasSubstr("sartor-train: the model is no longer finite: value "));
    EXPECT_THAT(stopped.err, HasSubstr("Ratings of smaller magnitude or more regularization may help\n"));
    EXPECT_FALSE(std::filesystem::exists(path("run/model")));
    EXPECT_FALSE(std::filesystem::exists(path("run/results.json")));
  }
}

TEST_F(Pipeline, RecommendsToKnownNewAndUnknownUsers) {
  make_run();
  write("users.csv", "id\nu0\n谁\n新用户\n");
  write("new.csv", "user,item,rating\n新用户,i3,5\n新用户,i7,1\n新用户,nothing,4\n");
  write("titles.csv", "id,title\ni0,\"一, two\"\ni1,\"say \"\"hi\"\"\"\n");
  const Outcome outcome = infer(std::string(recommend_config) +
                                "users: {path: FOLDER/users.csv, column: id}\n"
                                "new_users: {path: FOLDER/new.csv, columns: {user: user, item: item, value: rating}}\n"
                                "items: {path: FOLDER/titles.csv, id: id, columns: [title]}\n");
  expect_done(outcome);
  EXPECT_THAT(outcome.err, HasSubstr("1 of the users are unknown"));
  EXPECT_THAT(outcome.err, HasSubstr("1 ratings of new_users have items that the model does not know"));
  const auto rows = table("lists.csv");
  ASSERT_EQ(rows.size(), 1u + 3 * 5);
  EXPECT_THAT(rows[0], ElementsAre("user", "rank", "item", "score", "basis", "title"));
  EXPECT_EQ(rows[1][0], "u0");
  EXPECT_EQ(rows[1][4], "model");
  EXPECT_EQ(rows[6][0], "谁");
  EXPECT_EQ(rows[6][4], "popularity");
  EXPECT_EQ(rows[11][4], "ratings");
  for (size_t row = 11; row < 16; row++) EXPECT_TRUE(rows[row][2] != "i3" && rows[row][2] != "i7");
}

TEST_F(Pipeline, NewRatingsOfAKnownUserAddToThoseOfTraining) {
  make_run();
  const auto loaded = FactorizationAlgorithms::load(path("run"));
  const TrainedModel& model = *loaded;
  const int32_t user = model.users.find("用户1");
  std::set<std::string> rated;
  for (auto at = model.seen_offsets[user]; at < model.seen_offsets[user + 1]; at++) {
    rated.emplace(model.items[model.seen_items[at]]);
  }
  ASSERT_GT(rated.size(), 3u);
  write("users.csv", "id\n用户1\n");
  write("new.csv", "user,item,rating\n用户1,i3,5\n");
  const std::string config = std::string(recommend_config) +
                             "users: {path: FOLDER/users.csv, column: id}\n"
                             "new_users: {path: FOLDER/new.csv, columns: {user: user, item: item, value: rating}}\n";
  rated.insert("i3");
  const auto offered_again = [&] {
    return std::ranges::count_if(table("lists.csv"), [&](const auto& row) { return rated.contains(row[2]); });
  };
  expect_done(infer(config, {"--set", "k=40"}));
  EXPECT_EQ(offered_again(), 0);
  expect_done(infer(config, {"--overwrite", "--set", "k=40", "--set", "new_users.replace=true"}));
  EXPECT_EQ(offered_again(), std::ssize(rated) - 1) << "all but i3";
}

TEST_F(Pipeline, RecommendsInEachPrecision) {
  make_run();
  expect_done(infer(recommend_config));
  const auto exact = read("lists.csv");
  for (const std::string precision : {"fp32", "tf32", "fp16", "bf16"}) {
    expect_done(infer(recommend_config, {"--overwrite", "--set", "precision=" + precision}));
    EXPECT_EQ(read("lists.csv") == exact, precision == "fp32" || precision == "tf32") << precision;
    EXPECT_EQ(table("lists.csv").size(), 1u + 60 * 5);
  }
}

TEST_F(Pipeline, KeepsToWhatMayBeOffered) {
  make_run();
  write("allow.csv", "item\ni1\ni2\ni3\ni4\ni5\ni6\ni7\ni8\ni9\n");
  write("deny.csv", "item\ni2\nunknown\n");
  expect_done(infer(std::string(recommend_config) +
                    "exclude_seen: false\n"
                    "allow: {path: FOLDER/allow.csv, column: item}\ndeny: {path: FOLDER/deny.csv, column: item}\n"));
  const auto rows = table("lists.csv");
  ASSERT_EQ(rows.size(), 1u + 60 * 5);
  for (size_t row = 1; row < rows.size(); row++) {
    EXPECT_EQ(rows[row][2].size(), 2u);
    EXPECT_NE(rows[row][2], "i2");
    EXPECT_NE(rows[row][2], "i0");
  }
}

TEST_F(Pipeline, FewerItemsThanAskedForGiveFewerRows) {
  make_run();
  write("allow.csv", "item\ni1\ni2\ni3\n");
  const Outcome few =
      infer(std::string(recommend_config) + "exclude_seen: false\nallow: {path: FOLDER/allow.csv, column: item}\n");
  expect_done(few);
  EXPECT_EQ(table("lists.csv").size(), 1u + 60 * 3);
  EXPECT_THAT(few.err, HasSubstr("60 users have fewer than 5 items left to recommend"));
  expect_done(infer(recommend_config, {"--overwrite", "--set", "k=1000", "--set", "exclude_seen=false"}));
  EXPECT_EQ(table("lists.csv").size(), 1u + 60 * 40);
  const Outcome all = infer("task: similar\ndevice: cpu\nmodel: FOLDER/run\nk: 70\noutput: FOLDER/near.csv\n");
  expect_done(all);
  EXPECT_THAT(all.err, HasSubstr("k is 70, but there are only 39 others"));
  EXPECT_EQ(table("near.csv").size(), 1u + 40 * 39);
}

TEST_F(Pipeline, UsersOfTheTestSplitAloneGetThePopularityList) {
  write_ratings();
  expect_done(train(prepare_config, {"--set", "split.method=user_disjoint"}));
  expect_done(train(factorize_config));
  const Outcome outcome = infer(recommend_config);
  expect_done(outcome);
  EXPECT_THAT(outcome.err, HasSubstr("300 recommendations for 60 users; 18 of the users are unknown or have no "
                                     "training ratings (30.0%) and get the most popular items"));
  EXPECT_EQ(std::ranges::count_if(table("lists.csv"), [](const auto& row) { return row[4] == "popularity"; }), 18 * 5);
}

TEST_F(Pipeline, RepeatedIdsCountOnceAndAreNamed) {
  make_run();
  write("users.csv", "id\nu0\n用户1\nu0\n用户1\n谁\n");
  const std::string users = "users: {path: FOLDER/users.csv, column: id}\n";
  const Outcome outcome = infer(recommend_config + users);
  expect_done(outcome);
  EXPECT_EQ(table("lists.csv").size(), 1u + 3 * 5);
  EXPECT_THAT(outcome.err, HasSubstr("2 repeated ids are ignored; the first is u0 in row 4 of " + path("users.csv")));
  write("queries.csv", "id\ni1\ni1\n");
  const Outcome similar = infer(
      "task: similar\ndevice: cpu\nmodel: FOLDER/run\nk: 3\noutput: FOLDER/near.csv\n"
      "queries: {path: FOLDER/queries.csv, column: id}\n");
  expect_done(similar);
  EXPECT_EQ(table("near.csv").size(), 1u + 3);
  EXPECT_THAT(similar.err, HasSubstr("the first is i1 in row 3"));
}

TEST_F(Pipeline, InvalidRowsOfNewUsersAreWrittenAsideWithTheReason) {
  make_run();
  write("new.csv", "user,item,rating\n新用户,i3,5\n新用户,i4,many\n,i3,1\n\xff,i3,1\n");
  const std::string config = std::string(recommend_config) +
                             "new_users: {path: FOLDER/new.csv, columns: {user: user, item: item, value: rating}}\n";
  const Outcome outcome = infer(config);
  expect_done(outcome);
  EXPECT_THAT(outcome.err,
              HasSubstr("3 rows of new_users are invalid, " + path("lists.csv.rejects.tsv") + " says why"));
  const std::string rejects = read("lists.csv.rejects.tsv");
  for (const char* line :
       {"\t3\tvalue is not a number\tmany\n", "\t4\tuser is missing\t", "\t5\tuser is not UTF-8\t"}) {
    EXPECT_THAT(rejects, HasSubstr(path("new.csv") + line));
  }
  const Outcome again = infer(config, {"--set", "output=" + path("other.csv"), "--set", "new_users.unfit=error"});
  EXPECT_EQ(again.status, 2);
  EXPECT_THAT(again.err, HasSubstr("new.csv: row 5: user is not UTF-8"));
  EXPECT_FALSE(std::filesystem::exists(path("other.csv.rejects.tsv")));
}

TEST_F(Pipeline, FindsSimilarItemsAndUsers) {
  make_run();
  const std::string config = "task: similar\ndevice: cpu\nmodel: FOLDER/run\nk: 3\noutput: FOLDER/near.jsonl\n";
  expect_done(infer(config));
  const json first = json::parse(read("near.jsonl").substr(0, read("near.jsonl").find('\n')));
  EXPECT_EQ(first["rank"], 1);
  EXPECT_NE(first["id"], first["neighbour"]);
  EXPECT_LE(first["cosine"].get<double>(), 1.0001);
  expect_done(infer(config, {"--overwrite", "--set", "of=users", "--set", "output=" + path("near.csv")}));
  EXPECT_EQ(table("near.csv").size(), 1u + 60 * 3);
}

TEST_F(Pipeline, EveryFormOfTableGivesTheSameLists) {
  make_run();
  for (const char* name : {"a.csv", "b.tsv", "c.jsonl", "d.parquet"}) {
    expect_done(infer(recommend_config, {"--set", "output=" + path(name)}));
    EXPECT_TRUE(std::filesystem::exists(path(name)));
  }
  expect_done(run_command({sartor::testing::venv_program("python"),
                           sartor::testing::source_path("tests/integration/read_outputs.py"), folder_.string()}));
}

TEST_F(Pipeline, TasksThatShareNoWorkRefuseSeveralProcesses) {
  make_run();
  const auto refused = [&](const std::string& task, const std::vector<std::string>& words) {
    for (const auto& rank : on_ranks(2, words)) {
      EXPECT_EQ(rank.status, 2);
      EXPECT_EQ(rank.err, std::filesystem::path(words[0]).filename().string() + ": task " + task +
                              " runs in one process, WORLD_SIZE is 2: start it without torchrun\n");
    }
  };
  refused("prepare", command("sartor-train", prepare_config, {"--overwrite"}));
  refused("vocabulary", command("sartor-train", "task: vocabulary\n"));
  refused("tokenize", command("sartor-train", "task: tokenize\n"));
  refused("evaluate_texts", command("sartor-infer", "task: evaluate_texts\n"));
}

TEST_F(Pipeline, UsersComeFromStandardInput) {
  make_run();
  write("users.csv", "id\nu0\n用户1\n");
  const std::string config = std::string(recommend_config) + "users: {path: FOLDER/users.csv, column: id}\n";
  expect_done(infer(config));
  const auto expected = read("lists.csv");
  auto words = command("sartor-infer", config, {"--overwrite", "--set", "users={path: '-', format: csv, column: id}"});
  words.insert(words.begin(), {"/bin/sh", "-c", "cat \"$0\" | \"$@\"", path("users.csv")});
  expect_done(run_command(words));
  EXPECT_EQ(read("lists.csv"), expected);
}

TEST_F(Pipeline, ChineseSpreadsheetsAreRecognised) {
  write_ratings();
  expect_done(train(prepare_config));
  const auto ids = [&] {
    const auto users = datasets::open_prepared(path("prepared.h5")).read_user_ids();
    std::vector<std::string> all;
    for (int64_t user = 0; user < users.size(); user++) all.emplace_back(users[user]);
    return all;
  };
  const auto expected = ids();
  std::string table = read("ratings.csv"), bytes(2 * table.size(), '\0');
  const iconv_t converter = iconv_open("GB18030", "UTF-8");
  char *from = table.data(), *to = bytes.data();
  size_t left = table.size(), room = bytes.size();
  ASSERT_EQ(iconv(converter, &from, &left, &to, &room), 0);
  iconv_close(converter);
  write("ratings.csv", std::string_view(bytes).substr(0, bytes.size() - room));
  const Outcome outcome = train(prepare_config, {"--overwrite", "--set", "source.encoding=auto"});
  expect_done(outcome);
  EXPECT_THAT(outcome.err, HasSubstr("ratings.csv is read as gb18030\n"));
  EXPECT_EQ(ids(), expected);
}

TEST_F(Pipeline, DryRunTouchesNothing) {
  write_ratings();
  const Outcome outcome = train(prepare_config, {"--dry-run", "--set", "split.seed=9"});
  expect_done(outcome);
  EXPECT_THAT(outcome.out, HasSubstr("seed: 9"));
  EXPECT_THAT(outcome.out, HasSubstr("# reads  " + path("ratings.csv")));
  EXPECT_THAT(outcome.out, HasSubstr("# writes " + path("prepared.h5")));
  EXPECT_FALSE(std::filesystem::exists(path("prepared.h5")));
}

}  // namespace
}  // namespace sartor::testing
