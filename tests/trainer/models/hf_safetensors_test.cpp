#include "models/hf/safetensors.h"

#include <gmock/gmock.h>

#include <cstring>
#include <numeric>

#include "support/folder_test.h"

namespace sartor::hf {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;
using ::testing::ThrowsMessage;

// Parses the header of a file with `bytes` bytes of data.
SafetensorsHeader parse(const std::string& json, uint64_t bytes) {
  return parse_safetensors_header(json, bytes, "模型.safetensors");
}

void refused(const std::string& json, uint64_t bytes, const std::string& why) {
  EXPECT_THAT([&] { parse(json, bytes); }, ThrowsMessage<std::invalid_argument>(AllOf(
                                               StartsWith("模型.safetensors: "), HasSubstr(why), Not(HasSubstr("\n")))))
      << json;
}

TEST(SafetensorsHeader, SaysWhereTensorsLie) {
  const auto header = parse(
      R"({"b":{"shape":[],"dtype":"I64","data_offsets":[24,32]},"__metadata__":{"format":"pt","来源":"测试"},)"
      R"("a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"empty":{"dtype":"U8","shape":[0,9],"data_offsets":[24,24]}}  )",
      32);
  ASSERT_EQ(header.tensors.size(), 3);
  EXPECT_EQ(header.tensors[0].name, "a");
  EXPECT_THAT(header.tensors[0].shape, ElementsAre(2, 3));
  EXPECT_EQ(header.tensors[1].name, "empty");
  EXPECT_EQ(header.tensors[2].name, "b");
  EXPECT_THAT(header.tensors[2].shape, IsEmpty());
  EXPECT_EQ(header.tensors[2].dtype, Dtype::i64);
  EXPECT_THAT(header.metadata, ElementsAre(Pair("format", "pt"), Pair("来源", "测试")));
  EXPECT_THAT(parse("{}", 0).tensors, IsEmpty());
}

std::string one(const std::string& fields) { return "{\"a\":{" + fields + "}}"; }

