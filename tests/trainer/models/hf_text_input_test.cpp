// Writing and reading of input.json, and invalid files.
#include "models/hf/text_input.h"

#include <gmock/gmock.h>

#include "support/folder_test.h"

namespace sartor::hf {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class TextInputFile : public testing::FolderTest {};

TEST_F(TextInputFile, KeepsWhatTrainingKnew) {
  EXPECT_FALSE(read_text_input(folder_));
  write_text_input(folder_, {.text = "{标题}。\n\"{body}\" {{😀}}", .pair = "{问}", .max_length = 128});
  const auto found = read_text_input(folder_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->text, "{标题}。\n\"{body}\" {{😀}}");
  EXPECT_EQ(found->pair, "{问}");
  EXPECT_EQ(found->max_length, 128);
  write_text_input(folder_, {.text = "{text}"});
  EXPECT_EQ(read_text_input(folder_)->pair, std::nullopt);
  EXPECT_EQ(read_text_input(folder_)->max_length, std::nullopt);
}

TEST_F(TextInputFile, KeepsTheChatOfGenerators) {
  write_text_input(folder_, {.text = "{商品}", .pair = "{文案}", .chat = "chatml", .system = "你写\"文案\"。"});
  auto found = read_text_input(folder_);
  EXPECT_EQ(found->chat, "chatml");
  EXPECT_EQ(found->system, "你写\"文案\"。");
  write_text_input(folder_, {.text = "{text}", .chat = "none"});
  found = read_text_input(folder_);
  EXPECT_EQ(found->chat, "none");
  EXPECT_EQ(found->system, std::nullopt);
  write_text_input(folder_, {.text = "{text}"});  // as for other models
  EXPECT_EQ(read("input.json"), "{\n  \"text\": \"{text}\",\n  \"pair\": null,\n  \"max_length\": null\n}\n");
  EXPECT_EQ(read_text_input(folder_)->chat, std::nullopt);
}

TEST_F(TextInputFile, NamesWhatIsBroken) {
  for (const auto& [text, said] :
       {std::pair{"[]", "input.json: found an array, expected an object"},
        {"{}", "input.json: has no text"},
        {R"({"text": 1})", "text: found an integer, expected a string"},
        {R"({"text": "", "pair": []})", "pair: found an array, expected a string or null"},
        {R"({"text": "", "max_length": "9"})", "max_length: found a string"},
        {R"({"text": "", "max_length": 0})", "max_length is 0, expected 1 to"},
        {R"({"text": "", "max_length": 18446744073709551615})", "max_length is 184467"},
        {R"({"text": "", "chat": "alpaca"})", "chat is alpaca, expected none, chatml or llama3"},
        {R"({"text": "", "chat": 1})", "chat: found an integer, expected a string"},
        {R"({"text": "", "system": 1})", "system: found an integer, expected a string or null"},
        {"{\"text\": \"\xe5\xa5\"}", "input.json: invalid JSON"}}) {
    write("input.json", text);
    EXPECT_THAT([&] { read_text_input(folder_); }, ThrowsMessage<std::invalid_argument>(HasSubstr(said))) << text;
  }
}

}  // namespace
}  // namespace sartor::hf
