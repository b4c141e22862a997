// Reading and printing configs: every type of field, every kind of error.
#include "schema/config.h"

#include <gmock/gmock.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

#include "configs/example_config.h"
#include "schema/document.h"

namespace sartor {
namespace {

using example::ExampleConfig;
using example::Split;
using ::testing::ElementsAre;
using ::testing::FieldsAre;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

ExampleConfig read(std::string_view text, const std::vector<std::string>& overrides = {}) {
  return read_config<ExampleConfig>(parse_document(text, "als.yaml", overrides));
}

// A config in which no field has its default.
ExampleConfig unusual() {
  ExampleConfig config;
  config.run = {.task = "example", .output = "运行/ \"一\": #1\n\u2028", .seed = 9223372036854775807};
  config.split = Split::temporal;
  config.at = {};
  config.sources = {{.path = "null"}, {.path = "010", .separator = "::"}};
  config.items = {.path = "用户.csv"};
  config.model = {.factors = 1, .regularization = 0.1f, .tolerance = 1e-300, .weighted = false};
  return config;
}

TEST(Config, ReadsEveryKindOfField) {
  const ExampleConfig config = read(R"(
task: example
output: "时尚 \u4e00"
seed: 0
split: stratified
at: [5, 1e3]
sources:
  - {path: a.csv, separator: "|"}
  - path: b.csv
items: {path: 2024}
model:
  factors: +128
  regularization: .5
  tolerance: 1
  weighted: false
)");
  EXPECT_EQ(config.run, (example::RunConfig{.task = "example", .output = "时尚 一", .seed = 0}));
  EXPECT_EQ(config.split, Split::stratified);
  EXPECT_THAT(config.at, ElementsAre(5, 1000));
  EXPECT_THAT(config.sources, ElementsAre(FieldsAre("a.csv", "|"), FieldsAre("b.csv", ",")));
  EXPECT_EQ(config.items->path, "2024");
  EXPECT_EQ(config.model,
            (example::ModelConfig{.factors = 128, .regularization = 0.5f, .tolerance = 1, .weighted = false}));
}

TEST(Config, PathsMayBeginWithAHomeFolder) {
  const auto path_of = [](const std::string& path) {
    return read("task: example\nsources: [{path: '" + path + "'}]\nitems: {path: b}\n").sources[0].path;
  };
  const char* home = getenv("HOME");
  const std::string before = home ? home : "";
  setenv("HOME", "/家", 1);
  EXPECT_EQ(path_of("~/数据/r.csv"), "/家/数据/r.csv");
  EXPECT_EQ(path_of("~"), "/家");
  unsetenv("HOME");
  EXPECT_EQ(path_of("~/r.csv"), std::string(getpwuid(getuid())->pw_dir) + "/r.csv");
  if (home) setenv("HOME", before.c_str(), 1);
  EXPECT_EQ(path_of("~root/*.csv"), std::string(getpwnam("root")->pw_dir) + "/*.csv");
  for (const auto* same : {"~nobody of this name/r.csv", "a/~/r.csv", "~$r.csv", " ~/r.csv"})
    EXPECT_EQ(path_of(same), same);
  EXPECT_EQ(read("task: example\noutput: ~/as it is\n").run.output, "~/as it is") << "it is a text";
}

TEST(Config, DefaultsFillWhatIsAbsent) {
  ExampleConfig expected;
  expected.run.task = "example";
  EXPECT_EQ(read("task: example"), expected);
  EXPECT_EQ(read("{task: example, seed: null, items: , model: {}}"), expected);
}

TEST(Config, AnchorsAreWrittenOut) {
  const ExampleConfig config = read("task: example\nitems: &table {path: a.csv}\nsources: [*table, *table]");
  EXPECT_THAT(config.sources, ElementsAre(FieldsAre("a.csv", ","), FieldsAre("a.csv", ",")));
}

TEST(Config, FieldsMayDependOnFieldsBefore) {
  EXPECT_EQ(read("{task: example, fraction: 0.5}").fraction, 0.5);
  EXPECT_THAT([] { read("{task: example, fraction: 0.5, split: temporal}"); },
              ThrowsMessage<std::invalid_argument>("als.yaml:1: fraction: unknown key, expected task, output, seed, "
                                                   "split, at, sources, items or model"));
}

struct PartOfAnEnum {
  Split split = Split::random;
  std::vector<Split> others;

