// Ranks that divide the catalogue, ratings that exceed the memory, and new items: the same files as one process.
#include "core/gpu/module.h"
#include "integration/ranks_fixture.h"

namespace sartor::testing {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Sharding : public Ranks {
 protected:
  void write_new_ratings() const {
    write("new_users.csv", "user,item,rating\n新用户,i3,5\n新用户,i7,1\nu0,i3,2\n新用户,nothing,4\n新用户,新品,5\n");
    write("new_items.csv",
          "user,item,rating\nu0,新品,5\n用户1,新品,4\nu2,新品,5\nu4,lamp,1\n用户3,lamp,2\nnobody,lamp,3\nu0,i3,1\nu2,"
          "lamp,坏\n");
  }
  static constexpr const char* new_items =
      "new_items: {path: FOLDER/new_items.csv, columns: {user: user, item: item, value: rating}}\n";
  static constexpr const char* new_users =
      "new_users: {path: FOLDER/new_users.csv, columns: {user: user, item: item, value: rating}}\n";

  static constexpr const char* ials_config =
      "task: factorize\ndevice: cpu\ndata: {path: FOLDER/prepared.h5}\n"
      "model: {algorithm: ials, factors: 8, epochs: 5}\noutput: FOLDER/run\n";
};

TEST_F(Sharding, ImplicitFactorsAndListsHaveTheSameBytes) {
  write_ratings();
  expect_done(train(prepare_config));
  expect_done(train(ials_config, every_epoch));
  const auto one = bytes_of("run");
  for (const int ranks : {2, 4}) {
    const auto said = expect_done_on(
        ranks,
        command("sartor-train", ials_config, {"--overwrite", "--set", "threads=1", "--set", "checkpoint.every=1"}));
    EXPECT_TRUE(bytes_of("run") == one) << ranks;
    EXPECT_THAT(said[0], AllOf(HasSubstr("sent to other ranks in training: rank 0 "),
                               HasSubstr(" bytes; the least possible is "), HasSubstr(" per rank on average")));
  }
  expect_same_bytes("task: recommend\ndevice: cpu\nmodel: FOLDER/run\nk: 7\noutput: FOLDER/lists.csv\n", "lists.csv");
}

TEST_F(Sharding, OfTheCatalogueGivesTheSameLists) {
  make_run();
  write_new_ratings();
  write("allow.csv", "item\ni3\ni7\ni8\n");
  for (const std::string more : {"", "k: 3\n", "k: 100000\n", "allow: {path: FOLDER/allow.csv, column: item}\n",
                                 "exclude_seen: false\nk: 40\n"}) {
    expect_same_bytes("task: recommend\ndevice: cpu\nmodel: FOLDER/run\noutput: FOLDER/lists.csv\n" +
                          std::string(new_users) + new_items + more,
                      "lists.csv", "sharding=catalogue");
    if (more.starts_with("exclude")) continue;
    expect_same_bytes("task: similar\ndevice: cpu\nmodel: FOLDER/run\noutput: FOLDER/near.csv\n" + more, "near.csv",
                      "sharding=catalogue");
  }
  expect_same_bytes("task: similar\ndevice: cpu\nmodel: FOLDER/run\nof: users\nprecision: fp16\noutput: FOLDER/u.csv\n",
                    "u.csv", "sharding=catalogue");
}

// 40 items of 4 factors, a bias and a scale.
TEST_F(Sharding, IsChosenIfTheCatalogueDoesNotFit) {
  make_run();
  const std::string config =
      "task: recommend\ndevice: cpu\nmodel: FOLDER/run\noutput: FOLDER/out.csv\nmax_device_memory: ";
  EXPECT_THAT(expect_done_on(2, command("sartor-infer", config + "960\n", {"--overwrite"}))[0],
              HasSubstr("MiB for 40 items\n"));
  EXPECT_THAT(expect_done_on(2, command("sartor-infer", config + "959\n", {"--overwrite"}))[0],
              HasSubstr("MiB for 20 items of 40 in each process\n"));
  std::filesystem::remove(path("out.csv"));
  for (const int ranks : {1, 2}) {
    const auto outcomes = on_ranks(ranks, command("sartor-infer", config + "479\n"));
    for (const auto& each : outcomes) EXPECT_EQ(each.status, 2);
    EXPECT_THAT(outcomes[0].err, HasSubstr(fmt::format(
                                     "40 items need {} bytes of device memory in each of {} processes, but it has 479: "
                                     "start more processes with sharding: catalogue or raise max_device_memory",
                                     960 / ranks, ranks)));
    EXPECT_EQ(outputs(), std::vector<std::string>());
  }
}

TEST_F(Sharding, BlocksOfRatingsGiveTheSameBytes) {
  make_run(every_epoch);
  const auto whole = bytes_of("run");
  const auto refused = train(factorize_config, {"--set", "output=" + path("other"), "--set", "max_device_memory=10"});
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("max_device_memory is 10, training needs at least "));
  for (const int ranks : {1, 2}) {
    const auto said = expect_done_on(ranks, command("sartor-train", factorize_config,
                                                    {"--overwrite", "--set", "threads=1", "--set", "checkpoint.every=1",
                                                     "--set", "max_device_memory=7000"}));
    EXPECT_THAT(said[0], HasSubstr("of ratings, which arrive in blocks of rows: "));
    EXPECT_TRUE(bytes_of("run") == whole) << ranks;
  }
}

