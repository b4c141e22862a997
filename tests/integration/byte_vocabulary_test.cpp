// Byte-level BPE vocabularies: task vocabulary with model byte_bpe.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "integration/fixture.h"
#include "support/paths.h"
#include "text/tokenizers/tokenizer.h"
#include "text/tokenizers/tokenizer_files.h"

namespace sartor::testing {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ByteVocabulary : public Programs {
 protected:
  void SetUp() override {
    std::string table = "text\n";
    for (int row = 0; row < 60; row++) table += "这个酒店很好😀 very good, number " + std::to_string(row) + "\n";
    write("文.tsv", table + "很好\xff\n");
  }

  // The status and messages of a run with more fields.
  auto made(const std::string& more) const {
    return train(
        "task: vocabulary\nmodel: byte_bpe\ndata: {label: {kind: none}, sources: [{path: FOLDER/文.tsv, quote: ''}]}\n"
        "output: FOLDER/词\n" +
            more,
        {"--overwrite"});
  }
  std::string refusal(const std::string& more) const {
    const auto result = made(more);
    EXPECT_EQ(result.status, 2) << result.err;
    EXPECT_FALSE(std::filesystem::exists(path("词")));
    return result.err;
  }
};

TEST_F(ByteVocabulary, IsWrittenForGenerators) {
  expect_done(
      made("special_tokens: ['<|endoftext|>', '<|im_start|>', '<|im_end|>']\npattern: qwen2\nvocab_size: 280\n"));
  const text::Tokenizer tokenizer(text::read_tokenizer(path("词")));
  EXPECT_EQ(tokenizer.vocabulary_size(), 280);
  EXPECT_EQ(tokenizer.id_of("<|endoftext|>"), 0);
  EXPECT_EQ(tokenizer.id_of("<|im_end|>"), 2);
  const json config = json::parse(read("词/tokenizer_config.json"));
  for (const char* role : {"bos_token", "eos_token", "pad_token"}) EXPECT_EQ(config[role], "<|endoftext|>") << role;
  const std::string text = "酒店不好\n<|im_end|> 😀é12";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text).ids, false), text);
}

TEST_F(ByteVocabulary, OptionsCount) {
  const auto has = [&](const std::string& more, const char* part) {
    expect_done(made(more));
    const auto tokens = text::read_tokenizer(path("词")).vocabulary;
    return std::ranges::any_of(tokens, [&](const auto& token) { return token.text.find(part) != std::string::npos; });
  };
  EXPECT_TRUE(has("", "Ġnumber"));
  EXPECT_FALSE(has("min_frequency: 1000\n", "Ġnumber"));
  EXPECT_FALSE(has("max_token_length: 6\n", "Ġnumber"));
  EXPECT_FALSE(has("", "Ġè¿Ļ"));  // " 这"
  EXPECT_TRUE(has("add_prefix_space: true\n", "Ġè¿Ļä¸ªéħĴåºĹå¾Īå¥½"));
  EXPECT_TRUE(has("pattern: none\n", "good,Ġnumber"));
  EXPECT_FALSE(has("pattern: digits\n", "good,Ġnumber"));
}

TEST_F(ByteVocabulary, RefusesWhatDoesNotFit) {
  EXPECT_THAT(refusal("special_tokens: []\n"), HasSubstr("special_tokens are empty, expected at least one"));
  EXPECT_THAT(refusal("special_tokens: ['']\n"), HasSubstr("special_tokens contain an empty token"));
  EXPECT_THAT(refusal("pattern: qwen2\nadd_prefix_space: true\n"),
              HasSubstr("only possible with the patterns gpt2 and none"));
  EXPECT_THAT(refusal("pattern: gpt5\n"), HasSubstr("pattern"));
  EXPECT_THAT(refusal("max_token_length: 0\n"), HasSubstr("max_token_length"));
  EXPECT_THAT(refusal("limit_alphabet: 3\n"), HasSubstr("limit_alphabet: unknown key"));
  EXPECT_THAT(train("task: vocabulary\nspecial_tokens: [a]\n").err, HasSubstr("special_tokens: unknown key"));
}

TEST_F(ByteVocabulary, IsTheSameInTransformers) {
  const std::string library = source_path("build/transformers");
  if (!std::filesystem::exists(library)) GTEST_SKIP() << library << " is missing: run scripts/setup.sh tests";
  const std::vector<std::string> patterns = {"gpt2", "llama3", "qwen2", "digits", "none"};
  const std::vector<std::string> texts = {"", "这个酒店很好😀", "It's 12345  <|im_end|>\n very\xe4\xbd good é", " \t"};
  std::string bytes;
  for (const auto& text : texts) bytes += text + '\0';
  std::vector<std::string> command = {venv_program("python"), source_path("tests/integration/ask_tokenizer.py"),
                                      write("texts", bytes), path("answer.json")};
  for (const auto& pattern : patterns) {
    expect_done(made("special_tokens: ['<|endoftext|>', '<|im_end|>']\npattern: " + pattern + "\n"));
    std::filesystem::rename(path("词"), path(pattern));
    command.push_back(path(pattern));
  }
  const auto asked = run_command(command, {"PYTHONPATH=" + library});
  ASSERT_EQ(asked.status, 0) << asked.err;
  const json answers = json::parse(read("answer.json"));
  for (size_t p = 0; p < patterns.size(); p++) {
    const text::Tokenizer tokenizer(text::read_tokenizer(path(patterns[p])));
    EXPECT_EQ(answers[p]["size"], tokenizer.vocabulary_size());
    for (const char* role : {"bos_token", "eos_token", "pad_token"}) EXPECT_EQ(answers[p][role], "<|endoftext|>");
    for (size_t i = 0; i < texts.size(); i++) {
      const auto ids = tokenizer.encode(texts[i]).ids;
      EXPECT_EQ(json(ids), answers[p]["rows"][i]["ids"]) << patterns[p] << " " << texts[i];
      EXPECT_EQ(tokenizer.decode(ids, false), answers[p]["rows"][i]["text"]) << patterns[p] << " " << texts[i];
    }
  }
}

}  // namespace
}  // namespace sartor::testing