TEST(SafetensorsHeader, RefusesAnotherForm) {
  refused("", 0, "does not begin with {");
  refused(" {}", 0, "does not begin with {");
  refused("[]", 0, "does not begin with {");
  refused("{", 0, "invalid JSON in the header at byte");
  refused("{}x", 0, "invalid JSON in the header at byte");
  refused("{\"\xff\":1}", 0, "invalid JSON in the header at byte");
  refused(R"({"a":1})", 0, "tensor a: found 1, expected an object");
  refused(R"({"a":[]})", 0, "tensor a: found an array, expected an object");
  refused(R"({"a":{}})", 0, "tensor a has no dtype");
  refused(one(R"("dtype":"F32","shape":[])"), 4, "has no data_offsets");
  refused(one(R"("dtype":"F32","data_offsets":[0,4])"), 4, "has no shape");
  refused(one(R"("dtype":"F32","shape":[],"data_offsets":[0,4],"more":1)"), 4, "unknown key more");
  refused(one(R"("dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4])"), 4, "duplicate dtype");
  refused(one(R"("dtype":"F4","shape":[],"data_offsets":[0,4])"), 4, "dtype F4 is unknown, known are BOOL");
  refused(one(R"("dtype":1,"shape":[],"data_offsets":[0,4])"), 4, "found 1, expected a string");
  refused(one(R"("dtype":"F32","shape":[[1]],"data_offsets":[0,4])"), 4, "found an array");
  refused(one(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), 4, "found -1");
  refused(one(R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])"), 4, "found 1.0");
  refused(one(R"("dtype":"F32","shape":null,"data_offsets":[0,4])"), 4, "found null");
  refused(one(R"("dtype":"F32","shape":[],"data_offsets":[0])"), 4, "has 1 numbers, expected 2");
  refused(one(R"("dtype":"F32","shape":[],"data_offsets":[0,4,4])"), 4, "more than two data_offsets");
  refused(R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[],"data_offsets":[1,2]}})",
          2, "duplicate tensor a");
  refused(R"({"__metadata__":{"a":1}})", 0, "found 1, expected a string");
  refused(R"({"__metadata__":{"a":{}}})", 0, "found an object");
  refused(R"({"__metadata__":"a"})", 0, "expected an object of strings");
  refused(R"({"__metadata__":{"a":"b","a":"c"}})", 0, "duplicate metadata key a");
  refused(R"({"__metadata__":{},"__metadata__":{}})", 0, "duplicate __metadata__");
  refused(std::string("{\"a\":") + std::string(100'000, '['), 0, "found an array");
}

TEST(SafetensorsHeader, ChecksPlacesBeforeAnythingIsRead) {
  refused(one(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), 4, "4 bytes of data, F32 (2) needs 8");
  refused(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,8])"), 8, "8 bytes of data, F32 (1) needs 4");
  refused(one(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), 4, "are not a valid range of the file's 4 bytes");
  refused(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"), 3, "are not a valid range of the file's 3 bytes");
  refused(one(R"("dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,18446744073709551615])"), 4,
          "are not a valid range of the file's");
  refused(one(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])"), 0,
          "(4294967296, 4294967296) overflows");
  refused(one(R"("dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0])"), 0, "overflows");
  refused(one(R"("dtype":"U8","shape":[9223372036854775807,2,0],"data_offsets":[0,0])"), 0, "overflows");
  refused(one(R"("dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,0])"), 0, "is too large");
  refused(one("\"dtype\":\"U8\",\"shape\":[" +
              std::string(128, '1').replace(1, 127,
                                            [] {
                                              std::string s;
                                              for (int i = 0; i < 64; i++) s += ",1";
                                              return s;
                                            }()) +
              "],\"data_offsets\":[0,1]"),
          1, "more than 64 dimensions");
  const std::string b = R"(,"b":{"dtype":"U8","shape":[2],"data_offsets":)";
  const std::string a = R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]})";
  refused(a + b + "[1,3]}}", 3, "tensor b begins at byte 1, before the end of another at byte 2");
  refused(a + b + "[0,2]}}", 2, "before the end of another");
  refused(a + b + "[3,5]}}", 5, "bytes 2 to 3 of the data belong to no tensor");
  refused(a + b + "[2,4]}}", 5, "bytes 4 to 5 of the data belong to no tensor");
  refused("{}", 1, "bytes 0 to 1 of the data belong to no tensor");
}

using SafetensorsFileTest = sartor::testing::FolderTest;

TEST_F(SafetensorsFileTest, ComesBackBitForBit) {
  std::vector<float> floats = {1, -0.0f, 3e38f, 4, 5, 6};
  std::vector<int64_t> longs = {-1, INT64_MAX};
  std::vector<uint16_t> halves = {1, 2, 3};
  const std::vector<TensorView> tensors = {
      {"b.半", Dtype::bf16, {3}, std::as_bytes(std::span(halves))},
      {"z", Dtype::f32, {2, 3}, std::as_bytes(std::span(floats))},
      {"scalar", Dtype::f32, {}, std::as_bytes(std::span(floats).first(1))},
      {"long", Dtype::i64, {2, 1}, std::as_bytes(std::span(longs))},
      {"none", Dtype::f32, {0, 4}, {}},
  };
  write_safetensors(path("a.safetensors"), tensors, {{"format", "pt"}, {"from", "测试"}});
  EXPECT_THAT(files(), ElementsAre("a.safetensors"));
  const SafetensorsFile file(path("a.safetensors"));
  EXPECT_THAT(file.metadata(), ElementsAre(Pair("format", "pt"), Pair("from", "测试")));
  ASSERT_EQ(file.tensors().size(), tensors.size());
  for (const auto& expected : tensors) {
    const auto found = std::ranges::find(file.tensors(), expected.name, &TensorView::name);
    ASSERT_NE(found, file.tensors().end());
    EXPECT_EQ(found->dtype, expected.dtype);
    EXPECT_EQ(found->shape, expected.shape);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(found->data.data()) % bytes(found->dtype), 0) << found->name;
    EXPECT_TRUE(std::ranges::equal(found->data, expected.data)) << found->name;
  }
  file.release();
  EXPECT_EQ(std::memcmp(file.tensors()[0].data.data(), longs.data(), 16), 0);
  const auto header = read("a.safetensors").substr(8, 16);
  EXPECT_EQ(header, "{\"__metadata__\":");
}

