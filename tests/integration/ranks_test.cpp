// Factor models on several ranks, connected by Gloo: the same files as those of one process.
#include "integration/ranks_fixture.h"

namespace sartor::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(Ranks, FactorizeTheSameBytes) {
  make_run(every_epoch);
  const auto one = bytes_of("run");
  for (const int ranks : {2, 4}) {
    expect_done_on(ranks, command("sartor-train", factorize_config,
                                  {"--overwrite", "--set", "threads=1", "--set", "checkpoint.every=1"}));
    EXPECT_TRUE(bytes_of("run") == one) << ranks;
    EXPECT_EQ(json::parse(read("run/provenance.json"))["starts"][0]["world_size"], ranks);
  }
}

TEST_F(Ranks, ContinueARunOfAnyNumber) {
  make_run(every_epoch);
  const auto whole = bytes_of("run");
  const auto short_run = [&](const std::string& epochs, bool resume) {
    return command("sartor-train", factorize_config,
                   {resume ? "--resume" : "--overwrite", "--set", "model.epochs=" + epochs, "--set", "threads=1",
                    "--set", "checkpoint.every=1"});
  };
  expect_done_on(1, short_run("2", false));
  expect_done_on(3, short_run("4", true));
  expect_done_on(2, short_run("5", true));
  const auto model = read("run/model/factors.h5");
  EXPECT_TRUE(bytes_of("run") == whole);
  const auto said = expect_done_on(2, short_run("5", true));
  EXPECT_THAT(said[0], HasSubstr("run is already complete"));
  EXPECT_TRUE(read("run/model/factors.h5") == model);
}

// Rank 0 dies at different calls on files of the run; the other one ends with it.
TEST_F(Ranks, EndWithOneThatDiesAndContinue) {
  make_run(every_epoch);
  const auto whole = bytes_of("run");
  for (const int64_t at : {40, 90}) {
    const auto words =
        command("sartor-train", factorize_config, {"--overwrite", "--set", "threads=1", "--set", "checkpoint.every=1"});
    const auto port = fmt::format("MASTER_PORT={}", free_port());
    const auto start = [&](int rank) {
      const std::vector<std::string> environment = {
          fmt::format("RANK={}", rank), "WORLD_SIZE=2",          fmt::format("LOCAL_RANK={}", rank),
          "LOCAL_WORLD_SIZE=2",         "MASTER_ADDR=127.0.0.1", port};
      return std::async(std::launch::async, [=, this] {
        return rank == 0 ? run_with_fault(words, path("run"), at, Fault::kill_before, environment)
                         : run_command(words, environment);
      });
    };
    auto first = start(0), second = start(1);
    EXPECT_EQ(first.get().status, 137) << at;
    const auto left = second.get();
    EXPECT_EQ(left.status, 1);
    EXPECT_THAT(left.err, StartsWith("sartor-train: "));
    expect_done_on(2, command("sartor-train", factorize_config,
                              {"--resume", "--set", "threads=1", "--set", "checkpoint.every=1"}));
    EXPECT_TRUE(bytes_of("run") == whole) << at;
  }
}

// k is far above the number of items, so that blocks have few users.
TEST_F(Ranks, RecommendTheSameBytes) {
  make_run();
  write("new.csv", "user,item,rating\n新用户,i3,5\n新用户,i7,1\nu0,i3,2\n新用户,nothing,4\n新用户,i5,bad\n");
  write("titles.csv", "id,title\ni0,\"一, two\"\ni1,\"say \"\"hi\"\"\"\n");
  std::string users = "id\n";
  for (int user = 0; user < 200; user++) users += (user % 2 ? "用户" : "u") + std::to_string(user) + "\n";
  write("users.csv", users + "新用户\nu4\n");
  const std::string config =
      "task: recommend\ndevice: cpu\nmodel: FOLDER/run\nk: 100000\n"
      "new_users: {path: FOLDER/new.csv, columns: {user: user, item: item, value: rating}}\n"
      "items: {path: FOLDER/titles.csv, id: id, columns: [title]}\n";
  for (const auto* output : {"lists.csv", "lists.parquet", "lists.jsonl"}) {
    expect_same_bytes(config + "output: FOLDER/" + output + "\n", output);
  }
  EXPECT_THAT(read("lists.csv.rejects.tsv"), HasSubstr("bad"));
  expect_same_bytes(config + "users: {path: FOLDER/users.csv, column: id}\noutput: FOLDER/some.csv\n", "some.csv");
}

TEST_F(Ranks, FindTheSameNeighbours) {
  make_run();
  for (const auto* output : {"near.csv", "near.parquet"}) {
    expect_same_bytes(std::string(similar_config) + "k: 100000\nof: users\noutput: FOLDER/" + output + "\n", output);
  }
  expect_same_bytes(std::string(similar_config) + "k: 5\noutput: FOLDER/items.csv\n", "items.csv");
  write("allow.csv", "item\ni3\ni7\ni8\n");
  expect_same_bytes(std::string(similar_config) +
                        "k: 3\nsimilarity: centred_cosine\nprecision: bf16\n"
                        "allow: {path: FOLDER/allow.csv, column: item}\noutput: FOLDER/allowed.csv\n",
                    "allowed.csv");
}

TEST_F(Ranks, RefuseTogether) {
  make_run();
  const auto refused = [&](const std::string& config, const std::string& why) {
    std::vector<std::string> said;
    for (const auto& each : on_ranks(2, command("sartor-infer", config))) {
      EXPECT_EQ(each.status, 2);
      EXPECT_EQ(std::ranges::count(each.err, '\n'), 1) << each.err;
      said.push_back(each.err);
    }
    EXPECT_THAT(said, Each(AllOf(StartsWith("sartor-infer: "), HasSubstr(why))));
    EXPECT_EQ(outputs(), std::vector<std::string>());
  };
  const std::string config = "task: recommend\ndevice: cpu\nmodel: FOLDER/run\noutput: FOLDER/out.csv\n";
  refused(config + "users: {path: '-', format: csv, column: id}\n",
          "- is standard input and can be read only once, but is needed again by the other ranks; give a file");
  refused(config + "items: {path: FOLDER/缺.csv, id: id, columns: [title]}\n", "缺.csv: no such file");
  refused(
      "task: similar\ndevice: cpu\nmodel: FOLDER/run\noutput: FOLDER/out.csv\n"
      "queries: {path: '-', format: csv, column: id}\n",
      "- is standard input and can be read only once, but is needed again by the other ranks; give a file");
}

}  // namespace
}  // namespace sartor::testing
