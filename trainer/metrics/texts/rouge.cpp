#include "metrics/texts/rouge.h"

#include <algorithm>

#include "metrics/texts/lcs.h"
#include "metrics/texts/ngrams.h"
#include "metrics/texts/porter.h"
#include "metrics/texts/python_text.h"

namespace sartor::text_metrics {

namespace {

using Lines = std::vector<std::vector<int32_t>>;

struct Text {
  std::vector<int32_t> tokens;
  Lines lines;  // only for rougeLsum
};

Tokens tokens_of(const RougeConfig& config, std::u32string_view text) {
  auto tokens = tokenize(config.tokenizer, config.tokenizer == Tokenizer::rouge ? text : lowercase(text));
  if (!config.stemmer) return tokens;
  for (auto& token : tokens) {
    if (token.size() <= 3) continue;
    const auto stem = porter_stem(encode(token));
    token.assign(stem.begin(), stem.end());
  }
  return tokens;
}

Text read(const RougeConfig& config, std::string_view text, TokenNumbers& numbers) {
  const auto codes = decode(text);
  Text found = {numbers(tokens_of(config, codes)), {}};
  if (std::ranges::find(config.types, RougeType::rougeLsum) != config.types.end()) {
    for (const auto& line : lines(codes)) found.lines.push_back(numbers(tokens_of(config, line)));
  }
  return found;
}

RougeScore score_of(int64_t matches, int64_t hypothesis, int64_t reference) {
  if (matches == 0) return {};
  const double precision = static_cast<double>(matches) / static_cast<double>(hypothesis);
  const double recall = static_cast<double>(matches) / static_cast<double>(reference);
  return {precision, recall, 2 * precision * recall / (precision + recall)};
}

RougeScore score_ngrams(const std::vector<int32_t>& hypothesis, const std::vector<int32_t>& reference, int n) {
  Ngrams ngrams({hypothesis, reference});
  for (int i = 1; i < n; i++) ngrams.lengthen();
  const auto counts = overlap(ngrams, 0, 1);
  return score_of(counts.matches, counts.hypothesis, counts.reference);
}

RougeScore score_subsequence(const std::vector<int32_t>& hypothesis, const std::vector<int32_t>& reference) {
  return score_of(CommonSubsequences(hypothesis).length(reference), std::ssize(hypothesis), std::ssize(reference));
}

int64_t count_tokens(const Lines& lines) {
  int64_t tokens = 0;
  for (const auto& line : lines) tokens += std::ssize(line);
  return tokens;
}

// Occurrences of each token in all lines. `numbers`: see TokenNumbers.
std::vector<int64_t> occurrences(const Lines& lines, int64_t numbers) {
  std::vector<int64_t> counts(numbers);
  for (const auto& line : lines) {
    for (const int32_t token : line) counts[token]++;
  }
  return counts;
}

// For each line of the reference the positions that belong to its subsequence with any line of the hypothesis.
std::vector<std::vector<bool>> unions_of_subsequences(const Lines& hypothesis, const Lines& reference) {
  std::vector<std::vector<bool>> found;
  for (const auto& line : reference) found.emplace_back(line.size());
  for (const auto& line : hypothesis) {
    CommonSubsequences common(line);
    for (size_t r = 0; r < reference.size(); r++) {
      for (const int64_t position : common.positions(reference[r])) found[r][position] = true;
    }
  }
  return found;
}

// Unions of subsequences, in which each token counts at most as often as it occurs in either text.
RougeScore score_summary(const Lines& hypothesis, const Lines& reference, int64_t numbers) {
  const auto found = unions_of_subsequences(hypothesis, reference);
  auto ours = occurrences(hypothesis, numbers), theirs = occurrences(reference, numbers);
  int64_t matches = 0;
  for (size_t r = 0; r < reference.size(); r++) {
    for (size_t i = 0; i < reference[r].size(); i++) {
      const int32_t token = reference[r][i];
      if (!found[r][i] || ours[token] == 0 || theirs[token] == 0) continue;
      ours[token]--;
      theirs[token]--;
      matches++;
    }
  }
  return score_of(matches, count_tokens(hypothesis), count_tokens(reference));
}

}  // namespace

void RougeConfig::check() const {
  require(!types.empty(), "types is empty, expected rouge1, rouge2, rougeL or rougeLsum");
  require(!stemmer || tokenizer == Tokenizer::rouge, "stemmer requires tokenizer: rouge, tokenizer is {}",
          name_of(tokenizer));
}

std::vector<RougeScore> Rouge::score(std::string_view hypothesis, std::span<const std::string_view> references) const {
  TokenNumbers numbers;
  const Text ours = read(config_, hypothesis, numbers);
  std::vector<RougeScore> best(config_.types.size(), {.f1 = -1});
  for (const auto& reference : references) {
    const Text theirs = read(config_, reference, numbers);
    for (size_t t = 0; t < best.size(); t++) {
      const auto type = config_.types[t];
      const auto score = type == RougeType::rouge1   ? score_ngrams(ours.tokens, theirs.tokens, 1)
                         : type == RougeType::rouge2 ? score_ngrams(ours.tokens, theirs.tokens, 2)
                         : type == RougeType::rougeL ? score_subsequence(ours.tokens, theirs.tokens)
                                                     : score_summary(ours.lines, theirs.lines, numbers.size());
      if (score.f1 > best[t].f1) best[t] = score;
    }
  }
  return best;
}

std::string Rouge::signature() const {
  return fmt::format("tok:{}|stemmer:{}|version:{}", name_of(config_.tokenizer), config_.stemmer ? "yes" : "no",
                     rouge_score_version);
}

}  // namespace sartor::text_metrics
