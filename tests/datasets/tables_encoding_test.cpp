// Encodings: given, detected, and rejected.
#include "encodings/encoding.h"

#include <array>

#include "datasets/tables_support.h"

namespace sartor::datasets {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::ThrowsMessage;
using enum TextEncoding;

// Converts `text` from UTF-8 to another encoding.
std::string encoded(const char* encoding, std::string text) {
  const iconv_t converter = iconv_open(encoding, "UTF-8");
  std::string out(4 * text.size() + 4, '\0');
  char *from = text.data(), *to = out.data();
  size_t left = text.size(), room = out.size();
  EXPECT_EQ(iconv(converter, &from, &left, &to, &room), 0) << encoding << ": " << text;
  iconv_close(converter);
  out.resize(out.size() - room);
  return out;
}

TextEncoding recognised(std::string_view beginning, bool whole = true) {
  return recognised_encoding("a.csv", beginning, whole, {});
}

const std::string chinese = "用户,商品,评分\n张三,霸王别姬,5\n李四,这部电影很好看，我很喜欢。,4.5\n";

TEST(Decoder, GivesTheSameInPiecesOfAnySize) {
  const std::string text = "用户,é,😀,\"a\"\n𠀀镕€\n";
  for (const auto& [encoding, name] : {std::pair(gb18030, "GB18030"), {utf16, "UTF-16"}, {utf16, "UTF-16BE"}}) {
    std::string bytes = encoded(name, text);
    if (name == std::string("UTF-16BE")) bytes = "\xfe\xff" + bytes;
    for (size_t size = 1; size <= bytes.size(); size++) {
      Decoder decoder(encoding);
      std::string decoded;
      for (size_t at = 0; at < bytes.size(); at += size) decoder.append(bytes.substr(at, size), false, decoded);
      decoder.append("", true, decoded);
      EXPECT_EQ(decoded, text) << name << " in pieces of " << size;
    }
  }
}

TEST(Decoder, BrokenCharactersBecomeBytesThatAreNone) {
  const auto decoded = [](TextEncoding encoding, std::string_view bytes) {
    std::string text;
    Decoder(encoding).append(bytes, true, text);
    return text;
  };
  EXPECT_EQ(decoded(gb18030, "a\xff\nb\xc4\n\xc4\xe3\xc4"), "a\xff\nb\xff\n你\xff");
  EXPECT_EQ(decoded(utf16, std::string_view("\xff\xfe"
                                            "a\0\x00\xd8"
                                            "b\0\x60",
                                            9)),
            "a\xff"
            "b\xff");
  EXPECT_EQ(decoded(windows_1252, "\x80\x81\xe9"), "€\xff\u00e9");
  EXPECT_EQ(decoded(latin1, "\x80\xe9"), "\u0080\u00e9");
}

TEST(RecognisedEncoding, TakesWhatOnlyOneFits) {
  EXPECT_EQ(recognised(""), utf8);
  EXPECT_EQ(recognised("user,item\n1,2\n"), utf8);
  EXPECT_EQ(recognised(chinese), utf8);
  EXPECT_EQ(recognised(chinese.substr(0, 50), /*whole=*/false), utf8);  // ends inside a character
  EXPECT_EQ(recognised(chinese + "一\xff行\n"), utf8);                  // one invalid byte
  EXPECT_EQ(recognised(encoded("UTF-16", chinese)), utf16);
  EXPECT_EQ(recognised("\xfe\xff" + encoded("UTF-16BE", chinese)), utf16);
  EXPECT_EQ(recognised(encoded("GB18030", chinese)), gb18030);
  EXPECT_EQ(recognised(encoded("GB18030", "id,text\n1,你好\n")), gb18030);
  EXPECT_EQ(recognised(encoded("GB18030", chinese + "朱镕基,𠀀,€,😀\n")), gb18030);
  EXPECT_EQ(recognised(encoded("GB18030", chinese).substr(0, 61), /*whole=*/false), gb18030);
  EXPECT_EQ(recognised(encoded("WINDOWS-1252", "id,text\n1,Le café était fermé, dommage…\n2,“Où ?”\n")), windows_1252);
  EXPECT_EQ(recognised(encoded("WINDOWS-1252", "name\nMüller\nGrößer\nÄpfel für 5 €\n")), windows_1252);
}

TEST(RecognisedEncoding, StopsWhereSeveralFit) {
  const auto refused = [](std::string_view bytes, const char* message) {
    EXPECT_THAT([&] { recognised(bytes); },
                ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("a.csv: cannot detect the encoding"),
                                                           HasSubstr(message), HasSubstr("; set encoding"))))
        << bytes;
  };
  refused("id,t\n1,\xe9t\n", "gb18030 and windows-1252 are possible");
  refused("id,t\n1,Am\xe9lie\n", "gb18030 and windows-1252 are possible");
  refused(encoded("EUC-KR", "사용자,상품\n김철수,이 상품은 정말 좋아요 배송이 빨라요\n"),
          "gb18030 is possible, among others");
  refused(encoded("BIG5", "用戶,商品\n這個產品很好,我不喜歡這家飯店\n"), "gb18030 is possible, among others");
  refused(encoded("CP1251", "Пользователь,Товар\nИван,Очень хорошо, спасибо\nМария,Не понравилось.\n"),
          "neither gb18030 nor windows-1252 fits");
  EXPECT_EQ(recognised_encoding("movies.dat", "1::Mis\xe9rables", true, latin1), latin1);
}

