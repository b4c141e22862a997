#include "text/template.h"

#include <gmock/gmock.h>

#include <stdexcept>

namespace sartor::text {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

std::string filled(std::string_view pattern, const std::vector<std::string>& values) {
  const Template made(pattern);
  EXPECT_EQ(made.columns().size(), values.size());
  return made.fill([&](size_t i) { return std::string_view(values[i]); });
}

TEST(Templates, FillTheirSlots) {
  EXPECT_EQ(filled("{userId} {movieId}", {"1", "122"}), "1 122");
  EXPECT_EQ(filled("用户偏好：{偏好}，{产品}", {"时尚", "新款羽绒服"}), "用户偏好：时尚，新款羽绒服");
  EXPECT_EQ(filled("{a}{a}-{b}", {"x", "y"}), "xx-y");
  EXPECT_EQ(filled("{{{a}}} }}{{", {"x"}), "{x} }{");
  EXPECT_EQ(filled("{a}", {"{b} {{"}), "{b} {{");  // values are not templates
  EXPECT_EQ(filled("", {}), "");
  EXPECT_THAT(Template("plain").columns(), IsEmpty());
  EXPECT_THAT(Template("{b}{a}{b}").columns(), ElementsAre("b", "a"));
}

TEST(Templates, AppendToWhatIsThere) {
  std::string text = "a";
  Template("{x}!").append([](size_t) { return "好"; }, text);
  EXPECT_EQ(text, "a好!");
}

TEST(Templates, NameWhatIsWrong) {
  const auto expect = [](std::string_view pattern, const std::string& message) {
    EXPECT_THAT([&] { Template{pattern}; }, ThrowsMessage<std::invalid_argument>(message)) << pattern;
  };
  expect("a {b", "the template \"a {b\" has an unclosed {; write {{ for a literal brace");
  expect("a} b", "the template \"a} b\" has an unopened }; write }} for a literal brace");
  expect("{} b", "the template \"{} b\" has a slot {}, expected a column name");
  expect("{a{b}", "the template \"{a{b}\" has a slot {a{b}, expected a column name");
}

}  // namespace
}  // namespace sartor::text
