// How sartor-infer makes texts and where it cuts them: as in training.
#include "integration/scoring_fixture.h"
#include "support/ranks.h"

namespace sartor::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ScoringInput : public Scoring {
 protected:
  ScoringInput() {
    write("texts.csv", "title,body\n很好,good good good good\nbad,坏 不 very bad\n");
    write("model/input.json", R"({"text": "{title}: {body}", "pair": null, "max_length": 6})");
  }
  Outcome classify(const std::string& more) const {
    return infer(
        "task: classify\ndevice: cpu\nmodel: FOLDER/model\nsource: {path: FOLDER/texts.csv}\noutput: FOLDER/out.csv\n" +
        more);
  }
  std::string scores(const std::string& more) const {
    const Outcome outcome = classify(more);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return taken().first;
  }
};

TEST_F(ScoringInput, IsThatOfTraining) {
  const auto trained = scores("");
  EXPECT_EQ(scores("text: '{title}: {body}'\nmax_length: 6\npair: ''\n"), trained);
  const auto longer = scores("max_length: 9\nother_input: true\n"),
             other = scores("text: '{body}'\nother_input: true\n");
  std::filesystem::remove(path("model/input.json"));
  EXPECT_EQ(scores("text: '{title}: {body}'\nmax_length: 6\n"), trained);
  EXPECT_EQ(scores("text: '{title}: {body}'\nmax_length: 9\n"), longer);
  EXPECT_EQ(scores("text: '{body}'\nmax_length: 6\n"), other);
  EXPECT_NE(trained, longer);
  EXPECT_NE(trained, other);
}

TEST_F(ScoringInput, OfPairsToo) {
  write("model/input.json", R"({"text": "{title}", "pair": "{body}", "max_length": 12})");
  const auto pairs = scores("");
  const auto single = scores("pair: ''\nother_input: true\n");
  std::filesystem::remove(path("model/input.json"));
  EXPECT_EQ(scores("text: '{title}'\npair: '{body}'\nmax_length: 12\n"), pairs);
  EXPECT_EQ(scores("text: '{title}'\nmax_length: 12\n"), single);
  EXPECT_NE(pairs, single);
}

TEST_F(ScoringInput, CutRowsAreCounted) {
  write("texts.csv", "title,body\n很好,!\nbad,坏 不 very bad\ngood,good good good\n好,\n");
  EXPECT_THAT(classify("").err, HasSubstr("2 of the 4 rows scored now were cut at max_length 6"));
  taken();
  EXPECT_THAT(classify("max_length: 40\nother_input: true\n").err,
              AllOf(HasSubstr("4 rows; 0 rejected"), Not(HasSubstr("cut at"))));
  const std::string embed =
      "task: embed\ndevice: cpu\nmodel: FOLDER/model\nsource: {path: FOLDER/texts.csv}\noutput: FOLDER/out.h5\n"
      "rows_per_part: 1\n";
  EXPECT_THAT(infer(embed).err, HasSubstr("2 of the 4 rows scored now were cut at max_length 6"));
  for (const auto& rank : on_ranks(2, command("sartor-infer", embed, {"--overwrite"}))) {
    expect_done(rank);
    if (!rank.err.empty()) {
      EXPECT_THAT(rank.err, HasSubstr("2 of the 4 rows scored now were cut at max_length 6"));
    }
  }
}

TEST_F(ScoringInput, AnotherOneIsRefused) {
  const auto refused = [&](const std::string& more, const std::string& said) {
    const Outcome outcome = classify(more);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(said));
    EXPECT_TRUE(outputs().empty());
  };
  refused("text: '{body}'\n",
          "text is {body}, but " + path("model") + " was trained with {title}: {body}: remove it from");
  refused("max_length: 512\n", "max_length is 512, but " + path("model") + " was trained with 6");
  refused("pair: '{body}'\n", "pair is {body}, but");
  write("model/input.json", R"({"text": "{title", "max_length": 6})");
  refused("", "an unclosed");
  write("model/input.json", R"({"text": 7})");
  refused("", "input.json: text: found an integer");
}

}  // namespace
}  // namespace sartor::testing
