#include "storage/id_map.h"

#include <map>

#include "datasets/interactions_support.h"

namespace sartor::datasets {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(IdMap, NumbersByFirstAppearance) {
  // Lengths around the 8 bytes stored in a slot, ids that differ in the first or last byte, zero bytes, invalid UTF-8.
  std::vector<std::string> ids = {
      "", "用户一", "\xff\xfe", std::string("\0", 1), std::string("\0\0", 2), std::string(300, 'x')};
  for (int length = 1; length <= 20; length++) {
    ids.push_back(std::string(length, 'a'));
    ids.push_back(std::string(length - 1, 'a') + 'b');
    ids.push_back('b' + std::string(length - 1, 'a'));
  }
  for (int i = 0; i < 50'000; i++) ids.push_back(std::to_string(i * 7919 % 30'011));

  IdMap map("users");
  std::map<std::string, int32_t> expected;
  for (const auto& id : ids) {
    const int32_t number = expected.try_emplace(id, int32_t(expected.size())).first->second;
    map.prefetch(id);
    ASSERT_EQ(map.insert(id), number) << id;
  }
  ASSERT_EQ(map.size(), std::ssize(expected));
  for (const auto& [id, number] : expected) {
    ASSERT_EQ(map.find(id), number);
    ASSERT_EQ(map[number], id);
  }
  EXPECT_EQ(map.find("30012"), -1);
  EXPECT_EQ(map.find(std::string(21, 'a')), -1);
}

TEST(IdMap, RefusesMoreThanItsLimit) {
  IdMap map("items", /*limit=*/2);
  EXPECT_EQ(map.find("a"), -1);
  map.insert("a");
  map.insert("b");
  EXPECT_EQ(map.insert("a"), 0);
  EXPECT_THAT([&] { map.insert("c"); }, ThrowsMessage<std::invalid_argument>(HasSubstr("more than 2 items")));
}

}  // namespace
}  // namespace sartor::datasets
