// task: tokenize with a section `generation`.
#include <nlohmann/json.hpp>
#include <set>

#include "datasets/generation_support.h"
#include "integration/fixture.h"
#include "storage/stored_texts.h"

namespace sartor::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class GeneratorTexts : public Programs {
 protected:
  GeneratorTexts() {
    std::filesystem::create_directories(path("词"));
    text::write_tokenizer(path("词"), text::generator_tokenizer(true).spec(), 64);
    end_with("</s>");
    write("a.csv",
          "a,b,c,w\ngood,好,坏,1\nbad,坏,好,2\n好,good bad,bad,0.5\n坏,bad good,good,1\ngood 好,坏坏坏,好好,1\n"
          "坏 坏,好好,坏,1\n,坏好,good,3\n");
  }
  void end_with(const std::string& token) const {
    auto config = nlohmann::json::parse(read("词/tokenizer_config.json"));
    config["eos_token"] = token;
    write("词/tokenizer_config.json", config.dump());
  }

  // A config with more fields of data, of `generation` and of the task.
  static std::string config(const std::string& data, const std::string& generation, const std::string& more = "") {
    return "task: tokenize\ndata:\n  sources: [{path: FOLDER/a.csv}]\n  label: {kind: none}\n" + data +
           "tokenizer: FOLDER/词\nsplit: {method: random, test: 0.2, validation: 0.2}\noutput: "
           "FOLDER/a.h5\ngeneration: {" +
           generation + "}\n" + more;
  }
  static constexpr const char* pairs = "  text: \"{a}\"\n  pair: \"{b}\"\n";

  std::string hash(const std::string& config) {
    expect_done(train(config, {"--overwrite"}));
    return datasets::open_texts(path("a.h5")).data_hash;
  }
  void refused(const std::string& config, const std::string& message) {
    const auto outcome = train(config, {"--overwrite"});
    EXPECT_EQ(outcome.status, 2);
    EXPECT_THAT(outcome.err, HasSubstr(message));
    EXPECT_FALSE(std::filesystem::exists(path("a.h5")));
  }
};

TEST_F(GeneratorTexts, TheLogHasTheCounts) {
  auto outcome = train(config("  text: \"{b}\"\n", ""));
  expect_done(outcome);
  EXPECT_THAT(outcome.err, HasSubstr("a.h5: 7 rows; 0 rejected, 0 repeated\n"));
  EXPECT_THAT(outcome.err,
              HasSubstr("train 4, validation 1, test 2 rows, split by texts; 27 tokens, 20 of them predicted; "
                        "2.15 bytes per predicted token; 0 rows cut at 128 tokens"));
  outcome = train(config(pairs, "rejected: \"{c}\"", "max_length: 3\n"), {"--overwrite"});
  expect_done(outcome);
  EXPECT_THAT(outcome.err, HasSubstr("a.h5: 7 rows; 2 rejected, 0 repeated\n"));
  EXPECT_THAT(outcome.err, HasSubstr("test 1 pairs, split by 5 prompts"));
  EXPECT_THAT(outcome.err, HasSubstr("9 rows cut at 3 tokens"));
  EXPECT_THAT(outcome.err, HasSubstr("rejected rows and reasons are in"));
  outcome = train(config(pairs, "score: w, best_of: 1"), {"--overwrite"});
  EXPECT_THAT(outcome.err, HasSubstr("0 repeated, 0 not among the best of their prompts\n"));
}