  template <class Fields> void describe(Fields& field) {
    field("split", split, among({Split::random, Split::temporal}), "One of two.");
    field("others", others, among({Split::temporal}), "That one.");
  }
};

TEST(Config, AFieldMayTakeSomeOfAnEnumsChoices) {
  const auto read_part = [](std::string_view text) {
    return read_config<PartOfAnEnum>(parse_document(text, "a.yaml", {}));
  };
  EXPECT_EQ(read_part("split: temporal").split, Split::temporal);
  EXPECT_EQ(read_part("split: random").split, Split::random);
  EXPECT_THAT(read_part("others: [temporal]").others, ElementsAre(Split::temporal));
  EXPECT_THAT([&] { read_part("split: stratified"); },
              ThrowsMessage<std::invalid_argument>("a.yaml:1: split: found stratified, expected random or temporal"));
  EXPECT_THAT([&] { read_part("others: [random]"); },
              ThrowsMessage<std::invalid_argument>("a.yaml:1: others.0: found random, expected temporal"));
}

TEST(Config, PrintedConfigReadsBackEqual) {
  for (ExampleConfig config : {read("task: example"), unusual()}) EXPECT_EQ(read(to_yaml(config)), config);
}

TEST(Config, PrintsEveryValue) {
  EXPECT_EQ(to_yaml(unusual()), R"(task: example
output: "运行/ \"一\": #1\n\u2028"
seed: 9223372036854775807
split: temporal
at: []
sources:
  - path: "null"
    separator: ","
  - path: "010"
    separator: "::"
items:
  path: "用户.csv"
  separator: ","
model:
  factors: 1
  regularization: 0.1
  tolerance: 1.0e-300
  weighted: false
)");
}

TEST(Config, DifferencesNamePathAndBothValues) {
  const ExampleConfig before = read("task: example");
  EXPECT_THAT(differences(before, before), IsEmpty());
  EXPECT_THAT(differences(before, read("task: example", {"at=[1, 5]", "model.factors=128", "sources=[{path: a b}]",
                                                         "seed=3", "split=temporal"})),
              ElementsAre(FieldsAre("seed", "null", "3"), FieldsAre("split", "random", "temporal"),
                          FieldsAre("fraction", "0.1", ""), FieldsAre("at", "[1, 10]", "[1, 5]"),
                          FieldsAre("sources", "[]", ""), FieldsAre("model.factors", "64", "128"),
                          FieldsAre("sources.0.path", "", "\"a b\""), FieldsAre("sources.0.separator", "", "\",\"")));
}

TEST(Config, ProgramLearnsTheTaskFirst) {
  const auto task = [](std::string_view text) {
    return read_choice(parse_document(text, "als.yaml"), "task", {"prepare", "factorize"});
  };
  EXPECT_EQ(task("{model: {}, task: prepare}"), "prepare");
  EXPECT_THAT([&] { task("task: factorise"); },
              ThrowsMessage<std::invalid_argument>(
                  "als.yaml:1: task: found factorise, expected prepare or factorize (did you mean factorize?)"));
  EXPECT_THAT([&] { task("model: {}"); }, ThrowsMessage<std::invalid_argument>(
                                              "als.yaml:1: task: required and missing, expected prepare or factorize"));
}

struct Mistake {
  std::string_view text;     // follows the line "task: example"
  std::string_view message;  // without the file name

