// What a record says of the work that --resume or a restarted launch would continue.
#include "resume/record.h"

#include <gmock/gmock.h>

#include <optional>

#include "resume/start.h"
#include "schema/fields.h"
#include "support/folder_test.h"

namespace sartor {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StrEq;
using ::testing::ThrowsMessage;

class RecordTest : public testing::FolderTest {};

TEST_F(RecordTest, ComesBackAsWritten) {
  const Record record = {{"数据", "夏季\xff"}, {"starts", Record::array({1, 2})}, {"a", nullptr}};
  write_record(path("record.json"), record);
  EXPECT_EQ(read("record.json"),
            "{\n  \"数据\": \"夏季\ufffd\",\n  \"starts\": [\n    1,\n    2\n  ],\n  \"a\": null\n}\n");
  EXPECT_EQ(read_record(path("record.json"))["数据"], "夏季\ufffd");
  EXPECT_EQ(to_text(record), "{\"数据\":\"夏季\ufffd\",\"starts\":[1,2],\"a\":null}\n");
}

TEST_F(RecordTest, ABrokenOneIsNamed) {
  for (const char* text : {"", "{", "[1]", "7", "{\"a\": \"\xff\"}", "{} {}"}) {
    write("记录.json", text);
    EXPECT_THAT([&] { read_record(path("记录.json")); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(path("记录.json") + " is broken: ")))
        << text;
  }
  EXPECT_THAT([&] { read_record(path("none.json")); }, ThrowsMessage<std::invalid_argument>(HasSubstr("none.json")));
}

TEST_F(RecordTest, LastLaunchIsThatOfTheNewestStart) {
  const auto launch = [](const char* text) { return last_launch(Record::parse(text)); };
  EXPECT_EQ(launch(R"({"launch": "夏季"})"), "夏季");
  EXPECT_EQ(launch(R"({"starts": [{"launch": "one"}, {"launch": "two"}]})"), "two");
  EXPECT_EQ(launch(R"({"starts": [{"launch": "one"}, {}], "launch": "three"})"), "") << "the newest start was by hand";
  for (const char* without :
       {"{}", R"({"starts": []})", R"({"starts": [7]})", R"({"starts": 7})", R"({"launch": 7})"}) {
    EXPECT_EQ(launch(without), "") << without;
  }
}

TEST_F(RecordTest, OnlySomeFieldsMayChange) {
  const auto changed = [](const std::string& now, const std::vector<std::string>& may_change = {}) {
    return config_changed("job", parse_document("a: 1\nb: {c: 好, d: [1, 2]}\n", "before"), now, may_change);
  };
  EXPECT_FALSE(changed("b: {d: [1, 2], c: 好}\na: 1\n"));
  EXPECT_TRUE(changed("a: 1\nb: {c: 坏, d: [1, 2]}\n", {"b.c"}));
  EXPECT_TRUE(changed("a: 1\nb: {c: 坏, d: [1, 3]}\n", {"b"}));
  const auto refused = [&](const std::string& now, const std::vector<std::string>& may_change, const char* message) {
    EXPECT_THAT([&] { changed(now, may_change); }, ThrowsMessage<std::invalid_argument>(StrEq(message)));
  };
  refused("a: 2\nb: {c: 好, d: [1, 2]}\n", {}, "a: the job began with 1, --resume cannot continue with 2");
  refused("a: 1\nb: {c: 坏, d: [1, 2]}\n", {"b.cc", "a"},
          "b.c: the job began with 好, --resume cannot continue with 坏");
  refused("a: 1\nb: {c: 好, d: [1, 2], e: x}\n", {"b.c"},
          "b.e: the job began with nothing, --resume cannot continue with x");
}

struct NewerConfig {
  int64_t a = 1, newer = 7;
  std::optional<int64_t> also_newer;

  template <class Fields> void describe(Fields& field) {
    field("a", a, at_least(0), "Known before.");
    field("newer", newer, at_least(0), "Newer than the record.");
    field("also_newer", also_newer, at_least(0), "Newer than the record.");
  }
};

TEST_F(RecordTest, FieldsThatAreNewerThanTheRecordHadTheirDefaults) {
  const auto changed = [](const std::string& before, const NewerConfig& now) {
    return config_changed("run", parse_document(before, "before"), now, {});
  };
  EXPECT_FALSE(changed("a: 1\n", {}));
  EXPECT_FALSE(changed("a: 1\nnewer: 8\n", {.newer = 8}));
  const auto refused = [&](const std::string& before, const NewerConfig& now, const char* message) {
    EXPECT_THAT([&] { changed(before, now); }, ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  };
  refused("a: 1\n", {.newer = 8}, "newer: the run began with 7, --resume cannot continue with 8");
  refused("a: 1\n", {.also_newer = 1}, "also_newer: the run began with ");
  refused("a: 1\nnewer: -1\n", {}, "newer: the run began with -1, --resume cannot continue with 7");
  refused("a: 1\nolder: 2\n", {}, "older: the run began with 2, --resume cannot continue with nothing");
}

TEST_F(RecordTest, ClaimIsWhatIsAskedUnlessTheLaunchBeganIt) {
  const auto record = path("record.json");
  const auto claim = [&](const Start& start) { return claim_of(start, record, "runs/夏季"); };
  EXPECT_EQ(claim({}), Claim::fresh);
  EXPECT_EQ(claim({.overwrite = true}), Claim::overwrite);
  EXPECT_EQ(claim({.resume = true}), Claim::resume);
  EXPECT_EQ(claim({.launch = {"one", 1}}), Claim::fresh) << "it died before it began";
  write_record(record, {{"launch", "one"}});
  EXPECT_EQ(claim({.launch = {"one", 0}}), Claim::fresh);
  EXPECT_EQ(claim({.launch = {"two", 1}, .overwrite = true}), Claim::overwrite);
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(claim({.launch = {"one", 1}, .overwrite = true}), Claim::resume);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("restarted by torchrun: resuming runs/夏季\n"));
  write("record.json", "{");
  EXPECT_EQ(claim({.launch = {"one", 0}}), Claim::fresh) << "nobody has to read it";
  EXPECT_THAT(
      [&] {
        claim({.launch = {"one", 1}});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("record.json is broken")));
}

}  // namespace
}  // namespace sartor
