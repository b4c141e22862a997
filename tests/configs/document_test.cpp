// Config files and overrides (--set).
#include "schema/document.h"
#include "support/folder_test.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

namespace sartor {
namespace {

using ::testing::ThrowsMessage;

std::string changed(std::string_view text, const std::vector<std::string>& overrides) {
  return to_flow(parse_document(text, "als.yaml", overrides));
}

TEST(Document, OverridesReplaceAndAdd) {
  constexpr std::string_view text = "model: {factors: 64}\nsources: [{path: a}, {path: b}]";
  EXPECT_EQ(changed(text, {"model.factors=128"}), "{model: {factors: 128}, sources: [{path: a}, {path: b}]}");
  EXPECT_EQ(changed(text, {"sources.1.path=c.csv", "sources.2.path=时尚"}),
            "{model: {factors: 64}, sources: [{path: a}, {path: c.csv}, {path: 时尚}]}");
  EXPECT_EQ(changed(text, {"model={rank: [1, 2]}", "sources=", "data.path=a=b", "at.0=5"}),
            "{model: {rank: [1, 2]}, sources: null, data: {path: a=b}, at: [5]}");
  EXPECT_EQ(changed("a: 1", {"a=2", "a=3"}), "{a: 3}");
}

TEST(Document, OverrideIsNamedInsteadOfALine) {
  const YamlNode document = parse_document("model: {factors: 64}", "als.yaml", {"model.factors=abc", "data.path=a b"});
  EXPECT_EQ(document.find("model")->where, "als.yaml:1");
  EXPECT_EQ(document.find("model")->find("factors")->where, "--set model.factors=abc");
  EXPECT_EQ(document.find("data")->where, "--set \"data.path=a b\"");
}

TEST(Document, NamesWhatIsWrongWithAnOverride) {
  const auto expect = [](const std::string& override, const std::string& message) {
    EXPECT_THAT([&] { changed("{model: {factors: 64}, at: [1, 5]}", {override}); },
                ThrowsMessage<std::invalid_argument>("--set " + message));
  };
  expect("factors", "factors: expected path=value, for example threads=2");
  expect("=3", "=3: empty name in the path");
  expect("model..factors=3", "model..factors=3: empty name in the path");
  expect("model.factors.x=3", "model.factors.x=3: cannot set x inside the single value at als.yaml:1");
  expect("at.3=10", "at.3=10: index 3 in a list of 2 elements");
  expect("at.99999999999999999999=1", "at.99999999999999999999=1: index 99999999999999999999 in a list of 2 elements");
  expect("at.k=10", "at.k=10: index k in a list of 2 elements");
  expect("at=[1, 5", "\"at=[1, 5\": not YAML: end of sequence flow not found");
  expect("model.factors=\xff", "\"model.factors=\\xff\": not UTF-8");
}

class File : public testing::FolderTest {
 protected:
  std::string write(std::string_view text) const { return FolderTest::write("配置.yaml", text); }
};

TEST_F(File, IsReadWithByteOrderMarkAndWindowsLines) {
  const YamlNode document =
      load_document(write("\xef\xbb\xbf# 注释\r\nmodel:\r\n  factors: 64\r\n"), {"model.alpha=1"});
  EXPECT_EQ(to_flow(document), "{model: {factors: 64, alpha: 1}}");
  EXPECT_EQ(document.find("model")->find("factors")->where, path("配置.yaml") + ":3");
}

TEST_F(File, ThatHoldsNoConfigIsRefused) {
  const auto expect = [&](const std::string& text, const std::string& message) {
    const std::string name = write(text);
    EXPECT_THAT([&] { load_document(name); }, ThrowsMessage<std::invalid_argument>(name + message));
  };
  expect("", ": empty, expected keys and values");
  expect("# nothing\n---\n", ": empty, expected keys and values");
  expect("\n- a", ":2: found a list, expected keys and values");
  expect("factors", ":1: found a single value, expected keys and values");
  expect(std::string(2 << 20, '#'), ":1: more than 1048576 bytes");
  EXPECT_THAT([&] { load_document(path("none.yaml")); },
              ThrowsMessage<std::invalid_argument>(path("none.yaml") + ": cannot open: No such file or directory"));
  EXPECT_THAT([&] { load_document(folder_); },
              ThrowsMessage<std::invalid_argument>(folder_.string() + ": cannot read: Is a directory"));
}

}  // namespace
}  // namespace sartor
