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

TEST_F(TextInputFile, NamesWhatIsBroken) {
  for (const auto& [text, said] : {std::pair{"[]", "input.json: found an array, expected an object"},
                                   {"{}", "input.json: has no text"},
                                   {R"({"text": 1})", "text: found an integer, expected a string"},
                                   {R"({"text": "", "pair": []})", "pair: found an array, expected a string or null"},
                                   {R"({"text": "", "max_length": "9"})", "max_length: found a string"},
                                   {R"({"text": "", "max_length": 0})", "max_length is 0, expected 1 to"},
                                   {R"({"text": "", "max_length": 18446744073709551615})", "max_length is 184467"},
                                   {"{\"text\": \"\xe5\xa5\"}", "input.json: invalid JSON"}}) {
    write("input.json", text);
    EXPECT_THAT([&] { read_text_input(folder_); }, ThrowsMessage<std::invalid_argument>(HasSubstr(said))) << text;
  }
}

}  // namespace
}  // namespace sartor::hf