TEST_F(Sharding, NewItemsAreRecommendedAndHaveNeighbours) {
  make_run();
  write_new_ratings();
  const std::string recommend =
      "task: recommend\ndevice: cpu\nmodel: FOLDER/run\nk: 100\noutput: FOLDER/lists.csv\n" + std::string(new_items);
  const auto done = infer(recommend);
  expect_done(done);
  EXPECT_THAT(done.err,
              AllOf(HasSubstr("2 new items with 5 ratings"),
                    HasSubstr("1 ratings of new_items are by users that the model does not know and are ignored"),
                    HasSubstr("1 ratings of new_items have items that the model was trained on and are ignored"),
                    HasSubstr("1 rows of new_items are invalid, ")));
  EXPECT_THAT(read("lists.csv.new_items.rejects.tsv"), HasSubstr("坏"));
  const auto lists = read("lists.csv");
  const auto has = [&](const std::string& user, const std::string& item) {
    std::istringstream lines(lists);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(user + ",") && line.find("," + item + ",") != line.npos) return true;
    }
    return false;
  };
  EXPECT_TRUE(has("u6", "新品") && has("u6", "lamp") && has("u0", "lamp"));
  EXPECT_FALSE(has("u0", "新品") || has("u4", "lamp"));  // their users have seen them
  expect_done(infer("task: similar\ndevice: cpu\nmodel: FOLDER/run\nk: 100\noutput: FOLDER/near.csv\n" +
                    std::string(new_items)));
  EXPECT_THAT(read("near.csv"), AllOf(HasSubstr("\n新品,1,"), HasSubstr(",lamp,")));
}

TEST_F(Sharding, RefusesNewItemsThatDoNotFit) {
  make_run();
  const auto refused = [&](const std::string& config, const std::string& why) {
    const auto outcome = infer("device: cpu\nmodel: FOLDER/run\noutput: FOLDER/out.csv\n" + config + new_items);
    EXPECT_EQ(outcome.status, 2);
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
    EXPECT_THAT(outcome.err, AllOf(StartsWith("sartor-infer: "), HasSubstr(why)));
    EXPECT_EQ(outputs(), std::vector<std::string>());
  };
  refused("task: recommend\n", "new_items.csv: no such file");
  write("new_items.csv", "user,item,rating\nu0,新品,5\nu2,新品,4\nu0,新品,3\n");
  refused("task: recommend\n", "new_items: user u0 rates item 新品 twice");
  refused("task: similar\n", "new_items: user u0 rates item 新品 twice");
  refused("task: similar\nof: users\n", "new_items adds items, but `of` is users");
  write("new_items.csv", "user,item\nu0,新品\n");
  refused("task: recommend\n", "rating");
}

// Each rank has a device of its own. Ratings in blocks too: scratch memory takes most of the limit.
TEST_F(Sharding, OnTwoGpusGivesTheBytesOfOne) {
  std::string why_not;
  const int devices = cuda::gpu_count(&why_not);
  if (devices < 2) GTEST_SKIP() << (devices == 1 ? "there is only one GPU" : why_not);
  write_ratings();
  expect_done(train(prepare_config));
  const auto bytes = [&](int ranks, const std::vector<std::string>& more) {
    std::vector<std::string> set = {"--overwrite", "--set", "device=cuda", "--set", "threads=1"};
    for (const auto& each : more) set.insert(set.end(), {"--set", each});
    expect_done_on(ranks, command("sartor-train", factorize_config, set));
    std::string all = read("run/model/factors.h5");
    set = {"--overwrite", "--set", "device=cuda"};
    if (ranks > 1) set.insert(set.end(), {"--set", "sharding=catalogue"});
    const auto said = expect_done_on(ranks, command("sartor-infer", recommend_config, set));
    EXPECT_THAT(said[0], HasSubstr(ranks > 1 ? "MiB for 20 items of 40 in each process\n" : "MiB for 40 items\n"));
    return all + read("lists.csv");
  };
  const auto one = bytes(1, {});
  EXPECT_TRUE(bytes(2, {}) == one);
  EXPECT_TRUE(bytes(2, {fmt::format("max_device_memory={}", (1 << 29) + 7000)}) == one);
}

}  // namespace
}  // namespace sartor::testing
