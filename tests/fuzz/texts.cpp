#include <cmath>
#include <cstdlib>
#include <vector>

#include "fuzz/targets.h"
#include "generation/text_filters.h"
#include "metrics/texts/bleu.h"
#include "metrics/texts/chrf.h"
#include "metrics/texts/diversity.h"
#include "metrics/texts/lcs.h"
#include "metrics/texts/ngrams.h"
#include "metrics/texts/python_text.h"
#include "metrics/texts/rouge.h"

namespace sartor::fuzz {
namespace {

using namespace text_metrics;

void expect(bool holds) {
  if (!holds) std::abort();
}

void expect_between(double value, double low, double high) { expect(value >= low && value <= high); }

// Tokens hold no space, and those that only divide a text hold all its other characters.
void check_tokens(Tokenizer tokenizer, std::string_view text) {
  const auto codes = decode(text);
  std::u32string joined;
  for (const auto& token : tokenize(tokenizer, codes)) {
    expect(!token.empty() && without_spaces(token) == token);
    joined += token;
  }
  if (tokenizer != Tokenizer::mteval_13a && tokenizer != Tokenizer::rouge) expect(joined == without_spaces(codes));
}

void check_subsequences(std::string_view a, std::string_view b) {
  const auto first = decode(a), second = decode(b);
  const std::vector<int32_t> ours(first.begin(), first.end()), theirs(second.begin(), second.end());
  CommonSubsequences common(theirs);
  const auto positions = common.positions(ours);
  expect(std::ssize(positions) == common.length(ours));
  expect(common.length(ours) == CommonSubsequences(ours).length(theirs));
  size_t at = 0;
  for (const auto position : positions) {
    while (at < theirs.size() && theirs[at] != ours[position]) at++;
    expect(at++ < theirs.size());
  }
}

void check_scores(Tokenizer tokenizer, uint8_t options, const std::vector<std::string_view>& texts) {
  const auto references = std::span(texts).subspan(1);
  const Bleu bleu({.tokenizer = tokenizer,
                   .lowercase = (options & 1) != 0,
                   .smoothing = static_cast<Smoothing>(options >> 1 & 3),
                   .max_order = 1 + (options >> 3 & 7)});
  const auto counts = bleu.count(texts[0], references);
  expect_between(bleu.score(counts).score, 0, 100 + 1e-9);
  expect_between(bleu.score_of_text(counts).score, 0, 100 + 1e-9);
  const auto same = bleu.score_of_text(bleu.count(texts[0], {{texts[0]}})).score;
  expect(std::abs(same - 100) < 1e-9 || tokenize(tokenizer, decode(texts[0])).empty());

  const Chrf chrf({.word_order = options >> 6,
                   .lowercase = (options & 1) != 0,
                   .whitespace = (options & 2) != 0,
                   .eps_smoothing = (options & 4) != 0});
  expect_between(chrf.score(chrf.count(texts[0], references)), 0, 100 + 1e-9);
  const Rouge rouge({.tokenizer = tokenizer, .stemmer = tokenizer == Tokenizer::rouge && (options & 1)});
  for (const auto& [precision, recall, f1] : rouge.score(texts[0], references)) {
    expect_between(precision, 0, 1);
    expect_between(recall, 0, 1);
    expect_between(f1, 0, 1);
  }
  const std::vector<std::string> owned(texts.begin(), texts.end());
  expect_between(self_bleu(owned, {.tokenizer = tokenizer}), 0, 100 + 1e-9);
  expect_between(distinct_n(owned, 1 + (options & 3), tokenizer), 0, 1);
}

void check_filters(const std::vector<std::string_view>& texts) {
  using namespace inference;
  for (const auto text : texts) expect(folded(folded(text)) == folded(text));
  FiltersConfig config = {.max_characters = 100, .duplicates = Duplicates::near};
  if (!folded(texts[0]).empty()) config.banned_words = {std::string(texts[0])};
  config.check();
  const TextFilters filters(config);
  KeptTexts kept;
  for (const auto text : texts) {
    const bool passes = filters.judge(text, 1, kept).empty();
    if (passes) expect(!filters.judge(text, 1, kept).empty());
  }
}

}  // namespace

void text_metrics(std::string_view input, bool) {
  if (input.size() < 2) return;
  const auto tokenizer = static_cast<Tokenizer>(static_cast<uint8_t>(input[0]) % 6);
  const auto options = static_cast<uint8_t>(input[1]);
  std::vector<std::string_view> texts;
  for (input.remove_prefix(2);;) {
    const size_t end = std::min(input.find('\0'), input.size());
    texts.push_back(input.substr(0, end));
    if (end == input.size()) break;
    input.remove_prefix(end + 1);
  }
  if (texts.size() < 2) texts.push_back("the cat 羽绒服。");
  if (texts.size() > 8) texts.resize(8);
  for (const auto text : texts) check_tokens(tokenizer, text);
  check_subsequences(texts[0], texts[1]);
  check_scores(tokenizer, options, texts);
  check_filters(texts);
}

}  // namespace sartor::fuzz