  friend void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.message; }
};

class ConfigMistake : public ::testing::TestWithParam<Mistake> {};

TEST_P(ConfigMistake, IsNamedWithLinePathFoundAndExpected) {
  EXPECT_THAT([] { read(fmt::format("task: example\n{}", GetParam().text)); },
              ThrowsMessage<std::invalid_argument>(fmt::format("als.yaml:{}", GetParam().message)));
}

INSTANTIATE_TEST_SUITE_P(
    Keys, ConfigMistake,
    ::testing::Values(
        Mistake{"model:\n  factor: 3", "3: model.factor: unknown key (did you mean factors?)"},
        Mistake{"modle: {}", "2: modle: unknown key (did you mean model?)"},
        Mistake{"model: {alpha: 1}",
                "2: model.alpha: unknown key, expected factors, regularization, tolerance or weighted"},
        Mistake{"items: {pat: a.csv}", "2: items.pat: unknown key (did you mean path?)"},
        Mistake{"items:\n  separator: ','", "2: items.path: required and missing, expected path"},
        Mistake{"sources:\n  - path: a\n  -\n    separator: ','",
                "5: sources.1.path: required and missing, expected path"},
        Mistake{"model: {factors: 1, weighted: true, factors: 2}",
                "2: model.factors: duplicate key, first at als.yaml:2"},
        Mistake{"sources:\n  - path: a\n    path: b", "4: sources.0.path: duplicate key, first at als.yaml:3"},
        Mistake{"task: example", "2: task: duplicate key, first at als.yaml:1"},
        Mistake{"\"a\\nb\": 1",
                "2: \"a\\nb\": unknown key, expected task, output, seed, split, fraction, at, sources, items or model"},
        Mistake{"[1, 2]: 3", "2: a key must be a text"}, Mistake{"null: 3", "2: a key must be a text"}));

INSTANTIATE_TEST_SUITE_P(
    Kinds, ConfigMistake,
    ::testing::Values(
        Mistake{"model: 3", "2: model: found 3, expected section"},
        Mistake{"model:", "2: model: found nothing, expected section"},
        Mistake{"items: a.csv", "2: items: found a.csv, expected section"},
        Mistake{"sources: {path: a}", "2: sources: found a section, expected list of sections"},
        Mistake{"at: 5", "2: at: found 5, expected list of integers at least 1"},
        Mistake{"at:\n  - 5\n  - zehn", "4: at.1: found zehn, expected integer at least 1"},
        Mistake{"at: [5, 0]", "2: at.1: found 0, expected integer at least 1"},
        Mistake{"output: [a]", "2: output: found a list, expected text"},
        Mistake{"items: {path: }", "2: items.path: found nothing, expected path"},
        Mistake{"items: {path: ''}", "2: items.path: found \"\", expected path"},
        Mistake{"items: {path: [a]}", "2: items.path: found a list, expected path"},
        Mistake{"output:", "2: output: found nothing, expected text (\"\" for an empty one)"},
        Mistake{"split: ramdom",
                "2: split: found ramdom, expected random, stratified or temporal (did you mean random?)"},
        Mistake{"split: 时间", "2: split: found \"时间\", expected random, stratified or temporal"},
        Mistake{"split: {}", "2: split: found a section, expected random, stratified or temporal"},
        Mistake{"items: {path: a, separator: ;}", "2: items.separator: found \";\", expected \",\", \"|\" or \"::\""},
        Mistake{"model: {weighted: yes}", "2: model.weighted: found yes, expected true or false"},
        Mistake{"model: {weighted: 1}", "2: model.weighted: found 1, expected true or false"},
        Mistake{"model: {weighted: 'true'}",
                "2: model.weighted: found \"true\", expected true or false (without quotes)"},
        Mistake{"model:\n  weighted: true\n  regularization: 0", "2: model: weighted needs regularization above 0"}));

INSTANTIATE_TEST_SUITE_P(
    Numbers, ConfigMistake,
    ::testing::Values(
        Mistake{"model: {factors: 0}", "2: model.factors: found 0, expected integer from 1 to 65536"},
        Mistake{"model: {factors: 65537}", "2: model.factors: found 65537, expected integer from 1 to 65536"},
        Mistake{"model: {factors: 2.5}", "2: model.factors: found 2.5, expected integer from 1 to 65536"},
        Mistake{"model: {factors: 1e400}", "2: model.factors: found 1e400, expected integer from 1 to 65536"},
        Mistake{"model: {factors: 1_000}", "2: model.factors: found 1_000, expected integer from 1 to 65536"},
        Mistake{"model: {factors: 12 34}", "2: model.factors: found \"12 34\", expected integer from 1 to 65536"},
        Mistake{"model: {factors: '64'}",
                "2: model.factors: found \"64\", expected integer from 1 to 65536 (without quotes)"},
        Mistake{"model: {factors: 010}",
                "2: model.factors: found 010, expected integer from 1 to 65536 (decimal, without leading zeros)"},
        Mistake{"model: {factors: -0x10}",
                "2: model.factors: found -0x10, expected integer from 1 to 65536 (decimal, without leading zeros)"},
        Mistake{"seed: 9223372036854775808",
                "2: seed: found 9223372036854775808, expected integer at least 0 (64 bits)"},
        Mistake{"seed: 1e18", "2: seed: found 1e18, expected integer at least 0"},
        Mistake{"seed: -1", "2: seed: found -1, expected integer at least 0"},
        Mistake{"model: {tolerance: 0}", "2: model.tolerance: found 0, expected number above 0"},
        Mistake{"model: {tolerance: nan}", "2: model.tolerance: found nan, expected number above 0 (finite)"},
        Mistake{"model: {tolerance: -inf}", "2: model.tolerance: found -inf, expected number above 0 (finite)"},
        Mistake{"model: {tolerance: .inf}", "2: model.tolerance: found .inf, expected number above 0"},
        Mistake{"model: {tolerance: 1e999}", "2: model.tolerance: found 1e999, expected number above 0 (64 bits)"},
        Mistake{"model: {tolerance: '0,5'}",
                "2: model.tolerance: found \"0,5\", expected number above 0 (without quotes)"},
        Mistake{"model: {tolerance: +-1}", "2: model.tolerance: found +-1, expected number above 0"},
        Mistake{"model: {regularization: 1e39}",
                "2: model.regularization: found 1e39, expected number at least 0 (32 bits)"}));

TEST(Range, ComparesFloatsAsFloats) {
  EXPECT_TRUE(at_most(0.1).holds(0.1f));
  EXPECT_TRUE(at_least(0.7).holds(0.7f));
  EXPECT_FALSE(above(0.1).holds(0.1f));
  EXPECT_FALSE(between(0, 1).holds(int64_t{2}));
}

}  // namespace
}  // namespace sartor