TEST_F(SafetensorsFileTest, WriterNamesWhatDoesNotFit) {
  std::vector<float> floats(3);
  const auto data = std::as_bytes(std::span(floats));
  const auto writing = [&](std::vector<TensorView> tensors) {
    return [this, tensors] { write_safetensors(path("a"), tensors); };
  };
  EXPECT_THAT(writing({{"x", Dtype::f32, {4}, data}}),
              ThrowsMessage<std::invalid_argument>(HasSubstr("tensor x: 12 bytes for F32 (4)")));
  EXPECT_THAT(writing({{"x", Dtype::f32, {3}, data}, {"x", Dtype::f32, {3}, data}}),
              ThrowsMessage<std::invalid_argument>(HasSubstr("duplicate tensor x")));
  EXPECT_THAT(writing({{"__metadata__", Dtype::f32, {3}, data}}),
              ThrowsMessage<std::invalid_argument>(HasSubstr("__metadata__")));
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(SafetensorsFileTest, HostileFilesAreRefused) {
  const auto length = [](uint64_t size) { return std::string(reinterpret_cast<const char*>(&size), 8); };
  const auto refuses = [&](const std::string& bytes, const std::string& why) {
    const auto file = write("hostile", bytes);
    EXPECT_THAT([&] { SafetensorsFile{file}; },
                ThrowsMessage<std::invalid_argument>(AllOf(StartsWith(file), HasSubstr(why))));
  };
  refuses("", "0 bytes, too short for a safetensors file");
  refuses("1234567", "7 bytes, too short for a safetensors file");
  refuses(length(1), "header of 1 bytes in a file of 8");
  refuses(length(UINT64_MAX) + "{}", "header of 18446744073709551615 bytes");
  refuses(length(100'000'001) + "{}", "expected at most 100000000");
  refuses(length(3) + "{}", "header of 3 bytes in a file of 10");
  refuses(length(0), "does not begin with {");
  refuses(length(2) + "{}x", "bytes 0 to 1 of the data belong to no tensor");
  EXPECT_THAT([&] { SafetensorsFile{path("absent")}; },
              ThrowsMessage<std::invalid_argument>(HasSubstr("absent: is not a file")));
  EXPECT_THAT([&] { SafetensorsFile{folder_}; }, ThrowsMessage<std::invalid_argument>(HasSubstr("is not a file")));
}

// A valid file with each byte replaced by several values, and each truncated file, is either read or rejected with
// std::invalid_argument.
TEST_F(SafetensorsFileTest, DamagedFilesAreRefusedOrRead) {
  std::vector<float> floats(4);
  const std::vector<TensorView> tensors = {{"ab", Dtype::f32, {2, 2}, std::as_bytes(std::span(floats))}};
  write_safetensors(path("good"), tensors);
  const std::string good = read("good");
  int read_well = 0, refused = 0;
  const auto attempt = [&](const std::string& bytes) {
    try {
      const SafetensorsFile file(write("damaged", bytes));
      for (const auto& tensor : file.tensors()) {
        EXPECT_LE(tensor.data.size(), bytes.size());
        std::accumulate(tensor.data.begin(), tensor.data.end(), 0, [](int sum, std::byte b) { return sum + int(b); });
      }
      read_well++;
    } catch (const std::invalid_argument&) {
      refused++;
    }
  };
  for (size_t size = 0; size < good.size(); size++) attempt(good.substr(0, size));
  for (size_t at = 0; at < good.size(); at++) {
    for (const char value : {'\0', '\xff', '0', '9', '"', '}', '['}) {
      auto bytes = good;
      bytes[at] = value;
      attempt(bytes);
    }
  }
  EXPECT_GT(refused, 300);
  EXPECT_GT(read_well, 50);
}

}  // namespace
}  // namespace sartor::hf
