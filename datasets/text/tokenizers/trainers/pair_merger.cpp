#include "text/tokenizers/trainers/pair_merger.h"

#include <algorithm>
#include <set>

namespace sartor::text {
namespace {

// A pair is merged twice if one of its tokens can be made in two ways. Its rank is that of the last time.
std::vector<PairMerger::Pair> by_rank(const std::vector<PairMerger::Pair>& merges) {
  std::set<PairMerger::Pair> seen;
  std::vector<PairMerger::Pair> ranked;
  for (auto at = merges.rbegin(); at != merges.rend(); ++at) {
    if (seen.insert(*at).second) ranked.push_back(*at);
  }
  std::ranges::reverse(ranked);
  return ranked;
}

}  // namespace

void count_word(WordCounts& words, std::string_view word) {
  const auto found = words.find(word);
  if (found != words.end()) {
    found->second++;
  } else {
    words.emplace(word, 1);
  }
}

std::vector<std::pair<std::string_view, int64_t>> sorted(const WordCounts& words) {
  std::vector<std::pair<std::string_view, int64_t>> sorted(words.begin(), words.end());
  std::ranges::sort(sorted, [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  return sorted;
}

int32_t GrowingVocabulary::add(const std::string& token) {
  const auto [at, is_new] = ids_.try_emplace(token, static_cast<int32_t>(tokens_.size()));
  if (is_new) tokens_.push_back(token);
  return at->second;
}

size_t PairMerger::PairHash::operator()(const Pair& pair) const {
  const auto key = static_cast<uint64_t>(static_cast<uint32_t>(pair.first)) << 32 | static_cast<uint32_t>(pair.second);
  return key * 0x9E3779B97F4A7C15 >> 16;
}

void PairMerger::add(std::span<const int32_t> tokens, int64_t count) {
  const auto word = static_cast<int32_t>(words_.size());
  words_.push_back({tokens_.size(), tokens.size(), count});
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  for (size_t i = 1; i < tokens.size(); i++) increase({tokens[i - 1], tokens[i]}, word);
}

std::vector<PairMerger::Pair> PairMerger::run(const MergeOptions& options) {
  std::vector<Pair> merges;
  lengths_.assign(vocabulary_.size(), 1);
  push_appeared();
  while (vocabulary_.size() < options.vocabulary_size && !queue_.empty()) {
    Candidate top = pop();
    const int64_t count = states_[top.pair].count;
    if (top.count != count) {  // outdated: the pair has become rarer or more frequent
      top.count = count;
      if (count > 0) push(std::move(top));
      continue;
    }
    if (count < options.min_frequency) break;
    std::string_view second = vocabulary_[top.pair.second];
    if (second.starts_with(options.prefix)) second.remove_prefix(options.prefix.size());
    const int32_t merged = vocabulary_.add(vocabulary_[top.pair.first] + std::string(second));
    lengths_.resize(vocabulary_.size());
    lengths_[merged] = lengths_[top.pair.first] + lengths_[top.pair.second];
    for (const int32_t word : top.words) merge(top.pair, merged, word, options.max_length);
    push_appeared();
    merges.push_back(top.pair);
  }
  return by_rank(merges);
}

void PairMerger::increase(const Pair& pair, int32_t word) {
  auto& state = *states_.try_emplace(pair).first;
  state.second.count += words_[word].count;
  auto& where = state.second.appeared;
  if (where.empty()) appeared_.push_back(&state);
  if (where.empty() || where.back() != word) where.push_back(word);
}

void PairMerger::merge(const Pair& pair, int32_t merged, int32_t word, int64_t max_length) {
  const std::span<int32_t> tokens(tokens_.data() + words_[word].begin, words_[word].size);
  const auto fits = [&](int32_t neighbor) { return lengths_[neighbor] + lengths_[merged] < max_length; };
  size_t kept = 0;
  for (size_t i = 0; i < tokens.size(); i++) {
    if (i + 1 == tokens.size() || tokens[i] != pair.first || tokens[i + 1] != pair.second) {
      tokens[kept++] = tokens[i];
      continue;
    }
    if (kept > 0) {
      decrease({tokens[kept - 1], pair.first}, word);
      if (fits(tokens[kept - 1])) increase({tokens[kept - 1], merged}, word);
    }
    if (i + 2 < tokens.size()) {
      decrease({pair.second, tokens[i + 2]}, word);
      if (fits(tokens[i + 2])) increase({merged, tokens[i + 2]}, word);
    }
    tokens[kept++] = merged;
    i++;
  }
  words_[word].size = kept;
}

void PairMerger::push(Candidate candidate) {
  queue_.push_back(std::move(candidate));
  std::push_heap(queue_.begin(), queue_.end());
}

PairMerger::Candidate PairMerger::pop() {
  std::pop_heap(queue_.begin(), queue_.end());
  Candidate top = std::move(queue_.back());
  queue_.pop_back();
  return top;
}

void PairMerger::push_appeared() {
  for (auto* each : appeared_) {
    auto& [pair, state] = *each;
    if (state.count > 0) push({state.count, pair, std::move(state.appeared)});
    state.appeared.clear();
  }
  appeared_.clear();
}

}  // namespace sartor::text
