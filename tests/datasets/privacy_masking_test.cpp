#include "privacy/masking.h"

#include <gmock/gmock.h>

#include "base/random.h"

namespace sartor::privacy {
namespace {

std::string masked(std::string_view text) {
  MaskCounts counts;
  return mask(text, counts);
}

// The mask alone.
void expect_masked(const std::vector<std::string>& values, Kind kind) {
  for (const auto& value : values) {
    MaskCounts counts, one;
    one[kind] = 1;
    EXPECT_EQ(mask("联系" + value + "，谢谢", counts), "联系***，谢谢") << value;
    EXPECT_EQ(counts, one) << value;
    EXPECT_EQ(masked(value), "***") << value;
    EXPECT_EQ(masked("x " + value + " y"), "x *** y") << value;
    EXPECT_EQ(masked(value + "、" + value), "***、***") << value;
  }
}

void expect_kept(const std::vector<std::string>& texts) {
  for (const auto& text : texts) EXPECT_EQ(masked(text), text);
}

TEST(Masking, MobileNumbers) {
  expect_masked({"13812345678", "19912345678", "8613812345678", "+8613812345678", "008613812345678", "+86 13812345678",
                 "+86-138-1234-5678", "138-1234-5678", "138 1234 5678", "138-12345678", "1381234-5678",
                 "86 138 1234 5678", "１３８１２３４５６７８"},
                Kind::mobile);
  expect_kept({"12812345678", "1381234567", "138123456789", "113812345678", "23812345678", "13 812345678",
               "1381-2345678", "8 613812345678", "01013812345678", "1381234５6789"});
  EXPECT_EQ(masked("tel13812345678x"), "tel***x");
  EXPECT_EQ(masked("买3 13812345678"), "买3 ***");
}

TEST(Masking, IdentityNumbersWithTheirCheckDigit) {
  expect_masked({"11010519491231002X", "11010519491231002x", "110105-19491231-002X", "110105 19491231 002X",
                 "440524188001010014", "１１０１０５１９４９１２３１００２Ｘ"},
                Kind::id);
  expect_kept(
      {"110105194912310021", "11010519491231003X", "1101051949123100X", "11010519491231002", "1110105194912310021"});
  EXPECT_EQ(masked("11010519491231002XL"), "***L");
}

TEST(Masking, OneOfElevenNumbersHasAValidCheckDigit) {
  int found = 0;
  for (int last = 0; last < 11; last++) {
    MaskCounts counts;
    mask("11010519491231002" + (last < 10 ? std::to_string(last) : "X"), counts);
    found += static_cast<int>(counts[Kind::id]);
  }
  EXPECT_EQ(found, 1);
}

TEST(Masking, CardNumbersThatPassLuhnsTest) {
  expect_masked(
      {"4111111111111111", "5555555555554444", "378282246310005", "6222021234567890128", "4111 1111 1111 1111",
       "4111-1111-1111-1111", "6222 0212 3456 7890 128", "４１１１１１１１１１１１１１１１"},
      Kind::card);
  expect_kept({"4111111111111112", "411111111111111", "0000000000000000", "41111111111111111111", "411 1111111111111",
               "1 2 3 4 5 6 7 8 9 10 11 12 13", "2024-01-01 12:30"});
}

TEST(Masking, EmailAddresses) {
  expect_masked({"a@b.cn", "zhang.san+ads@mail.example.com", "ZHANG_SAN@EXAMPLE.COM", "13812345678@qq.com",
                 "a-b%c@1and1.co.uk", "ａ＠ｂ．ｃｏｍ"},
                Kind::email);
  expect_kept({"a@b", "@b.com", "a@.com", "a@b.c", "3 @ 4.00 each", "a@", "@", "价格@50"});
  EXPECT_EQ(masked("a@b.com.13812345678"), "***.***");
  EXPECT_EQ(masked("a@b.com13812345678"), "******");
  EXPECT_EQ(masked("张三a@b.com。"), "张三***。");
}

TEST(Masking, CountsByKind) {
  MaskCounts counts;
  EXPECT_EQ(mask("手机13812345678邮箱a@b.com证11010519491231002X卡4111111111111111和13912345678", counts),
            "手机***邮箱***证***卡***和***");
  EXPECT_EQ(counts.counts, (std::array<int64_t, 4>{2, 1, 1, 1}));
  MaskCounts twice = counts;
  twice += counts;
  EXPECT_EQ(twice.total(), 10);
}

TEST(Masking, BrokenUtf8IsCopied) {
  EXPECT_EQ(masked("\xff"
                   "13812345678\xe4\xbd"),
            "\xff***\xe4\xbd");
  EXPECT_EQ(masked("\xe4"
                   "a@b.com"),
            "\xe4***");
  EXPECT_EQ(masked(""), "");
}

TEST(Masking, LeavesNothingToMask) {
  const std::vector<std::string> pieces = {
      "13812345678",      "1",      "3",        "8",    "-",  " ",    "@",  ".", "a", "b.com", "X", "+86",
      "4111111111111111", "110105", "19491231", "002X", "中", "\xff", "１", "＠"};
  for (uint64_t round = 0; round < 20'000; round++) {
    std::string text;
    for (uint64_t i = 1; i <= random_bits(round, 0) % 12; i++) text += pieces[random_bits(round, i) % pieces.size()];
    MaskCounts first, second;
    const auto once = mask(text, first);
    EXPECT_EQ(mask(once, second), once) << text;
    EXPECT_EQ(second.total(), 0) << text;
    EXPECT_EQ(first.total() == 0, once == text) << text;
  }
}

TEST(Masking, TakesTimeInProportionToTheText) {
  for (const auto* piece : {"a@", "1 ", "1-", "a.", "86 ", "a@b.", "138 1234 567"}) {
    std::string text;
    while (text.size() < 1'000'000) text += piece;
    expect_kept({text});
  }
}

}  // namespace
}  // namespace sartor::privacy
