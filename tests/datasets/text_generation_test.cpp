// Chat formats and end-of-text tokens that follow from a folder.
#include "text/generation.h"

#include "datasets/generation_support.h"
#include "text/end_of_text.h"

namespace sartor::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

class GenerationOf : public GeneratorFile {
 protected:
  GenerationOf() {
    std::ofstream(path("vocab.txt")) << "x\n";
    prompts_ = csv("");
    prompts_.pair = "{b}";
  }
  Generation resolved(const GenerationConfig& config, std::string_view file = "") const {
    return resolve(prompts_, config, file.empty() ? folder_ : folder_ / file, *tokenizer_);
  }
  std::optional<int32_t> end() const { return end_of_text(folder_, *tokenizer_); }

  TextConfig prompts_;
};

TEST_F(GenerationOf, EndOfTextIsNamedByTheFirstFileThatHasIt) {
  EXPECT_EQ(end(), std::nullopt);
  write("config.json", R"({"eos_token_id": 13})");
  EXPECT_EQ(end(), 13);
  write("generation_config.json", R"({"eos_token_id": [20, 11]})");
  EXPECT_EQ(end(), 20);
  write("special_tokens_map.json", R"({"eos_token": {"content": "<|im_end|>", "lstrip": false}})");
  EXPECT_EQ(end(), im_end);
  write("tokenizer_config.json", R"({"eos_token": null})");
  EXPECT_EQ(end(), im_end);
  write("tokenizer_config.json", R"({"eos_token": "</s>"})");
  EXPECT_EQ(end(), end_token);
  write("tokenizer_config.json", R"({"eos_token": "好"})");
  EXPECT_EQ(end(), hao);
  EXPECT_THAT(resolved({}).end, ElementsAre(hao));
  EXPECT_THAT(resolved({}, "tokenizer.json").end, ElementsAre(hao));  // a file of the folder
  EXPECT_THAT(resolved({.eos = false}).end, IsEmpty());
}

TEST_F(GenerationOf, EndOfTextOfGpt2NeedsNoName) {
  auto spec = tokenizer_->spec();
  const auto id = static_cast<int32_t>(tokenizer_->vocabulary_size());
  spec.added_tokens.push_back({.content = "<|endoftext|>", .id = id, .special = true});
  const Tokenizer gpt2(std::move(spec));
  EXPECT_EQ(end_of_text(folder_, gpt2), std::nullopt);
  write("merges.txt", "#version: 0.2\n");
  EXPECT_EQ(end_of_text(folder_, gpt2), id);
  EXPECT_EQ(end(), std::nullopt);  // a tokenizer without the token
  write("tokenizer.json", "{}");   // may have another end
  EXPECT_EQ(end_of_text(folder_, gpt2), std::nullopt);
}

TEST_F(GenerationOf, InvalidNamesOfTheEndAreRefused) {
  const auto expect = [&](const char* file, const char* text, const std::string& message) {
    write(file, text);
    EXPECT_THAT([&] { end(); }, ThrowsMessage<std::invalid_argument>(HasSubstr(message))) << text;
    std::filesystem::remove(path(file));
  };
  expect("tokenizer_config.json", R"({"eos_token": "<eos>"})",
         "tokenizer_config.json: eos_token is \"<eos>\", expected a token of the tokenizer");
  expect("tokenizer_config.json", R"({"eos_token": 3})", "eos_token is 3, expected a string");
  expect("tokenizer_config.json", R"({"eos_token": {"contents": ""}})", "eos_token.content is missing");
  expect("tokenizer_config.json", "[]", "tokenizer_config.json: the file is array, expected an object");
  expect("special_tokens_map.json", "{", "special_tokens_map.json");
  expect("generation_config.json", R"({"eos_token_id": 21})",
         "eos_token_id is 21, expected a whole number from 0 to 20");
  expect("config.json", R"({"eos_token_id": [-1]})", "eos_token_id[0] is -1");
  expect("config.json", R"({"eos_token_id": "2"})", "eos_token_id is \"2\"");
  expect("tokenizer_config.json", "{\"eos_token\": \"\xe5\"}", "tokenizer_config.json");
  EXPECT_THAT([&] { resolved({}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("generation.eos is true, but " + folder_.string() +
                                                             " names no end-of-text token: expected eos_token in")));
}

TEST_F(GenerationOf, ChatIsThatOfTheFolder) {
  write("tokenizer_config.json", R"({"eos_token": "</s>"})");
  EXPECT_EQ(resolved({}).chat.format, ChatFormat::none);
  write("chat_template.jinja",
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + "
        "'\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}");
  EXPECT_EQ(resolved({}).chat.format, ChatFormat::chatml);
  EXPECT_THAT(resolved({}).end, ElementsAre(im_end));
  EXPECT_EQ(resolved({}).chat.system, std::nullopt);
  EXPECT_EQ(resolved({.system = "你好<|x|>"}).chat.system, "你好<|x|>");
  EXPECT_EQ(resolved({.chat = ChatChoice::none}).chat.format, ChatFormat::none);
  EXPECT_EQ(resolved({.chat = ChatChoice::llama3}).chat.format, ChatFormat::llama3);
  EXPECT_THAT(resolved({.chat = ChatChoice::llama3, .eos = false}).end, ElementsAre(end_of_turn));
  const auto plain = resolve(csv(""), {}, folder_, *tokenizer_);
  EXPECT_EQ(plain.chat.format, ChatFormat::none);
  EXPECT_THAT(plain.end, ElementsAre(end_token));
}

TEST_F(GenerationOf, ChatNeedsATemplateAndItsTokens) {
  write("tokenizer_config.json", R"({"eos_token": "[SEP]"})");
  EXPECT_THAT([&] { resolved({.system = "你好"}); },
              ThrowsMessage<std::invalid_argument>("generation.system is set, but " + folder_.string() +
                                                   " has no chat template: set generation.chat"));
  const Tokenizer without(
      parse_bert_tokenizer("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n<\n|\n>\nim\n_\nend\nstart\n", "vocab.txt", "", ""));
  EXPECT_THAT([&] { resolve(prompts_, {.chat = ChatChoice::chatml}, folder_, without); },
              ThrowsMessage<std::invalid_argument>(
                  "the tokenizer lacks the special token <|im_start|>, which the chat format chatml needs"));
}

}  // namespace
}  // namespace sartor::text