class EncodedTables : public FolderTest {
 protected:
  Rows read_as(std::string_view name, std::string_view bytes, std::optional<TextEncoding> encoding) {
    return read_rows({.path = write(name, bytes), .encoding = encoding}, rejects_);
  }
  Rejects rejects_;
};

TEST_F(EncodedTables, AreReadInEveryForm) {
  const Rows expected = {{"2", "张三", "霸王别姬", "5"}, {"3", "李四", "这部电影很好看，我很喜欢。", "4.5"}};
  const auto tabs = [](std::string text) {
    std::ranges::replace(text, ',', '\t');
    return text;
  };
  const std::string json = "{\"用户\": \"张三\", \"商品\": \"乗|\\\"霸王\", \"评分\": 5}\n";
  for (const auto& [encoding, name] : {std::pair(gb18030, "GB18030"), {gb18030, "GBK"}, {utf16, "UTF-16"}}) {
    for (const auto given : {encoding, automatic}) {
      EXPECT_EQ(read_as("a.csv", encoded(name, chinese), given), expected) << name;
      EXPECT_EQ(read_as("a.tsv", encoded(name, tabs(chinese)), given), expected) << name;
      EXPECT_EQ(read_as("a.csv.gz", compressed(encoded(name, chinese)), given), expected) << name;
    }
    EXPECT_EQ(read_as("a.jsonl", encoded(name, json), encoding), (Rows{{"1", "张三", "乗|\"霸王", "5"}})) << name;
  }
  EXPECT_EQ(read_as("a.csv", "id,pr\xe9nom\n1,Zo\xeb \x80\n", windows_1252), (Rows{{"2", "1", "Zoë €"}}));
  EXPECT_EQ(rejects_.total(), 0);
}

// In GB18030 the second byte of a character may equal a separator, and blocks may end inside a character.
TEST_F(EncodedTables, OfManyBlocksLoseNothing) {
  std::string text = "id|text\n";
  for (int row = 0; row < 60'000; row++)
    text += fmt::format("{}|{}乗😀{}\n", row, "很好" + std::string(row % 7, 'x'), row);
  for (const auto& [encoding, name] : {std::pair(gb18030, "GB18030"), {utf16, "UTF-16"}}) {
    const auto rows = read_rows({.path = write("a.txt", encoded(name, text)),
                                 .format = TableFormat::pipe,
                                 .header = true,
                                 .encoding = encoding},
                                rejects_);
    ASSERT_EQ(rows.size(), 60'000);
    for (int row = 0; row < 60'000; row++) {
      ASSERT_EQ(rows[row][2], fmt::format("很好{}乗😀{}", std::string(row % 7, 'x'), row)) << name;
    }
  }
  EXPECT_EQ(rejects_.total(), 0);
}

TEST_F(EncodedTables, RowsThatAreNotInItAreRejected) {
  EXPECT_EQ(read_as("a.csv", "id,text\n1,\xc4\xe3\n2,\xc4\n\xff,x\n4,\xba\xc3\n", gb18030),
            (Rows{{"2", "1", "你"}, {"5", "4", "好"}}));
  EXPECT_THAT(rejects_.counts(), ElementsAre(Pair("id is not gb18030", 1), Pair("text is not gb18030", 1)));
}

TEST_F(EncodedTables, HeadersThatAreNotInItAreShownInAscii) {
  const auto refused = [&](std::string_view bytes, std::optional<TextEncoding> encoding, const char* message) {
    EXPECT_THAT([&] { read_as("a.csv", bytes, encoding); },
                ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr(message), Not(HasSubstr("\xb5")))));
  };
  refused("id,\xb5\xe7\xd3\xb0\n1,x\n", {},
          "a.csv: the header is not utf-8: id,\\xb5\\xe7Ӱ; set encoding, or use auto");
  refused("id,\xb5\xff\n1,x\n", gb18030, "a.csv: the header is not gb18030: id,\\xff\\xff;");
  refused("\xff\xfei\0", gb18030, "a.csv: found UTF-16, expected gb18030; set encoding to utf-16 or auto");
}

TEST_F(EncodedTables, AutoSaysWhatItTookOnce) {
  write("p0.csv", encoded("GB18030", chinese));
  write("p1.csv", encoded("GB18030", chinese));
  write("p2.csv", chinese);
  ::testing::internal::CaptureStderr();
  read_rows({.path = path("p*.csv"), .encoding = automatic}, rejects_);
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, AllOf(HasSubstr(path("p0.csv") + " is read as gb18030\n"),
                          HasSubstr(path("p2.csv") + " is read as utf-8\n"), Not(HasSubstr("p1.csv"))));
  ::testing::internal::CaptureStderr();
  read_rows({.path = path("p2.csv")}, rejects_);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace sartor::datasets
