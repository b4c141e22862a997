// Features of users and items from tables.
#include "models/factorization/bayesian/row_features.h"

#include <gmock/gmock.h>

#include "support/folder_test.h"

namespace sartor {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class RowFeaturesTest : public testing::FolderTest {
 protected:
  RowFeaturesTest() {
    for (const char* id : {"用户1", "b", "无", "d"}) ids_.insert(id);
  }
  FeatureTableConfig config(const std::string& rows) const {
    FeatureTableConfig config;
    config.table.path = write("users.csv", rows);
    config.id = "id";
    return config;
  }
  RowFeatures read(const FeatureTableConfig& config) const {
    return read_features("model.user_features", config, ids_, Alone());
  }
  void expect(const FeatureTableConfig& config, const std::string& text) const {
    EXPECT_THAT([&] { read(config); }, ThrowsMessage<std::invalid_argument>(HasSubstr(text)));
  }

  datasets::IdMap ids_{"users"};
};

TEST_F(RowFeaturesTest, CategoriesListsAndNumbersAreFeatures) {
  auto table = config("id,sex,tags,age\nd,男,b a b,10\n用户1,女,a,30\nother,x,y,1\nb,男,,\n");
  table.categories = {"sex"};
  table.lists = {"tags"};
  table.numbers = {"age"};
  const auto features = read(table);
  // 女, 男, a, b, age in the order of the ids; 无 has none
  EXPECT_EQ(features.columns, 5);
  EXPECT_THAT(features.offsets, ElementsAre(0, 3, 4, 4, 8));
  EXPECT_THAT(features.places, ElementsAre(0, 2, 4, 1, 1, 2, 3, 4));
  EXPECT_THAT(features.values, ElementsAre(1, 1, FloatEq(1), 1, 1, 1, 1, FloatEq(-1)));
}

TEST_F(RowFeaturesTest, ListsHaveASeparatorOfTheirOwn) {
  auto table = config("id,tags\nb,\"科幻 | 动作|\"\nd,动作\n");
  table.lists = {"tags"};
  table.list_separator = "|";
  EXPECT_EQ(read(table).columns, 3);  // "科幻 ", " 动作" and "动作"
  table.list_separator = " | ";
  EXPECT_EQ(read(table).columns, 3);  // 科幻, "动作|", 动作
}

TEST_F(RowFeaturesTest, ANumberThatIsTheSameForAllIsLeftOut) {
  auto table = config("id,age,one\nb,5,1\nd,7,1\n");
  table.numbers = {"age", "one"};
  const auto features = read(table);
  EXPECT_EQ(features.columns, 2);
  EXPECT_THAT(features.places, ElementsAre(0, 0));
}

TEST_F(RowFeaturesTest, ErrorsNameFileColumnAndValue) {
  auto table = config("id,age,sex\nb,old,x\nd,7,y\n");
  EXPECT_THAT([&] { table.check(); }, ThrowsMessage<std::invalid_argument>(HasSubstr("names no columns")));
  table.numbers = {"age"};
  expect(table, "users.csv: age of b is old, expected a number");
  table.numbers = {"height"};
  expect(table, "height");
  table.numbers = {};
  table.categories = {"sex"};
  table.id = "user";
  expect(table, "user");
  table.table.path = path("缺.csv");
  expect(table, "缺.csv");
  auto others = config("id,sex\nx,m\n");
  others.categories = {"sex"};
  expect(others, "model.user_features: none of the 4 ids of the data has features in ");
  auto twice = config("id,sex\nb,m\nb,f\n");
  twice.categories = {"sex"};
  expect(twice, "listed twice");
  auto broken = config("id,sex\nb,\xff\xfe\n");
  broken.categories = {"sex"};
  expect(broken, "UTF-8");
  auto infinite = config("id,age\nb,inf\n");
  infinite.numbers = {"age"};
  expect(infinite, "age of b is inf, expected a number");
  std::string many = "id,tags\nb,";
  for (int i = 0; i < 2001; i++) many += "t" + std::to_string(i) + " ";
  auto lists = config(many + "\n");
  lists.lists = {"tags"};
  expect(lists, "has 2001 features, expected at most 2000");
}

}  // namespace
}  // namespace sartor
