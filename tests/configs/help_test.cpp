// Exact output of --help-config and docs/config.md.
#include "schema/help.h"

#include <gmock/gmock.h>

#include "configs/example_config.h"
#include "schema/document.h"

namespace sartor {
namespace {

using example::ExampleConfig;
using example::Split;

TEST(Help, TerminalText) {
  EXPECT_EQ(terminal_help(field_help<ExampleConfig>()), R"text(task  (example, required)
    Name of the task.
output = runs/example  (text)
    Folder of the run.
seed = null  (integer at least 0)
    Seed of everything random; drawn if absent.
split = random  (random, stratified or temporal)
    Method of splitting the rows.
fraction = 0.1  (number from 0 to 1)
    Part of the rows to test on.
at = [1, 10]  (list of integers at least 1)
    Lengths of the lists to judge.
sources = []  (list of sections)
    Tables to read.
sources.N.path  (path, required)
    Table to read.
sources.N.separator = ","  (",", "|" or "::")
    Text between two columns.
items = null  (section)
    Table of the items.
items.path  (path, required)
    Table to read.
items.separator = ","  (",", "|" or "::")
    Text between two columns.
model  (section)
    Model to train.
model.factors = 64  (integer from 1 to 65536)
    Latent dimensions of users and items.
model.regularization = 0.05  (number at least 0)
    Weight of the squared factors in the loss.
model.tolerance = 1.0e-08  (number above 0)
    Change of the loss at which training stops.
model.weighted = true  (true or false)
    Scale a row's regularization by its number of ratings.
)text");
}

TEST(Help, Markdown) {
  EXPECT_EQ(markdown_help("task: example", field_help<ExampleConfig>()), R"text(## task: example

| field | takes | default | |
|---|---|---|---|
| `task` | example | required | Name of the task. |
| `output` | text | `runs/example` | Folder of the run. |
| `seed` | integer at least 0 | `null` | Seed of everything random; drawn if absent. |
| `split` | random, stratified or temporal | `random` | Method of splitting the rows. |
| `fraction` | number from 0 to 1 | `0.1` | Part of the rows to test on. |
| `at` | list of integers at least 1 | `[1, 10]` | Lengths of the lists to judge. |
| `sources` | list of sections | `[]` | Tables to read. |
| `sources.N.path` | path | required | Table to read. |
| `sources.N.separator` | ",", "\|" or "::" | `","` | Text between two columns. |
| `items` | section | `null` | Table of the items. |
| `items.path` | path | required | Table to read. |
| `items.separator` | ",", "\|" or "::" | `","` | Text between two columns. |
| `model` | section |  | Model to train. |
| `model.factors` | integer from 1 to 65536 | `64` | Latent dimensions of users and items. |
| `model.regularization` | number at least 0 | `0.05` | Weight of the squared factors in the loss. |
| `model.tolerance` | number above 0 | `1.0e-08` | Change of the loss at which training stops. |
| `model.weighted` | true or false | `true` | Scale a row's regularization by its number of ratings. |
)text");
}

TEST(Help, FieldsAreThoseOfTheGivenValues) {
  const auto has_fraction = [](Split split) {
    ExampleConfig config;
    config.split = split;
    const auto fields = field_help(config);
    return std::ranges::count(fields, "fraction", &FieldHelp::path) == 1;
  };
  EXPECT_TRUE(has_fraction(Split::random));
  EXPECT_FALSE(has_fraction(Split::temporal));
}

enum class Kind { round, square };
constexpr auto choices(Kind) { return std::to_array<Choice<Kind>>({{"round", Kind::round}, {"square", Kind::square}}); }

struct ShapeConfig {
  Kind kind = Kind::round;
  double radius = 1, edge = 2;
  bool filled = false;

  template <class Fields> void describe(Fields& field) {
    field.choice("kind", kind, "Which shape.", [&](Kind shape) {
      if (shape == Kind::round) field("radius", radius, above(0), "Half its width.");
      if (shape == Kind::square) field("edge", edge, above(0), "Its width.");
    });
    field("filled", filled, "Not only the outline.");
  }
};

TEST(Help, HasTheFieldsOfEveryCaseOfAChoice) {
  EXPECT_EQ(terminal_help(field_help<ShapeConfig>()), R"text(kind = round  (round or square)
    Which shape.
radius = 1.0  (number above 0)
    round: Half its width.
edge = 2.0  (number above 0)
    square: Its width.
filled = false  (true or false)
    Not only the outline.
)text");
}

TEST(Config, TakesTheFieldsOfTheChosenCaseOnly) {
  const auto config = read_config<ShapeConfig>(parse_document("kind: square\nedge: 3\nfilled: true\n", "a.yaml", {}));
  EXPECT_EQ(config.edge, 3);
  EXPECT_EQ(to_yaml(config), "kind: square\nedge: 3.0\nfilled: true\n");
  EXPECT_THAT([] { read_config<ShapeConfig>(parse_document("edge: 3\n", "a.yaml", {})); },
              ::testing::ThrowsMessage<std::invalid_argument>(::testing::HasSubstr("a.yaml:1: edge: unknown key")));
}

}  // namespace
}  // namespace sartor