TEST_F(GeneratorTexts, TheDataHashCoversEverySetting) {
  std::set<std::string> hashes;
  int made = 0;
  const auto add = [&](const std::string& each) {
    hashes.insert(hash(each));
    EXPECT_EQ(std::ssize(hashes), ++made) << each;
  };
  add(config(pairs, ""));
  const auto first = *hashes.begin();
  add(config(pairs, "eos: false"));
  add(config(pairs, "chat: chatml"));
  add(config(pairs, "chat: chatml, system: 好"));
  add(config(pairs, "chat: chatml, system: \"\""));
  add(config(pairs, "chat: llama3"));
  add(config(pairs, "weight: w"));
  add(config(pairs, "score: w, best_of: 1"));
  add(config(pairs, "score: w, best_of: 2"));
  add(config(pairs, "split_by: completion"));
  add(config(pairs, "rejected: \"{c}\""));
  add(config(pairs, "rejected: \"{c}!\""));
  add(config("  text: \"{b}\"\n", ""));
  add(config("  text: \"{b}\"\n", "", "longer: divide\n"));
  add(config("  text: \"{b}\"\n", "", "max_length: 64\n"));
  auto constant = config("  text: \"{a}{情感}\"\n  pair: \"{b}\"\n", "");
  constant.replace(constant.find("a.csv}"), 6, "a.csv, constants: [{column: 情感, value: 好}]}");
  add(constant);
  constant.replace(constant.find("value: 好"), 10, "value: 坏");
  add(constant);

  end_with("<|eot_id|>");
  add(config(pairs, ""));
  write("词/chat_template.jinja",
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + "
        "'\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}");
  add(config(pairs, ""));

  // Paths do not matter.
  std::filesystem::remove(path("词/chat_template.jinja"));
  end_with("</s>");
  std::filesystem::rename(path("a.csv"), path("b.csv"));
  auto moved = config(pairs, "");
  moved.replace(moved.find("a.csv"), 5, "b.csv");
  EXPECT_EQ(hash(moved), first);
}

TEST_F(GeneratorTexts, FilesForOthersAreRefused) {
  expect_done(train(config("  text: \"{b}\"\n", "")));
  const auto outcome = train(
      "task: pretrain\ndevice: cpu\ndata: {path: FOLDER/a.h5}\nmodel: {tokenizer: FOLDER/词, shape: {hidden_size: 16, "
      "num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 24}}\noutput: FOLDER/run\n");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("a.h5 has texts for generators, expected a file without the section generation"));
}

TEST_F(GeneratorTexts, ConfigsThatDoNotFitAreRefused) {
  refused(config(pairs, "", "longer: divide\n"), "longer is divide, but completions can only be cut");
  refused(config(pairs, "best_of: 0, score: w"), "generation.best_of: found 0");
  refused(config(pairs, "best_of: 1"), "generation: score and best_of are required together");
  refused(config(pairs, "chat: alpaca"), "generation.chat: found alpaca");
  refused(config(pairs, "weigth: w"), "did you mean weight");
  refused(config(pairs, "weight: x"), "a.csv");
  refused(config(pairs, "system: s"), "词 has no chat template: set generation.chat");
  refused(config("", "chat: chatml"), "generation.chat is chatml, but there is no data.pair");
  auto rows = config(pairs, "");
  rows.replace(rows.find("method: random"), 14, "method: rows, first_test_row: 1, test_rows: 1");
  refused(rows, "split.method is rows, but prompts are split as in generation.split_by");
  auto labeled = config(pairs, "");
  labeled.replace(labeled.find("{kind: none}"), 12, "{column: w}");
  refused(labeled, "generation: data.label.kind is single_label, expected none");
  write("a.csv", "a,b,w\ngood,好,0\n好,坏,0\n");
  refused(config(pairs, "weight: w"), "the weights of all training rows are 0");
  end_with("<eos>");
  refused(config(pairs, ""), "tokenizer_config.json: eos_token is \"<eos>\", expected a token of the tokenizer");
  EXPECT_THAT(files(), Not(Contains(HasSubstr("a.h5"))));
}

TEST_F(GeneratorTexts, ProvenanceHasTheSection) {
  expect_done(train(config(pairs, "weight: w")));
  const auto data = datasets::open_texts(path("a.h5"));
  const auto provenance = nlohmann::json::parse(data.provenance);
  EXPECT_THAT(provenance["config"].get<std::string>(), HasSubstr("generation:\n  chat: auto\n"));
  EXPECT_EQ(provenance["rows"]["read"], 7);
  EXPECT_EQ(data.train.rows() + data.validation.rows() + data.test.rows(), 7);
}

}  // namespace
}  // namespace sartor::testing
