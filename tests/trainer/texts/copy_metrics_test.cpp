// Text metrics against sacrebleu, rouge-score and NLTK: tests/golden/text/copy_metrics.json.gz, which
// scripts/golden/copy_metrics.py writes.
#include <arrow/buffer.h>
#include <arrow/io/compressed.h>
#include <arrow/io/file.h>
#include <arrow/util/compression.h>
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/utf8.h"
#include "datasets/text_support.h"
#include "metrics/texts/bleu.h"
#include "metrics/texts/chrf.h"
#include "metrics/texts/diversity.h"
#include "metrics/texts/porter.h"
#include "metrics/texts/python_text.h"
#include "metrics/texts/rouge.h"
#include "storage/sha256.h"

namespace sartor::text_metrics {
namespace {

using Json = nlohmann::json;

Json read_golden() {
  const auto file = arrow::io::ReadableFile::Open(text::golden / "copy_metrics.json.gz").ValueOrDie();
  const auto codec = arrow::util::Codec::Create(arrow::Compression::GZIP).ValueOrDie();
  const auto stream = arrow::io::CompressedInputStream::Make(codec.get(), file).ValueOrDie();
  return Json::parse(stream->Read(4 << 20).ValueOrDie()->ToString());
}

const Json& golden() {
  static const Json read = read_golden();
  return read;
}

struct Pair {
  std::string hypothesis;
  std::vector<std::string> references;
  std::vector<std::string_view> views() const { return {references.begin(), references.end()}; }
};

std::string text_of(const Json& stored) {
  if (stored.is_string()) return stored.get<std::string>();
  const auto hex = stored.at("hex").get<std::string>();
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

std::vector<Pair> read_pairs() {
  std::vector<Pair> pairs;
  for (const auto& each : golden().at("pairs")) {
    auto& pair = pairs.emplace_back();
    pair.hypothesis = text_of(each[0]);
    for (const auto& reference : each[1]) pair.references.push_back(text_of(reference));
  }
  return pairs;
}

const std::vector<Pair>& pairs() {
  static const auto read = read_pairs();
  return read;
}

BleuConfig bleu_config(const Json& json) {
  BleuConfig config = {.tokenizer = value_of<Tokenizer>(json.at("tokenize").get<std::string>()),
                       .lowercase = json.value("lowercase", false),
                       .smoothing = value_of<Smoothing>(json.value("smooth_method", "exp")),
                       .max_order = json.value("max_ngram_order", 4)};
  if (json.contains("smooth_value")) config.smoothing_value = json.at("smooth_value");
  return config;
}

ChrfConfig chrf_config(const Json& json) {
  return {.char_order = json.value("char_order", 6),
          .word_order = json.value("word_order", 0),
          .beta = json.value("beta", 2),
          .lowercase = json.value("lowercase", false),
          .whitespace = json.value("whitespace", false),
          .eps_smoothing = json.value("eps_smoothing", false)};
}

// The reference's figures are stored with 13 digits.
void expect_equal(double found, const Json& expected, const std::string& what) {
  EXPECT_NEAR(found, expected.get<double>(), 1e-10) << what;
}

std::string nth(size_t i) { return "pair " + std::to_string(i) + ": " + pairs()[i].hypothesis; }

TEST(CopyMetrics, ThousandPairsIncludeChineseBrokenAndEmptyTexts) {
  int64_t chinese = 0, broken = 0, empty = 0, several = 0;
  for (const auto& [hypothesis, references] : pairs()) {
    chinese += std::ranges::any_of(decode(hypothesis), [](char32_t code) { return code >= 0x4E00 && code < 0xA000; });
    broken += valid_utf8(hypothesis) != hypothesis.size();
    empty += hypothesis.empty();
    several += references.size() > 1;
  }
  EXPECT_EQ(pairs().size(), 1000);
  EXPECT_GT(chinese, 400);
  EXPECT_GT(broken, 50);
  EXPECT_GT(empty, 5);
  EXPECT_GT(several, 100);
}

TEST(CopyMetrics, BleuEqualsSacrebleu) {
  for (const auto& expected : golden().at("bleu")) {
    SCOPED_TRACE(expected.at("config").dump());
    auto config = bleu_config(expected.at("config"));
    const Bleu bleu(config);
    BleuCounts corpus;
    for (size_t i = 0; i < pairs().size(); i++) {
      const auto counts = bleu.count(pairs()[i].hypothesis, pairs()[i].views());
      expect_equal(bleu.score_of_text(counts).score, expected.at("texts")[i], nth(i));
      corpus.add(counts);
    }
    const auto [score, precisions, penalty] = bleu.score(corpus);
    expect_equal(score, expected.at("corpus"), "corpus");
    expect_equal(penalty, expected.at("brevity_penalty"), "brevity penalty");
    ASSERT_EQ(precisions.size(), expected.at("precisions").size());
    for (size_t n = 0; n < precisions.size(); n++)
      expect_equal(precisions[n], expected.at("precisions")[n], "precision");
    EXPECT_EQ(Json({corpus.hypothesis_length, corpus.reference_length}), expected.at("lengths"));
    EXPECT_EQ(bleu.signature({}), expected.at("signature"));
    config.effective_order = true;
    EXPECT_EQ(Bleu(config).signature(expected.at("signature_of_texts").get<std::string>()[6] - '0'),
              expected.at("signature_of_texts"));
  }
}

TEST(CopyMetrics, ChrfEqualsSacrebleu) {
  for (const auto& expected : golden().at("chrf")) {
    SCOPED_TRACE(expected.at("config").dump());
    const Chrf chrf(chrf_config(expected.at("config")));
    ChrfCounts corpus;
    for (size_t i = 0; i < pairs().size(); i++) {
      const auto counts = chrf.count(pairs()[i].hypothesis, pairs()[i].views());
      expect_equal(chrf.score(counts), expected.at("texts")[i], nth(i));
      corpus.add(counts);
    }
    expect_equal(chrf.score(corpus), expected.at("corpus"), "corpus");
    EXPECT_EQ(chrf.name(), expected.at("name"));
    EXPECT_EQ(chrf.signature({}), expected.at("signature"));
  }
}

TEST(CopyMetrics, RougeEqualsRougeScore) {
  for (const auto& expected : golden().at("rouge")) {
    SCOPED_TRACE(expected.at("config").dump());
    const RougeConfig config = {
        .tokenizer = value_of<Tokenizer>(expected.at("config").at("tokenizer").get<std::string>()),
        .stemmer = expected.at("config").at("stemmer")};
    const Rouge rouge(config);
    std::vector<RougeScore> sums(config.types.size());
    for (size_t i = 0; i < pairs().size(); i++) {
      const auto scores = rouge.score(pairs()[i].hypothesis, pairs()[i].views());
      for (size_t t = 0; t < scores.size(); t++) {
        const std::string name(name_of(config.types[t]));
        expect_equal(scores[t].f1, expected.at("f1").at(name)[i], name + ", " + nth(i));
        sums[t].precision += scores[t].precision;
        sums[t].recall += scores[t].recall;
        sums[t].f1 += scores[t].f1;
      }
    }
    const auto rows = static_cast<double>(pairs().size());
    for (size_t t = 0; t < sums.size(); t++) {
      const std::string name(name_of(config.types[t]));
      const auto& mean = expected.at("mean").at(name);
      expect_equal(sums[t].precision / rows, mean[0], name);
      expect_equal(sums[t].recall / rows, mean[1], name);
      expect_equal(sums[t].f1 / rows, mean[2], name);
    }
  }
}

TEST(CopyMetrics, SelfBleuEqualsSacrebleuOverAllOthers) {
  for (const auto& [config, size, expected] :
       golden().at("self_bleu").get<std::vector<std::tuple<Json, int, double>>>()) {
    std::vector<std::string> texts;
    for (int i = 0; i < size; i++) texts.push_back(pairs()[i].hypothesis);
    EXPECT_NEAR(self_bleu(texts, bleu_config(config)), expected, 1e-10) << config << " " << size;
  }
}

class Digest {
 public:
  void add(const Tokens& tokens) {
    std::string line;
    for (const auto& token : tokens) line += (line.empty() && &token == &tokens[0] ? "" : "\n") + encode(token);
    lines_ += line + '\0';
  }
  std::string hex() { return datasets::sha256(lines_); }

 private:
  std::string lines_;
};

TEST(CopyMetrics, TokensOfAllCodePointsEqualTheReferences) {
  auto texts = text::random_texts(5000);
  for (const auto& more : {text::split_texts(), text::sweep_texts()})
    texts.insert(texts.end(), more.begin(), more.end());
  for (const auto& [name, tokenizer] : choices(Tokenizer())) {
    Digest digest;
    for (const auto& each : texts) digest.add(tokenize(tokenizer, decode(each)));
    EXPECT_EQ(digest.hex(), golden().at("digests").at(name)) << name;
  }
}

TEST(CopyMetrics, LowercaseEqualsPython) {
  const auto newer = golden().at("lowercase").at("newer").get<std::set<char32_t>>();
  Digest digest;
  for (char32_t c = 0; c < 0x110000; c++) {
    if ((c >= 0xD800 && c < 0xE000) || newer.contains(c)) continue;
    std::u32string text;
    for (const auto* before : {U"", U" aΣ", U" aΣ", U"b ", U"Σ A", U"Σ A", U"Σ"}) (text += before) += c;
    digest.add({lowercase(text + U".")});
  }
  EXPECT_EQ(digest.hex(), golden().at("lowercase").at("digest"));
}

// As random_words() of the script.
std::string random_word(text::Random& random) {
  constexpr std::string_view letters = "aeiouyaeioyybcdfgklmnprstwxz19";
  static const auto suffixes = [] {
    std::vector<std::string> found;
    std::istringstream text(
        "sses ies ss s ied eed ed ing at bl iz y ational tional enci anci izer bli abli alli entli eli ousli "
        "ization ation ator alism iveness fulness ousness aliti iviti biliti fulli logi icate ative alize "
        "iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion ou ism ate iti ous ive ize e ll");
    for (std::string suffix; text >> suffix;) found.push_back(suffix);
    return found;
  }();
  std::string word;
  for (auto left = 1 + random.below(6); left > 0; left--) word += letters[random.below(letters.size())];
  for (auto left = random.below(4); left > 0; left--) word += suffixes[random.below(suffixes.size())];
  return word;
}

TEST(CopyMetrics, StemsEqualThoseOfNltk) {
  text::Random random(3);
  Digest digest;
  for (int i = 0; i < 100'000; i++) digest.add({decode(porter_stem(random_word(random)))});
  EXPECT_EQ(digest.hex(), golden().at("digests").at("porter"));
}

}  // namespace
}  // namespace sartor::text_metrics
