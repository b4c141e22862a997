// Broken configs of task: generate.
#include "integration/generate_fixture.h"

namespace sartor::testing {
namespace {

class GenerateRefused : public Generating {
 protected:
  // The config of the fixture with `from` replaced by `to`. `said` is a regular expression for the error line.
  void refused(const std::string& from, const std::string& to, const std::string& said) const {
    std::string config = generate_config;
    const auto at = config.find(from);
    ASSERT_NE(at, config.npos) << from;
    refused_whole(config.replace(at, from.size(), to), said);
  }
  void refused_whole(const std::string& config, const std::string& said) const {
    SCOPED_TRACE(config);
    const Outcome outcome = infer(config);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, ::testing::ContainsRegex(said));
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
    EXPECT_TRUE(outputs().empty());
  }
};

TEST_F(GenerateRefused, BrokenConfigs) {
  write_customers();
  const std::string slots = "slots: [{column: likes, type: list}]\n", decoding = "max_new_tokens: 6";
  refused("model: FOLDER/run\n", "", "model: required and missing");
  refused("FOLDER/run", "FOLDER/nowhere", "nowhere: no such folder");
  refused("FOLDER/run", "FOLDER/词", "词 is not a text model: it has no config.json");
  refused("output: FOLDER/out.csv\n", "", "output is missing, which source requires");
  refused("FOLDER/out.csv\n", "FOLDER/out.txt\n", "out.txt");
  refused("source: {path: FOLDER/customers.csv}\n", "", "neither source nor prompt is set");
  refused("FOLDER/customers.csv", "FOLDER/none.csv", "none.csv");
  refused(slots, "slots: [{column: colour}]\n", "slots: colour is not in the prompt \"给");
  refused(slots, "slots: [{column: likes, type: word}]\n", "slots.0.type: .*word.*text, number or list");
  refused(slots, "slots: [{column: likes, decimals: 2}]\n", "slots.0: decimals is for type number, type is text");
  refused(slots, "slots: [{type: list}]\n", "slots.0.column: required and missing");
  refused(slots, slots + "prompt: \"{name\"\n", "the template .* has an unclosed \\{");
  refused(slots, slots + "prompt: \"{likes} {nothing}\"\nother_input: true\n", "customers.csv.*nothing");
  refused(slots, slots + "prompt: \"{likes}!\"\n",
          "prompt is \\{likes\\}!, but .*run was trained with 给.*set other_input: true");
  refused(slots, slots + "chat: chatml\n", "chat is chatml, but .*run was trained with none");
  refused(slots, slots + "chat: chatml\nother_input: true\n", "the tokenizer lacks the special token <.im_start.>");
  refused(slots, slots + "system: x\n", "system is set, but .*run has no chat template: set chat");
  refused("id: customer\n", "lists: [{path: FOLDER/customers.csv, key: customer, column: age}]\n", "lists needs id");
  refused("keep: [age]", "keep: [text]\nprompt: \"{likes}\"\nother_input: true", "no column .text.");
  refused("keep: [age]", "keep: [colour]", "colour");
  refused(decoding, "max_new_tokens: 0", "decoding.max_new_tokens: found 0");
  refused(decoding, "max_new_tokens: 64",
          "decoding.max_new_tokens is 64, but .*run supports 64 tokens, prompts included");
  refused(slots, slots + "max_length: 65\n", "max_length is 65, but .*run supports at most 64");
  refused(slots, slots + "max_length: 6\n", "decoding.max_new_tokens is 6, but max_length is 6");
  refused("do_sample: true, num_return_sequences: 3, top_k: 50", "num_beams: 3",
          "attempts is 2, which requires decoding.do_sample");
  refused("top_k: 50", "top_p: 0", "decoding.top_p: found 0");
  refused("top_k: 50", "temprature: 2", "decoding.temprature: unknown key .did you mean temperature");
  refused("top_k: 50", "num_beams: 3", "num_beams");
  refused("max_characters: 4", "max_characters: 1, min_characters: 2", "filters");
  refused("cache_bytes: 10000000", "cache_bytes: 10", "cache");
  refused("FOLDER/out.review.csv", "FOLDER/out.review.xlsx",
          "review: path is .*expected a file name that ends in .csv");
  refused("FOLDER/out.review.csv", "FOLDER/out.csv", "out.csv");
  refused(slots, slots + "long_prompt: cut\n", "long_prompt: .*cut.*reject, error or cut_left");
  refused(slots, slots + "precision: fp16\n", "precision: .*fp16");
}

TEST_F(GenerateRefused, LongPromptsIfTheyAreAnError) {
  write_customers();
  const Outcome outcome = infer(generate_config + std::string("long_prompt: error\nmax_length: 12\n"));
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, ::testing::ContainsRegex("customers.csv: row 3: prompt is too long: .* tokens, but "
                                                    "max_new_tokens 6 leaves 6 of 12: 给客户1写"));
}

TEST_F(GenerateRefused, SinglePrompts) {
  const std::string base = "task: generate\ndevice: cpu\nmodel: FOLDER/run\nprompt: x\n";
  for (const std::string field : {"output: FOLDER/out.csv", "keep: [a]", "id: a", "slots: [{column: a}]",
                                  "review: {path: FOLDER/out.csv}", "rejects: FOLDER/out.tsv"}) {
    refused_whole(base + field + "\n", field.substr(0, field.find(':')) + " is set, but there is no source");
  }
  refused_whole(
      "task: generate\ndevice: cpu\nmodel: FOLDER/run\nprompt: \"给{name}\"\n"
      "decoding: {max_new_tokens: 5}\n",
      "has the slot \\{name\\}, but there is no source");
  refused_whole("task: generate\ndevice: cpu\nmodel: FOLDER/run\nprompt: \"" + std::string(100, 'z') +
                    "\"\ndecoding: {max_new_tokens: 5}\n",
                "prompt is too long: 100 tokens, but max_new_tokens 5 leaves 59 of 64: zzz");
}

}  // namespace
}  // namespace sartor::testing
