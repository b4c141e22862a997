// Texts for inference: windows, parts, row numbers and invalid rows.
#include "text/text_rows.h"

#include <gmock/gmock.h>

#include <map>
#include <memory>
#include <set>

#include "base/random.h"
#include "datasets/tables_support.h"
#include "tables/table_writer.h"

namespace sartor::text {
namespace {

using datasets::ColumnType;
using datasets::FolderTest;
using datasets::StringColumn;
using datasets::TableWriter;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

std::vector<std::string> strings(const StringColumn& column) {
  const auto views = column.views();
  return {views.begin(), views.end()};
}

class TextRowsTest : public FolderTest {
 protected:
  TextRowsOptions csv(const std::string& lines) const {
    return {.source = {.path = write("a.csv", "id,text,more\n" + lines)}};
  }

  static std::vector<TextWindow> all(TextRows& rows) {
    std::vector<TextWindow> windows;
    for (TextWindow window; rows.next(window);) windows.push_back(std::move(window));
    return windows;
  }
  static std::function<int64_t()> every() {
    return [part = int64_t{0}]() mutable { return part++; };
  }
  // These parts, and then one beyond the end.
  static std::function<int64_t()> these(std::vector<int64_t> parts) {
    return [parts, i = size_t{0}]() mutable { return i < parts.size() ? parts[i++] : 1'000'000; };
  }
};

TEST_F(TextRowsTest, FillTemplatesAndKeepColumns) {
  auto options = csv("1,好的,x\n2,\"good, 坏\",\n3,😀,z\n");
  options.text = "{text}: {more}";
  options.pair = "{id}{{{text}";
  options.keep = {"more", "id"};
  options.id = "id";
  TextRows rows(options, every());
  const auto windows = all(rows);
  ASSERT_EQ(windows.size(), 1);
  EXPECT_TRUE(windows[0].ends_part);
  EXPECT_THAT(windows[0].rows, ElementsAre(2, 3, 4));
  EXPECT_THAT(strings(windows[0].texts), ElementsAre("好的: x", "good, 坏: ", "😀: z"));
  EXPECT_THAT(strings(windows[0].pairs), ElementsAre("1{好的", "2{good, 坏", "3{😀"));
  EXPECT_THAT(strings(windows[0].ids), ElementsAre("1", "2", "3"));
  EXPECT_THAT(strings(windows[0].kept[0]), ElementsAre("x", "", "z"));
  EXPECT_THAT(strings(windows[0].kept[1]), ElementsAre("1", "2", "3"));
  EXPECT_EQ(rows.parts(), 1);
}

TEST_F(TextRowsTest, ColumnsWithoutATextAndPlaces) {
  auto options = csv("1,,x\nbad\n2,好,y\n");
  write("b.csv", "id,text,more\n3,c,z\n");
  options.source.path = path("*.csv");
  options.text = "";
  options.may_be_blank = options.places = true;
  options.keep = {"text"};
  TextRows rows(options, every());
  const auto windows = all(rows);
  ASSERT_EQ(windows.size(), 1);
  EXPECT_THAT(windows[0].rows, ElementsAre(2, 4, 6));
  EXPECT_THAT(strings(windows[0].kept[0]), ElementsAre("", "好", "c"));
  std::vector<std::string> places;
  for (const auto& [file, row] : windows[0].places) {
    places.push_back(std::filesystem::path(file).filename().string() + " " + std::to_string(row));
  }
  EXPECT_THAT(places, ElementsAre("a.csv 2", "a.csv 4", "b.csv 2"));
}

TEST_F(TextRowsTest, UnfitRowsAreCounted) {
  auto options = csv("1,a,x\n2, ,x\n\n3,\xff\xfe,x\n4\n,b,x\n5,c,\n6,d,x\n");
  options.pair = "{more}";
  options.id = "id";
  TextRows rows(options, every());
  const auto windows = all(rows);
  ASSERT_EQ(windows.size(), 1);
  EXPECT_THAT(windows[0].rows, ElementsAre(2, 9));
  EXPECT_THAT(strings(windows[0].texts), ElementsAre("a", "d"));
  EXPECT_THAT(strings(windows[0].pairs), ElementsAre("x", "x"));
  EXPECT_THAT(strings(windows[0].ids), ElementsAre("1", "6"));
  std::vector<std::string> reasons;
  for (const auto& unfit : windows[0].unfit) reasons.push_back(std::to_string(unfit.row) + " " + unfit.reason);
  EXPECT_THAT(reasons, ElementsAre("3 text is missing", "4 line is empty", "5 text is not UTF-8", "6 not 3 columns",
                                   "7 id is missing", "8 second text is missing"));
  EXPECT_EQ(windows[0].unfit[0].file, path("a.csv"));
}

TEST_F(TextRowsTest, WhitespaceOfAnyKindIsNoText) {
  std::string lines;
  for (const char* space :
       {"", " ", "\t", "\u3000", "\u00a0", "\u200b", "\ufeff", "\u2028", "\u200d", "\u3000 \u200b\u00a0"}) {
    lines += fmt::format("1,{},x\n", space);
  }
  TextRows rows(csv(lines + "1,\u3000。,x\n1,\u200b好,x\n"), every());
  const auto windows = all(rows);
  EXPECT_THAT(windows[0].rows, ElementsAre(12, 13));
  EXPECT_THAT(strings(windows[0].texts), ElementsAre("\u3000。", "\u200b好"));
  ASSERT_EQ(windows[0].unfit.size(), 10);
  for (const auto& unfit : windows[0].unfit) EXPECT_EQ(unfit.reason, "text is missing");
}

TEST_F(TextRowsTest, IdsHaveNoZeroBytes) {
  auto options = csv(std::string("a\0b,text,\n", 10));
  options.id = "id";
  TextRows rows(options, every());
  const auto windows = all(rows);
  EXPECT_THAT(windows[0].rows, IsEmpty());
  EXPECT_EQ(windows[0].unfit[0].reason, "id holds a zero byte");
}

TEST_F(TextRowsTest, PartsAndWindowsCoverEachRowOnce) {
  std::string lines;
  for (int i = 0; i < 23; i++) lines += std::to_string(i) + (i % 7 == 3 ? ",,\n" : ",text,\n");
  for (const int64_t per_part : {1, 2, 5, 22, 23, 24}) {
    for (const int64_t window : {1, 2, 3, 100}) {
      SCOPED_TRACE(std::to_string(per_part) + " " + std::to_string(window));
      auto options = csv(lines);
      options.rows_per_part = per_part;
      options.window = window;
      options.keep = {"id"};
      TextRows rows(options, every());
      std::vector<int64_t> places;
      std::vector<bool> ended;
      int64_t unfit = 0;
      for (const auto& each : all(rows)) {
        ended.resize(each.part + 1);
        EXPECT_FALSE(ended[each.part]);
        ended[each.part] = each.ends_part;
        EXPECT_LE(each.size(), window);
        for (int64_t i = 0; i < each.size(); i++) {
          EXPECT_EQ((each.rows[i] - 2) / per_part, each.part);
          EXPECT_EQ(each.kept[0][i], std::to_string(each.rows[i] - 2));
          places.push_back(each.rows[i]);
        }
        unfit += std::ssize(each.unfit);
      }
      EXPECT_EQ(places.size(), 20);
      EXPECT_TRUE(std::ranges::is_sorted(places));
      EXPECT_EQ(std::set<int64_t>(places.begin(), places.end()).size(), 20);
      EXPECT_EQ(unfit, 3);
      EXPECT_EQ(std::ssize(ended), rows.parts());
      EXPECT_EQ(rows.parts(), (23 + per_part - 1) / per_part);
      EXPECT_TRUE(std::ranges::all_of(ended, [](bool end) { return end; }));
    }
  }
}

TEST_F(TextRowsTest, OnlyWantedPartsAreGiven) {
  std::string lines;
  for (int i = 0; i < 23; i++) lines += std::to_string(i) + ",text,\n";
  auto options = csv(lines);
  options.rows_per_part = 4;
  TextRows rows(options, these({1, 5}));
  std::vector<int64_t> places;
  for (const auto& window : all(rows)) places.insert(places.end(), window.rows.begin(), window.rows.end());
  EXPECT_THAT(places, ElementsAre(6, 7, 8, 9, 22, 23, 24));
  EXPECT_EQ(rows.parts(), 6);
}

// Everything in the windows of each part: rows, places, texts and invalid rows.
std::map<int64_t, std::string> contents(const std::vector<TextWindow>& windows) {
  std::map<int64_t, std::string> parts;
  for (const auto& window : windows) {
    auto& part = parts[window.part];
    for (int64_t i = 0; i < window.size(); i++) {
      const auto& [file, row] = window.places[i];
      part += fmt::format("{} {} {} {} {}\n", window.rows[i], file, row, window.texts[i], window.kept[0][i]);
    }
    for (const auto& [file, row, reason, text] : window.unfit) {
      part += fmt::format("! {} {} {} {}\n", file, row, reason, text);
    }
    if (window.ends_part) part += "end\n";
  }
  return parts;
}

class SharedTextRows : public TextRowsTest {
 protected:
  // Readers that take the next part when they are free, one of them more often than the others.
  static void expect_shared(TextRowsOptions options) {
    options.places = true;
    options.keep = {"text"};
    options.window = 1'000;
    TextRows alone(options, every());
    const auto whole = contents(all(alone));
    options.shared = true;
    for (const int readers : {1, 2, 4}) {
      int64_t counter = 0;
      std::vector<std::unique_ptr<TextRows>> rows;
      for (int i = 0; i < readers; i++) rows.push_back(std::make_unique<TextRows>(options, [&] { return counter++; }));
      std::vector<TextWindow> windows;
      std::vector<bool> ended(readers);
      for (uint64_t turn = 0; std::ranges::count(ended, false) > 0; turn++) {
        const auto reader = std::min<uint64_t>(random_bits(1, turn) % (2 * readers), readers - 1);
        TextWindow window;
        if (ended[reader]) continue;
        ended[reader] = !rows[reader]->next(window);
        if (!ended[reader]) windows.push_back(std::move(window));
      }
      EXPECT_EQ(contents(windows), whole);
      for (const auto& each : rows) EXPECT_EQ(each->parts(), alone.parts());
    }
  }
};

TEST_F(SharedTextRows, GiveEachPartOnce) {
  std::string quoted = "text,more\n", json;
  std::vector<std::string> texts;
  for (int i = 0; i < 9'000; i++) {
    const auto* text = i % 7 == 3    ? ""
                       : i % 11 == 5 ? "\xff"
                       : i % 5 == 0  ? "一\n二"
                                     : "a longer text, to fill more than a block";
    quoted +=
        i % 13 == 8 ? (i % 2 ? "broken\n" : "\n") : fmt::format("\"{}\",{}\n", text, std::string(100 + i % 50, 'x'));
    json += i % 13 == 8 ? "{\n"
                        : fmt::format("{{\"text\": \"好{}\", \"more\": \"{}\"}}\n", i, std::string(100 + i % 50, 'x'));
    texts.push_back(text[0] == '\xff' ? "" : text);
  }
  write("a.csv", quoted);
  write("b.csv", "text\n好\n");
  write("a.jsonl.gz", datasets::compressed(json));
  TableWriter writer(path("a.parquet"), {{"text", ColumnType::text}});
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  writer.append({std::span(views)});
  writer.finish();
  for (const auto* source : {"a.csv", "?.csv", "a.jsonl.gz", "a.parquet"}) {
    for (const int64_t rows_per_part : {700, 5'000, 20'000}) {
      SCOPED_TRACE(fmt::format("{} {}", source, rows_per_part));
      expect_shared({.source = {.path = path(source)}, .rows_per_part = rows_per_part});
    }
  }
}

TEST_F(TextRowsTest, NoWindowIsEmptyAtTheEndOfAPart) {
  auto options = csv("1,a,\n2,b,\n3,c,\n4,d,\n");
  options.rows_per_part = options.window = 2;
  TextRows rows(options, every());
  const auto windows = all(rows);
  ASSERT_EQ(windows.size(), 2);
  for (const auto& window : windows) EXPECT_TRUE(window.ends_part && window.size() == 2);
}

TEST_F(TextRowsTest, FilesFollowEachOther) {
  write("b1.jsonl", "{\"text\": \"一\"}\n{\"text\": \"二\"}\n");
  write("b2.jsonl", "{\"text\": \"三\"}\n\n{\"text\": \"\"}\n{\"text\": \"四\"}\n");
  TextRows rows({.source = {.path = path("b*.jsonl")}, .rows_per_part = 3}, every());
  const auto windows = all(rows);
  ASSERT_EQ(windows.size(), 2);
  EXPECT_THAT(windows[0].rows, ElementsAre(1, 2, 3));
  EXPECT_THAT(windows[1].rows, ElementsAre(6));
  EXPECT_THAT(strings(windows[1].texts), ElementsAre("四"));
  EXPECT_EQ(windows[1].unfit[1].file, path("b2.jsonl"));
  EXPECT_EQ(windows[1].unfit[1].row, 3);
}

TEST_F(TextRowsTest, BlocksOfAMebibyteAreNoBoundaries) {
  std::string lines;
  for (int i = 0; i < 40'000; i++)
    lines += std::to_string(i) + ",a text of about sixty bytes, so that blocks end inside parts,\n";
  auto options = csv("");
  write("a.csv", "id,text,more,rest\n" + lines);
  options.rows_per_part = 15'000;
  options.window = 4'000;
  TextRows rows(options, every());
  int64_t next = 0, windows = 0;
  for (TextWindow window; rows.next(window); windows++) {
    for (const int64_t place : window.rows) ASSERT_EQ(place, 2 + next++);
  }
  EXPECT_EQ(next, 40'000);
  EXPECT_EQ(windows, 4 + 4 + 3);
}

TEST_F(TextRowsTest, ParquetGivesTheSame) {
  TableWriter writer(path("t.parquet"), {{"n", ColumnType::int64}, {"text", ColumnType::text}});
  const std::vector<int64_t> numbers = {7, 8, 9};
  const std::vector<std::string_view> texts = {"好", "", "坏"};
  writer.append({std::span(numbers), std::span(texts)});
  writer.finish();
  TextRows rows({.source = {.path = path("t.parquet")}, .keep = {"n"}}, every());
  const auto windows = all(rows);
  EXPECT_THAT(windows[0].rows, ElementsAre(1, 3));
  EXPECT_THAT(strings(windows[0].kept[0]), ElementsAre("7", "9"));
}

TEST_F(TextRowsTest, AnEmptyTableHasNoParts) {
  TextRows rows(csv(""), every());
  EXPECT_THAT(all(rows), IsEmpty());
  EXPECT_EQ(rows.parts(), 0);
}

TEST_F(TextRowsTest, NameWhatIsMissing) {
  auto options = csv("1,a,\n");
  options.keep = {"name"};
  EXPECT_THAT([&] { TextRows(options, every()); }, ThrowsMessage<std::invalid_argument>(HasSubstr("a.csv: ")));
  EXPECT_THAT([&] { TextRows({.source = {.path = path("none.csv")}}, every()); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("none.csv: no such file")));
}

}  // namespace
}  // namespace sartor::text
