// Ratings from all formats and presets; rejected rows.
#include "records/ratings.h"

#include <limits>

#include "datasets/tables_support.h"
#include "records/item_table.h"
#include "tables/table_writer.h"

namespace sartor::datasets {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::ThrowsMessage;

struct Rating {
  int64_t row;
  std::string user, item;
  float value;
  int64_t time = 0;

  bool operator==(const Rating&) const = default;
  friend void PrintTo(const Rating& r, std::ostream* out) {
    *out << fmt::format("{}: {} {} {} {}", r.row, r.user, r.item, r.value, r.time);
  }
};

std::vector<Rating> read_ratings(const RatingsConfig& config, Rejects& rejects) {
  config.check();
  const auto source = open_ratings(config, rejects);
  std::vector<Rating> ratings;
  for (RatingBatch batch; source->next(batch);) {
    EXPECT_EQ(batch.users.size(), batch.size());
    EXPECT_EQ(batch.items.size(), batch.size());
    EXPECT_EQ(std::ssize(batch.values), batch.size());
    EXPECT_EQ(std::ssize(batch.times), source->has_times() ? batch.size() : 0);
    for (int64_t i = 0; i < batch.size(); i++) {
      ratings.push_back({batch.rows[i], std::string(batch.users[i]), std::string(batch.items[i]), batch.values[i],
                         source->has_times() ? batch.times[i] : 0});
    }
  }
  return ratings;
}

const ColumnsConfig columns{.user = "u", .item = "i", .value = "v"},
    timed{.user = "u", .item = "i", .value = "v", .time = "t"};

class Ratings : public FolderTest {
 protected:
  RatingsConfig csv(std::string_view bytes, const ColumnsConfig& columns) {
    return {.table = {.path = write("r.csv", bytes)}, .columns = columns};
  }
  RatingsConfig preset(std::string_view name, std::string_view bytes, TablePreset preset) {
    return {.table = {.path = write(name, bytes), .preset = preset}};
  }
  Rejects rejects_;
};

TEST_F(Ratings, MovieLensInItsThreeForms) {
  using enum TablePreset;
  EXPECT_THAT(read_ratings(preset("u1.base", "196\t242\t3\t881250949\n", movielens), rejects_),
              ElementsAre(Rating{1, "196", "242", 3, 881250949}));
  EXPECT_THAT(read_ratings(preset("ratings.dat", "1::122::4.5::838985046\n", movielens), rejects_),
              ElementsAre(Rating{1, "1", "122", 4.5, 838985046}));
  EXPECT_THAT(
      read_ratings(preset("ratings.csv", "userId,movieId,rating,timestamp\r\n1,2,0.5,1112486027\r\n", movielens),
                   rejects_),
      ElementsAre(Rating{2, "1", "2", 0.5, 1112486027}));
  EXPECT_EQ(rejects_.total(), 0);
}

TEST_F(Ratings, OtherPublicSets) {
  using enum TablePreset;
  EXPECT_THAT(
      read_ratings(
          preset("ml.inter", "user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t242\t3\t881250949\n",
                 recbole),
          rejects_),
      ElementsAre(Rating{2, "196", "242", 3, 881250949}));
  EXPECT_THAT(
      read_ratings(preset("x.inter", "user_id:token\titem_id:token\trating:float\n甲\t乙\t2\n", recbole), rejects_),
      ElementsAre(Rating{2, "甲", "乙", 2}));
  EXPECT_THAT(read_ratings(preset("mv_0000001.txt", "1:\n1488844,3,2005-09-06\n", netflix), rejects_),
              ElementsAre(Rating{2, "1488844", "1", 3, 1125964800}));
  EXPECT_THAT(
      read_ratings(
          preset(
              "reviews_5.json",
              R"({"reviewerID": "A2", "asin": "B0", "overall": 5.0, "unixReviewTime": 1370304000, "reviewText": "好"})",
              amazon_reviews),
          rejects_),
      ElementsAre(Rating{1, "A2", "B0", 5, 1370304000}));
  EXPECT_THAT(
      read_ratings(
          preset("Beauty.jsonl",
                 "{\"user_id\": \"AG\", \"asin\": \"B1\", \"parent_asin\": \"P1\", \"rating\": 5, \"timestamp\": "
                 "1588615855070}\n"
                 "{\"user_id\": \"AG\", \"asin\": \"B1\", \"parent_asin\": \"P1\", \"rating\": 4.5, \"timestamp\": -1}",
                 amazon_reviews),
          rejects_),
      ElementsAre(Rating{1, "AG", "P1", 5, 1588615855}, Rating{2, "AG", "P1", 4.5, -1}));
  EXPECT_THAT(
      read_ratings(preset("old.jsonl", R"({"user_id": "AG", "asin": "B1", "rating": 5, "timestamp": 1588615855070})",
                          amazon_reviews),
                   rejects_),
      ElementsAre(Rating{1, "AG", "B1", 5, 1588615855}));
  EXPECT_EQ(rejects_.total(), 0);
}

TEST_F(Ratings, ConfigOverridesPreset) {
  RatingsConfig config = preset("ratings.csv", "userId,movieId,stars,timestamp\n1,2,3,2000\n", TablePreset::movielens);
  config.columns.value = "stars";
  config.columns.time_unit = TimeUnit::milliseconds;
  EXPECT_THAT(read_ratings(config, rejects_), ElementsAre(Rating{2, "1", "2", 3, 2}));
  config.columns.time = "";
  EXPECT_THAT(read_ratings(config, rejects_), ElementsAre(Rating{2, "1", "2", 3}));
}

TEST_F(Ratings, IdsOfJsonKeepTheirDigits) {
  const RatingsConfig config{.table = {.path = write("r.jsonl",
                                                     "{\"u\": 12345678901234567890, \"i\": 1, \"v\": 4}\n"
                                                     "{\"u\": 12345678901234567891, \"i\": \"x2\", \"v\": \"good\"}\n"
                                                     "{\"u\": 12345678901234567891, \"i\": \"x2\", \"v\": 4.5}\n")},
                             .columns = columns};
  EXPECT_THAT(read_ratings(config, rejects_),
              ElementsAre(Rating{1, "12345678901234567890", "1", 4}, Rating{3, "12345678901234567891", "x2", 4.5}));
  EXPECT_THAT(rejects_.counts(), ElementsAre(Pair("value is not a number", 1)));
}

TEST_F(Ratings, IdsHaveNoZeroBytes) {
  const RatingsConfig config = csv(std::string_view("u,i,v\na\0b,x,1\na,x\0,2\na,x,3\n", 27), columns);
  EXPECT_THAT(read_ratings(config, rejects_), ElementsAre(Rating{4, "a", "x", 3}));
  EXPECT_THAT(rejects_.counts(), ElementsAre(Pair("item holds a zero byte", 1), Pair("user holds a zero byte", 1)));
  write("items.csv", std::string_view("id,name\n1\0,a\n2,b\n", 17));
  Rejects rejects;
  EXPECT_EQ(ItemTable({.table = {.path = path("items.csv")}, .id = "id", .columns = {"name"}}, rejects).size(), 1);
  EXPECT_THAT(rejects.counts(), ElementsAre(Pair("item holds a zero byte", 1)));
}

TEST_F(Ratings, DecimalCommas) {
  RatingsConfig config =
      csv("u;i;v;t\n1;a;3,5;1,9\n1;b;4;2005-09-06\n1;c;1.000;0\n1;d;1.000,5;0\n1;e;1,2,3;0\n1;f;,5;0\n", timed);
  config.table.separator = ";";
  config.table.decimal = DecimalMark::comma;
  EXPECT_THAT(
      read_ratings(config, rejects_),
      ElementsAre(Rating{2, "1", "a", 3.5, 1}, Rating{3, "1", "b", 4, 1125964800}, Rating{7, "1", "f", 0.5, 0}));
  EXPECT_THAT(rejects_.counts(), ElementsAre(Pair("value is not a number", 3)));
  config.table.decimal = DecimalMark::point;
  EXPECT_THAT(read_ratings(config, rejects_),
              ElementsAre(Rating{3, "1", "b", 4, 1125964800}, Rating{4, "1", "c", 1, 0}));
}

TEST_F(Ratings, BlankLinesAreCountedAndNoErrors) {
  Rejects strict(path("rejects.tsv"), Unfit::error);
  EXPECT_THAT(read_ratings(csv("u,i,v\n\n1,a,3\n\n", columns), strict), ElementsAre(Rating{3, "1", "a", 3}));
  strict.finish();
  EXPECT_EQ(read(path("rejects.tsv")),
            fmt::format("file\trow\treason\ttext\n{0}\t2\tline is empty\t\n{0}\t4\tline is empty\t\n", path("r.csv")));
}

TEST_F(Ratings, WhereAllRowsAreRejectedAnExampleOfEachReasonIsGiven) {
  Rejects rejects(path("rejects.tsv"));
  read_ratings(csv("u,i,v\n1,a,\xff\n1,b,3\\4\n1,c,good\n\n", columns), rejects);
  const std::string file = path("r.csv");
  EXPECT_THAT(
      [&] { rejects.refuse_all(); },
      ThrowsMessage<std::invalid_argument>(fmt::format(
          "no row could be used, 4 were rejected: {0}: row 2: v is not UTF-8, found \\xff (1); {0}: row 5: line is "
          "empty (1); {0}: row 3: value is not a number, found 3\\\\4 (2); see {1}",
          file, path("rejects.tsv"))));
  EXPECT_THAT(read(path("rejects.tsv")), HasSubstr("\t4\tvalue is not a number\tgood\n"));
}

TEST_F(Ratings, NumbersOfJsonAreIdsToo) {
  const RatingsConfig config{
      .table = {.path = write("r.jsonl",
                              "{\"u\": 9007199254740993, \"i\": \"中\", \"v\": \"4.5\"}\n"
                              "{\"u\": 2, \"i\": \"x\", \"v\": \"\"}\n{\"u\": 3, \"i\": \"y\"}\n")},
      .columns = columns};
  EXPECT_THAT(read_ratings(config, rejects_), ElementsAre(Rating{1, "9007199254740993", "中", 4.5}));
  EXPECT_THAT(rejects_.counts(), ElementsAre(Pair("value is missing", 2)));
}

TEST_F(Ratings, Parquet) {
  const std::vector<int64_t> users = {7, 8, 9};
  const std::vector<std::string_view> items = {"霸王别姬", "", "x"};
  const std::vector<double> values = {3.5, 1, std::numeric_limits<double>::quiet_NaN()}, times = {1.9, -1.5, 3};
  TableWriter writer(
      path("r.parquet"),
      {{"u", ColumnType::int64}, {"i", ColumnType::text}, {"v", ColumnType::float64}, {"t", ColumnType::float64}});
  writer.append({users, items, values, times});
  writer.finish();
  RatingsConfig config{.table = {.path = path("r.parquet")}, .columns = timed, .fill = 2};
  EXPECT_THAT(read_ratings(config, rejects_),
              ElementsAre(Rating{1, "7", "霸王别姬", 3.5, 1}, Rating{3, "9", "x", 2, 3}));
  EXPECT_THAT(rejects_.counts(), ElementsAre(Pair("item is missing", 1)));
}

TEST_F(Ratings, UnfitRowsAreRejectedWithReason) {
  const std::string bytes =
      "u,i,v,t\n1,a,3,0\n,a,3,0\n1,,3,0\n1,a,,0\n1,a,good,0\n1,a,\"3,5\",0\n1,a,nan,0\n1,a,-inf,0\n1,a,1e39,0\n1,a,"
      "1e999,0\n"
      "1,a,0.4,0\n1,a,5.1,0\n1,a,3,\n1,a,3,noon\n1,a,3,2005-02-30\n1,a,3,1e30\n\xff,a,3,0\n1,a,3\n\n1,a, 5 , 7 \n";
  RatingsConfig config = csv(bytes, timed);
  config.minimum = 0.5;
  config.maximum = 5;
  Rejects rejects(path("rejects.tsv"));
  EXPECT_THAT(read_ratings(config, rejects), ElementsAre(Rating{2, "1", "a", 3, 0}, Rating{21, "1", "a", 5, 7}));
  rejects.finish();
  const std::string file = path("r.csv");
  const auto line = [&](int row, const char* reason, const char* text) {
    return fmt::format("{}\t{}\t{}\t{}\n", file, row, reason, text);
  };
  EXPECT_EQ(read(path("rejects.tsv")),
            "file\trow\treason\ttext\n" + line(18, "u is not UTF-8", "\\xff") + line(19, "not 4 columns", "1,a,3") +
                line(20, "line is empty", "") + line(3, "user is missing", "") + line(4, "item is missing", "") +
                line(5, "value is missing", "") + line(6, "value is not a number", "good") +
                line(7, "value is not a number", "3,5") + line(8, "value is not finite", "nan") +
                line(9, "value is not finite", "-inf") + line(10, "value is not finite", "1e39") +
                line(11, "value is not a number", "1e999") + line(12, "value is below the minimum", "0.4") +
                line(13, "value is above the maximum", "5.1") + line(14, "time is missing", "") +
                line(15, "time is neither a number nor a date", "noon") +
                line(16, "time is neither a number nor a date", "2005-02-30") +
                line(17, "time is neither a number nor a date", "1e30"));
  EXPECT_EQ(rejects.total(), 18);
}

TEST_F(Ratings, ValuesBeyondAnyScaleNeedABoundThatAllowsThem) {
  RatingsConfig config = csv("u,i,v\n1,a,1e15\n1,b,-1e15\n1,c,1e16\n1,d,-1e30\n", columns);
  EXPECT_THAT(read_ratings(config, rejects_), ElementsAre(Rating{2, "1", "a", 1e15f}, Rating{3, "1", "b", -1e15f}));
  EXPECT_THAT(rejects_.counts(), ElementsAre(Pair("value is above 1e15 and no maximum is given", 1),
                                             Pair("value is below -1e15 and no minimum is given", 1)));
  config.maximum = 1e38;
  EXPECT_EQ(read_ratings(config, rejects_).size(), 3);
  config.minimum = -1e38;
  EXPECT_EQ(read_ratings(config, rejects_).size(), 4);
  config.maximum.reset();
  config.minimum = 1e20;
  EXPECT_THAT([&] { config.check(); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("is above maximum 1000000000000000")));
}

TEST_F(Ratings, Times) {
  const auto time = [&](const std::string& text, std::optional<TimeUnit> unit = {}) {
    RatingsConfig config = csv("u,i,v,t\n1,a,3," + text + "\n", timed);
    config.columns.time_unit = unit;
    return read_ratings(config, rejects_).at(0).time;
  };
  EXPECT_EQ(time("881250949"), 881250949);
  EXPECT_EQ(time("881250949.7"), 881250949);
  EXPECT_EQ(time("-1500", TimeUnit::milliseconds), -2);
  EXPECT_EQ(time("-2000", TimeUnit::milliseconds), -2);
  EXPECT_EQ(time("1588615855070", TimeUnit::milliseconds), 1588615855);
  EXPECT_EQ(time("1588615855070999", TimeUnit::microseconds), 1588615855);
  EXPECT_EQ(time("1588615855070999999", TimeUnit::nanoseconds), 1588615855);
  EXPECT_EQ(time("2005-09-06"), 1125964800);
  EXPECT_EQ(time("2005-09-06", TimeUnit::milliseconds), 1125964800);
  EXPECT_EQ(time("2005-09-06 00:00:01"), 1125964801);
  EXPECT_EQ(time("2005-09-06T08:00:00+08:00"), 1125964800);
  EXPECT_EQ(time("1969-12-31T23:59:59.5Z"), -1);
}

TEST_F(Ratings, MissingValues) {
  RatingsConfig config = csv("u,i,v\n1,a,\n2,b,4\n", columns);
  config.fill = 2.5;
  EXPECT_THAT(read_ratings(config, rejects_), ElementsAre(Rating{2, "1", "a", 2.5}, Rating{3, "2", "b", 4}));
  config.columns.value = "";
  EXPECT_THAT(read_ratings(config, rejects_), ElementsAre(Rating{2, "1", "a", 2.5}, Rating{3, "2", "b", 2.5}));
  config.columns.value.reset();
  EXPECT_THAT(read_ratings(config, rejects_), ElementsAre(Rating{2, "1", "a", 2.5}, Rating{3, "2", "b", 2.5}));
  config = csv("u,i,v\n1,a,3\n2,b,\n", columns);
  Rejects strict(path("rejects.tsv"), Unfit::error);
  EXPECT_THAT([&] { read_ratings(config, strict); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("r.csv: row 3: value is missing")));
}

TEST_F(Ratings, NoRowsIsNoError) {
  EXPECT_THAT(read_ratings(csv("u,i,v\n", columns), rejects_), IsEmpty());
  EXPECT_THAT(read_ratings(preset("u.data", "", TablePreset::movielens), rejects_), IsEmpty());
}

TEST_F(Ratings, ConfigThatSaysTooLittleIsRefused) {
  const auto refused = [&](RatingsConfig config, const std::string& message) {
    EXPECT_THAT([&] { read_ratings(config, rejects_); }, ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  };
  const std::string bytes = "u,i,v\n1,a,3\n";
  refused(csv(bytes, {.item = "i", .value = "v"}),
          "columns.user is not given; " + path("r.csv") + " has the columns u, i, v");
  refused(csv(bytes, {.user = "u", .item = "", .value = "v"}), "columns.item is not given");
  refused(csv(bytes, {.user = "u", .item = "i"}), "columns.value is not given");
  refused(csv(bytes, timed), "r.csv: no column 't'; its columns are u, i, v");
  refused(preset("x.csv", "userId,movieId\n", TablePreset::movielens),
          "x.csv: no column 'rating'; its columns are userId, movieId");
  RatingsConfig config = csv(bytes, {.user = "u", .item = "i", .value = ""});
  refused(config, "columns.value is empty, which requires fill");
  config.columns = columns;
  config.minimum = 5;
  config.maximum = 1;
  refused(config, "minimum 5 is above maximum 1");
}

TEST_F(Ratings, RejectsAreEscapedAndAppearWhenFinished) {
  {
    Rejects rejects(path("rejects.tsv"));
    rejects.add("a.csv", 3, "odd", "tab\t break\r\n back\\slash \x01 中\xe4\xb8 \xff");
    rejects.add("a.csv", 4, "odd", std::string(1200, 'x'));
    EXPECT_THAT(files(), Not(Contains("rejects.tsv")));
    rejects.finish();
  }
  EXPECT_EQ(read(path("rejects.tsv")),
            "file\trow\treason\ttext\na.csv\t3\todd\ttab\\t break\\r\\n back\\\\slash \\x01 中\\xe4\\xb8 \\xff\n"
            "a.csv\t4\todd\t" +
                std::string(1000, 'x') + "...\n");
  { Rejects unfinished(path("other.tsv")); }
  EXPECT_THAT(files(), ElementsAre("rejects.tsv"));
  EXPECT_THAT([&] { Rejects(path("none/rejects.tsv")); },
              ThrowsMessage<std::runtime_error>(AllOf(HasSubstr("none/rejects.tsv"), HasSubstr("No such file"))));
}

TEST_F(Ratings, RejectsOfAnEarlierRunGoWhereNoneAreRejected) {
  write("rejects.tsv", "of an earlier run");
  { Rejects unfinished(path("rejects.tsv")); }
  EXPECT_THAT(files(), Contains("rejects.tsv"));
  Rejects(path("rejects.tsv")).finish();
  EXPECT_THAT(files(), IsEmpty());
  Rejects(path("rejects.tsv")).finish();
}

TEST_F(Ratings, ItemTables) {
  const auto table = [&](std::string_view name, std::string_view bytes, TablePreset preset) {
    return ItemTable({.table = {.path = write(name, bytes), .preset = preset}}, rejects_);
  };
  const std::string flags = "|0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0\n";
  const ItemTable ml100k = table("u.item",
                                 "1|Toy Story (1995)|01-Jan-1995||http://x" + flags +
                                     "543|Mis\xe9rables, Les (1995)|01-Jan-1995||http://y" + flags,
                                 TablePreset::movielens);
  EXPECT_EQ(ml100k.size(), 2);
  EXPECT_EQ(ml100k.value("543", 0), "Misérables, Les (1995)");
  EXPECT_EQ(ml100k.value("544", 0), "");

  const ItemTable csv =
      table("movies.csv", "movieId,title,genres\n11,\"American President, The (1995)\",Comedy|Drama\n",
            TablePreset::movielens);
  EXPECT_THAT(csv.columns(), ElementsAre("title", "genres"));
  EXPECT_EQ(csv.value("11", 0), "American President, The (1995)");
  EXPECT_EQ(csv.value("11", 1), "Comedy|Drama");

  const ItemTable recbole =
      table("ml.item",
            "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n1\tToy Story\t1995\tComedy\n",
            TablePreset::recbole);
  EXPECT_EQ(recbole.value("1", 0), "Toy Story");
  EXPECT_EQ(rejects_.total(), 0);

  write("items.csv", "id,name\n1,甲\n1,乙\n,丙\n");
  const ItemTable own({.table = {.path = path("items.csv")}, .id = "id", .columns = {"name"}}, rejects_);
  EXPECT_EQ(own.value("1", 0), "甲");
  EXPECT_THAT(rejects_.counts(), ElementsAre(Pair("item is listed twice", 1), Pair("item is missing", 1)));

  const auto refused = [&](std::optional<std::string> id, std::vector<std::string> columns, const char* message) {
    EXPECT_THAT([&] { ItemTable({.table = {.path = path("items.csv")}, .id = id, .columns = columns}, rejects_); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  };
  refused({}, {"name"}, "id is not given; ");
  refused("id", {}, "columns are not given; ");
  refused("id", {"title"}, "items.csv: no column 'title'; its columns are id, name");
}

}  // namespace
}  // namespace sartor::datasets
