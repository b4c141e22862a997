// All formats and their special cases, read back as text.
#include "datasets/tables_support.h"
#include "tables/table_reader.h"

namespace sartor::datasets {
namespace {

struct Case {
  std::string name, file, bytes;
  TableConfig config;
  Rows expected;  // record number, then the columns
  std::vector<std::string> columns = {};
  std::map<std::string, int64_t, std::less<>> rejected = {};

  friend void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }
};

class TableForms : public FolderTest, public ::testing::WithParamInterface<Case> {};

TEST_P(TableForms, ReadAsText) {
  const Case& test = GetParam();
  TableConfig config = test.config;
  config.path = write(test.file, test.bytes);
  config.check();
  Rejects rejects;
  EXPECT_EQ(read_rows(config, rejects), test.expected);
  EXPECT_EQ(rejects.counts(), test.rejected);
  if (test.columns.empty()) return;
  EXPECT_EQ(TableReader(config, rejects).columns(), test.columns);
}

using enum TableFormat;
constexpr auto movielens = TablePreset::movielens, recbole = TablePreset::recbole;

INSTANTIATE_TEST_SUITE_P(
    Delimited, TableForms,
    ::testing::Values(
        Case{"csv", "a.csv", "a,b\n1,x\n2,y\n", {}, {{"2", "1", "x"}, {"3", "2", "y"}}, {"a", "b"}},
        Case{"crlf",
             "a.csv",
             "a,b\r\n1,x\r\n\r\n2,y\r\n",
             {},
             {{"2", "1", "x"}, {"4", "2", "y"}},
             {},
             {{"line is empty", 1}}},
        Case{"no_final_break", "a.csv", "a,b\n1,x", {}, {{"2", "1", "x"}}},
        Case{"byte_order_mark", "a.csv", "\xef\xbb\xbf\"a\",b\n1,x\n", {}, {{"2", "1", "x"}}, {"a", "b"}},
        Case{"header_only", "a.csv", "a,b\n", {}, {}, {"a", "b"}},
        Case{"header_without_break", "a.csv", "a,b", {}, {}, {"a", "b"}},
        Case{"blank_lines",
             "a.csv",
             "a,b\n\n1,x\n\n2,y\n\n\n",
             {},
             {{"3", "1", "x"}, {"5", "2", "y"}},
             {},
             {{"line is empty", 4}}},
        Case{"blank_lines_before_the_header", "a.csv", "\n\r\na,b\n1,x\n", {}, {{"4", "1", "x"}}, {"a", "b"}},
        Case{"ending_in_capitals", "A.CSV", "a,b\n1,x\n", {}, {{"2", "1", "x"}}},
        Case{"endings_in_capitals", "A.TSV.GZ", compressed("a\tb\n1\tx\n"), {}, {{"2", "1", "x"}}},
        Case{"quoted",
             "a.csv",
             "id,title\n1,\"Good, the \"\"Bad\"\"\"\n2,\"two\nlines\"\n3,6\" nails\n",
             {},
             {{"2", "1", "Good, the \"Bad\""}, {"3", "2", "two\nlines"}, {"4", "3", "6\" nails"}}},
        Case{"chinese",
             "评分.csv",
             "用户,电影\n张三,\"霸王别姬,上\"\n",
             {},
             {{"2", "张三", "霸王别姬,上"}},
             {"用户", "电影"}},
        Case{"empty_values", "a.csv", "a,b\n,\n\"\",x\n", {}, {{"2", "", ""}, {"3", "", "x"}}},
        Case{"wrong_counts",
             "a.csv",
             "a,b\n1\n2,x\n3,y,z\n4,w\n",
             {},
             {{"3", "2", "x"}, {"5", "4", "w"}},
             {},
             {{"not 2 columns", 2}}},
        Case{"broken_utf8",
             "a.csv",
             "a,b\n1,x\n2,\xe9t\xe9\n\xff,\xfe\n4,\xe4\xb8\xad\n5,\xe4\xb8\n\xad,5\n",
             {},
             {{"2", "1", "x"}, {"5", "4", "中"}},
             {},
             {{"a is not UTF-8", 2}, {"b is not UTF-8", 2}}},
        Case{"one_column", "ids.csv", "id\n1\n\n3\n", {}, {{"2", "1"}, {"4", "3"}}, {}, {{"line is empty", 1}}},
        Case{"separator", "a.csv", "a;b\n1;x,y\n", {.separator = ";"}, {{"2", "1", "x,y"}}},
        Case{"long_separator", "a.txt", "a<>b\n1<>\"x\n", {.format = csv, .separator = "<>"}, {{"2", "1", "\"x"}}},
        Case{"other_quote", "a.csv", "a,b\n1,'x,y'\n", {.quote = "'"}, {{"2", "1", "x,y"}}},
        Case{"names_given", "a.tsv", "1\tx\n", {.column_names = {"a", "b"}}, {{"1", "1", "x"}}, {"a", "b"}},
        Case{"names_replace_header",
             "a.tsv",
             "1\tx\n2\ty\n",
             {.header = false},
             {{"1", "1", "x"}, {"2", "2", "y"}},
             {"f0", "f1"}},
        Case{"empty_without_header", "a.tsv", "", {.column_names = {"a", "b"}}, {}, {"a", "b"}},
        Case{"latin1",
             "a.csv",
             "id,pr\xe9nom\n1,Am\xe9lie\n",
             {.encoding = TextEncoding::latin1},
             {{"2", "1", "Amélie"}},
             {"id", "prénom"}},
        Case{"gzip", "a.csv.gz", compressed("a,b\n1,x\n"), {}, {{"2", "1", "x"}}},
        Case{"gzip_members",
             "a.csv.gz",
             compressed("a,b\n1,") + compressed("x\n2,y\n"),
             {},
             {{"2", "1", "x"}, {"3", "2", "y"}}},
        Case{"bzip2", "a.tsv.bz2", compressed("a\n1\n", arrow::Compression::BZ2), {}, {{"2", "1"}}},
        Case{"zstd", "a.jsonl.zst", compressed("{\"a\": 1}\n", arrow::Compression::ZSTD), {}, {{"1", "1"}}}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Presets, TableForms,
    ::testing::Values(Case{"u_data",
                           "u.data",
                           "196\t242\t3\t881250949\n",
                           {.preset = movielens},
                           {{"1", "196", "242", "3", "881250949"}},
                           {"user_id", "item_id", "rating", "timestamp"}},
                      Case{"ratings_dat",
                           "ratings.dat",
                           "1::1193::5::978300760\n1::661::3.5::978302109",
                           {.preset = movielens},
                           {{"1", "1", "1193", "5", "978300760"}, {"2", "1", "661", "3.5", "978302109"}}},
                      Case{"movies_dat",
                           "movies.dat",
                           "1::Toy Story (1995)::Animation|Comedy\n2::Mis\xe9rables: \"Les\"::Drama\n",
                           {.preset = movielens},
                           {{"1", "1", "Toy Story (1995)", "Animation|Comedy"},
                            {"2", "2", "Misérables: \"Les\"", "Drama"}}},
                      Case{"ratings_csv",
                           "ratings.csv.gz",
                           compressed("userId,movieId,rating,timestamp\r\n1,2,3.5,1112486027\r\n"),
                           {.preset = movielens},
                           {{"2", "1", "2", "3.5", "1112486027"}}},
                      Case{"recbole_inter",
                           "ml-100k.inter",
                           "user_id:token\titem_id:token\trating:float\n196\t242\t3\n",
                           {.preset = recbole},
                           {{"2", "196", "242", "3"}},
                           {"user_id", "item_id", "rating"}},
                      Case{"header_overrides_preset",
                           "u.data",
                           "u\ti\n1\t2\n",
                           {.preset = movielens, .header = true},
                           {{"2", "1", "2"}},
                           {"u", "i"}},
                      Case{"names_override_preset",
                           "x.data",
                           "1\t2\n",
                           {.preset = movielens, .column_names = {"u", "i"}},
                           {{"1", "1", "2"}}},
                      Case{"netflix",
                           "mv_1.txt",
                           "1:\n1488844,3,2005-09-06\r\n\n822109,5,2005-05-13\n7:\n30878,4,2005-12-26\n885013,4\n",
                           {.preset = TablePreset::netflix},
                           {{"2", "1488844", "3", "2005-09-06", "1"},
                            {"4", "822109", "5", "2005-05-13", "1"},
                            {"6", "30878", "4", "2005-12-26", "7"}},
                           {"customer", "rating", "date", "movie"},
                           {{"line is empty", 1}, {"not 4 columns", 1}}},
                      Case{"netflix_without_movie",
                           "a.txt",
                           "1,3,2005-09-06\n",
                           {.format = netflix},
                           {{"1", "1", "3", "2005-09-06", ""}}}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Json, TableForms,
    ::testing::Values(
        Case{"texts_and_numbers",
             "a.jsonl",
             "{\"a\": \"x\", \"b\": 1}\n\n{\"b\": -2, \"c\": 3}\r\n{\"a\": \"中\\u6587\\n\\\"\"}",
             {},
             {{"1", "x", "1", "null"}, {"3", "null", "-2", "3"}, {"4", "中文\n\"", "null", "null"}},
             {"a", "b", "c"},
             {{"line is empty", 1}}},
        Case{
            "digits_as_written",
            "a.jsonl",
            "{\"a\": 12345678901234567890}\n{\"a\": 12345678901234567891}\n{\"a\": -0}\n{\"a\": 1.50}\n{\"a\": 1E+2}\n",
            {},
            {{"1", "12345678901234567890"}, {"2", "12345678901234567891"}, {"3", "-0"}, {"4", "1.50"}, {"5", "1E+2"}}},
        Case{"kinds_may_differ",
             "a.jsonl",
             "{\"a\": 1}\n{\"a\": \"x2\"}\n{\"a\": true}\n{\"a\": null}\n",
             {},
             {{"1", "1"}, {"2", "x2"}, {"3", "true"}, {"4", "null"}}},
        Case{"nested_and_repeated",
             "a.jsonl",
             "{\"a\": 1, \"b\": 1}\n{\"a\": [1]}\n{\"a\": {\"c\": 1}}\n{\"a\": 1, \"a\": 2}\n",
             {},
             {{"1", "1", "1"}},
             {},
             {{"a holds an array", 1}, {"a holds an object", 1}, {"a is given twice", 1}}},
        Case{"bad_lines",
             "a.jsonl",
             "nonsense\n{\"a\": 1}\n{\"a\": \"one\"}\n{\"a\": 2\n{\"a\": 3}\n[1]\n",
             {},
             {{"2", "1"}, {"3", "one"}, {"5", "3"}},
             {},
             {{"not a JSON object", 3}}},
        Case{"broken_utf8",
             "a.json",
             "{\"a\": \"\xff\"}\n{\"a\": \"x\"}\n",
             {},
             {{"2", "x"}},
             {},
             {{"a is not UTF-8", 1}}},
        Case{
            "dates_stay_text", "a.ndjson", "{\"a\": \"2005-09-06\", \"b\": null}\n", {}, {{"1", "2005-09-06", "null"}}},
        Case{"empty", "a.jsonl", "", {}, {}}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sartor::datasets
