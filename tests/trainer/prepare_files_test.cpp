// Preparing pairs without ratings whose test rows are files of their own.
#include <gmock/gmock.h>

#include <set>

#include "schema/config.h"
#include "schema/document.h"
#include "support/folder_test.h"
#include "tasks/data/prepare.h"
#include "tasks/factors/user_ratings.h"

namespace sartor {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Pairs = std::set<std::pair<std::string, std::string>>;

class PrepareFiles : public testing::FolderTest {
 protected:
  std::string config(const std::string& more) const {
    return "task: prepare\ndevice: cpu\nsource: {path: " + path("train.tsv") +
           ", header: false, column_names: [user, item], columns: {user: user, item: item, value: \"\", time: \"\"}, "
           "fill: 1}\noutput: " +
           path("prepared.h5") + "\n" + more;
  }
  std::string test_file(const std::string& name) const { return "test_path: " + path(name) + "\n"; }
  datasets::Prepared prepared(const std::string& more, const std::vector<std::string>& overrides = {}) const {
    const auto parsed = read_config<PrepareConfig>(parse_document(config(more), "config.yaml", overrides));
    Runtime runtime = make_runtime(parsed);
    prepare(parsed, runtime);
    return datasets::open_prepared(path("prepared.h5"));
  }
  static Pairs pairs(const datasets::Prepared& data, const datasets::StoredRatings& part) {
    const auto users = data.read_user_ids(), items = data.read_item_ids();
    const auto ratings = read_users(part, 0, data.users);
    Pairs found;
    for (int64_t user = 0; user < data.users; user++) {
      for (int64_t at = ratings.offsets[user]; at < ratings.offsets[user + 1]; at++) {
        EXPECT_EQ(ratings.values[at], 1);
        found.emplace(users[user], items[ratings.items[at]]);
      }
    }
    return found;
  }
};

TEST_F(PrepareFiles, TestRowsAreThoseOfTheTestFiles) {
  write("train.tsv", "u1\ti1\nu1\ti2\n用户\ti1\n用户\t电影\nu3\ti3\n");
  write("test-1.tsv", "用户\ti2\n");
  write("test-2.tsv", "u1\t电影\nu9\ti9\nu3\ti3\n");  // a new user and item, and a pair of the training file
  const auto data = prepared("split: {method: files}\n" + test_file("test-*.tsv"));
  EXPECT_EQ(pairs(data, data.test), (Pairs{{"用户", "i2"}, {"u1", "电影"}, {"u9", "i9"}, {"u3", "i3"}}));
  EXPECT_EQ(pairs(data, data.train), (Pairs{{"u1", "i1"}, {"u1", "i2"}, {"用户", "i1"}, {"用户", "电影"}}));
  EXPECT_EQ(data.validation.size(), 0);
}

TEST_F(PrepareFiles, ValidationRowsAreChosenAmongTheOthers) {
  std::string train, test;
  for (int row = 0; row < 100; row++) train += "u" + std::to_string(row % 10) + "\ti" + std::to_string(row / 10) + "\n";
  for (int row = 0; row < 10; row++) test += "u" + std::to_string(row) + "\tt\n";
  write("train.tsv", train);
  write("test.tsv", test);
  const auto data = prepared("split: {method: files, validation: 0.1}\n" + test_file("test.tsv"));
  EXPECT_EQ(data.train.size(), 90);
  EXPECT_EQ(data.validation.size(), 10);
  EXPECT_EQ(data.test.size(), 10);
  for (const auto& [user, item] : pairs(data, data.validation)) EXPECT_NE(item, "t");
}

TEST_F(PrepareFiles, NullClearsTheTestFiles) {
  write("train.tsv", "u1\ti1\nu1\ti2\n用户\ti1\n用户\t电影\nu3\ti3\n");
  const std::string files = "split: {method: files}\n" + test_file("missing.tsv");
  for (const std::string null : {"test_path=null", "test_path=~", "test_path="}) {
    const auto data = prepared(files, {"split={method: random, test: 0.2}", null});
    EXPECT_EQ(data.train.size() + data.test.size(), 5) << null;
    std::filesystem::remove(path("prepared.h5"));
  }
  EXPECT_THAT([&] { prepared(files, {"split.method=random"}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("split.method is random (test_path: null clears it)")));
}

TEST_F(PrepareFiles, NameWhatIsWrong) {
  write("train.tsv", "u1\ti1\nu2\ti2\n");
  write("test.tsv", "");
  const auto fails = [&](const std::string& more, const std::string& message) {
    EXPECT_THAT([&] { prepared(more); }, ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
    EXPECT_FALSE(std::filesystem::exists(path("prepared.h5")));
  };
  fails("split: {method: files}\n", "test_path is for split.method files, which needs it; split.method is files");
  fails(test_file("test.tsv"), "test_path is for split.method files, which needs it; split.method is random");
  fails("split: {method: files, test_rows: 3}\n" + test_file("test.tsv"), "first_test_row and test_rows are for");
  fails("split: {method: files}\n" + test_file("missing.tsv"), "missing.tsv");
  fails("split: {method: files}\n" + test_file("test.tsv"), "test.tsv");
  write("test.tsv", "u1\ti1\nu2\ti2\n");
  fails("split: {method: files}\n" + test_file("test.tsv"), "leave none for training");
}

}  // namespace
}  // namespace sartor
