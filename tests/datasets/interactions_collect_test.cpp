#include "interactions/collect.h"

#include <map>

#include "datasets/interactions_support.h"

namespace sartor::datasets {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

class Collect : public testing::FolderTest {
 protected:
  Interactions collect_rows(const std::vector<Row>& rows, bool timed, Duplicates duplicates, int64_t batch = 7) {
    RowSource source(rows, timed, batch);
    return collect(source, {duplicates}, folder_);
  }
};

// The ratings kept, by user and item in the order of first appearance.
std::vector<Row> naive(const std::vector<Row>& rows, bool timed, Duplicates duplicates) {
  std::vector<std::string> users, items;
  std::map<std::pair<size_t, size_t>, std::vector<Row>> cells;
  const auto number = [](std::vector<std::string>& names, const std::string& name) {
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) names.push_back(name);
    return size_t(std::ranges::find(names, name) - names.begin());
  };
  for (const Row& row : rows) {
    const size_t user = number(users, row.user), item = number(items, row.item);
    cells[{user, item}].push_back(row);
  }
  std::vector<Row> kept;
  for (const auto& [at, cell] : cells) {
    Row row = cell[0];
    double sum = 0;
    for (const Row& other : cell) {
      sum += other.value;
      if (!timed || other.time >= row.time) row = other;
    }
    if (duplicates == Duplicates::sum) row.value = sum;
    if (duplicates == Duplicates::mean) row.value = sum / cell.size();
    if (!timed) row.time = 0;
    kept.push_back(row);
  }
  return kept;
}

std::vector<Row> rows_of(const Interactions& data) {
  std::vector<Row> rows;
  for (int64_t user = 0; user < data.users.size(); user++) {
    for (int64_t i = data.offsets[user]; i < data.offsets[user + 1]; i++) {
      const Rating& rating = data.ratings[i];
      rows.push_back({std::string(data.users[user]), std::string(data.items[rating.item]), rating.value,
                      data.times.empty() ? 0 : data.times[i]});
    }
  }
  return rows;
}

TEST_F(Collect, EqualsMaps) {
  for (const auto& [count, users, items] :
       {std::tuple{1, 1, 1}, {2, 1, 1}, {500, 1, 37}, {500, 41, 1}, {3001, 89, 53}}) {
    const auto rows = made_rows(count, users, items);
    for (const bool timed : {true, false}) {
      for (const auto duplicates : {Duplicates::last, Duplicates::mean, Duplicates::sum}) {
        const auto data = collect_rows(rows, timed, duplicates);
        const auto expected = naive(rows, timed, duplicates);
        EXPECT_EQ(rows_of(data), expected) << count << " " << name_of(duplicates) << " " << timed;
        const auto [least, most] = std::ranges::minmax(expected, {}, &Row::value);
        EXPECT_EQ(data.lowest, least.value);
        EXPECT_EQ(data.highest, most.value);
        EXPECT_EQ(data.received, count);
        for (const Rating& rating : data.ratings) {  // order: the row that was kept
          EXPECT_EQ(rows[rating.order].item, data.items[rating.item]);
        }
      }
    }
  }
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(Collect, DoesNotDependOnTheBatches) {
  const auto rows = made_rows(1009, 61, 47);
  const auto once = collect_rows(rows, true, Duplicates::last, 5000);
  for (const int64_t batch : {1, 13, 505}) {
    const auto data = collect_rows(rows, true, Duplicates::last, batch);
    EXPECT_EQ(rows_of(data), rows_of(once));
    EXPECT_TRUE(std::ranges::equal(data.ratings, once.ratings, {}, &Rating::order, &Rating::order));
  }
}

TEST_F(Collect, NamesBothRowsOfADuplicate) {
  std::vector<Row> rows = {{"1", "a"}, {"2", "a"}, {"小明", "电影"}, {"2", "b"}, {"3", "a"}, {"小明", "电影"}};
  EXPECT_THAT([&] { collect_rows(rows, false, Duplicates::error, 2); },
              ThrowsMessage<std::invalid_argument>(
                  "b.csv: row 4: user 小明 rated item 电影 before, at a.csv: row 4 (duplicates is error)"));
  rows.pop_back();
  EXPECT_EQ(rows_of(collect_rows(rows, false, Duplicates::error)), naive(rows, false, Duplicates::error));
}

TEST_F(Collect, RefusesNothingAndInfinity) {
  EXPECT_THAT([&] { collect_rows({}, false, Duplicates::last); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("there are no ratings")));
  EXPECT_THAT(
      [&] {
        collect_rows({{"1", "a", 3e38f}, {"1", "a", 3e38f}}, false, Duplicates::sum);
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("the sum of duplicates is not finite")));
}

TEST_F(Collect, LeavesNothingWhenTheSourceFails) {
  RowSource source(made_rows(100, 10, 10), false, 7, /*stop=*/31);
  EXPECT_THAT([&] { collect(source, {}, folder_); }, ThrowsMessage<std::invalid_argument>("a.csv: row breaks off"));
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(Collect, NamesAnUnwritableFolder) {
  RowSource source(made_rows(3, 3, 3), false);
  EXPECT_THAT([&] { collect(source, {}, path("none")); },
              ThrowsMessage<std::system_error>(AllOf(HasSubstr("none"), HasSubstr("No such file or directory"))));
}

}  // namespace
}  // namespace sartor::datasets
