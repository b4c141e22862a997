#include "tasks/texts/token_masking.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "base/require.h"

namespace sartor {

TokenMasking::TokenMasking(const text::TokenizerSpec& tokenizer, double probability, double mean_span)
    : probability_(probability), mean_span_(mean_span) {
  const auto note = [&](int32_t id) {
    if (static_cast<size_t>(id) >= is_special_.size()) is_special_.resize(id + 1);
  };
  for (const auto& token : tokenizer.vocabulary) note(token.id);
  if (const auto unknown = unknown_id(tokenizer)) is_special_[*unknown] = true;
  for (const auto& token : tokenizer.added_tokens) {
    note(token.id);
    if (!token.special) continue;
    is_special_[token.id] = true;
    if (token.content == "[MASK]" || token.content == "<mask>") mask_ = token.id;
  }
  require(mask_ >= 0, "the tokenizer has no special token [MASK] or <mask>, which masked language modeling requires");
  for (const auto& token : tokenizer.vocabulary) {
    if (!is_special_[token.id]) ordinary_.push_back(token.id);
  }
  require(!ordinary_.empty(), "the tokenizer has only special tokens");
  std::ranges::sort(ordinary_);
}

int64_t TokenMasking::predicted_of(int64_t candidates) const {
  return std::min(candidates, std::max<int64_t>(1, std::llround(probability_ * static_cast<double>(candidates))));
}

std::vector<int64_t> TokenMasking::candidates(std::span<const int32_t> ids) const {
  std::vector<int64_t> places;
  for (int64_t i = 0; i < std::ssize(ids); i++) {
    require(0 <= ids[i] && ids[i] < std::ssize(is_special_), "token id {} is out of range, the tokenizer has {} tokens",
            ids[i], is_special_.size());
    if (!is_special_[ids[i]]) places.push_back(i);
  }
  return places;
}

int64_t TokenMasking::predicted(std::span<const int32_t> ids) const {
  return predicted_of(std::ssize(candidates(ids)));
}

std::vector<int64_t> TokenMasking::mask(std::span<int32_t> ids, uint64_t seed) const {
  auto starts = candidates(ids);
  uint64_t drawn = 0;
  const auto below = [&](size_t bound) { return random_bits(seed, drawn++) % bound; };
  const auto goes_on = [&] { return mean_span_ > 1 && static_cast<double>(below(1 << 20)) * mean_span_ >= 1 << 20; };
  const auto count = predicted_of(std::ssize(starts));
  std::vector<bool> is_free(ids.size() + 1);
  for (const auto place : starts) is_free[place] = true;
  std::vector<int64_t> places;
  for (int64_t i = 0; std::ssize(places) < count; i++) {
    std::swap(starts[i], starts[i + below(starts.size() - i)]);
    int length = 1;
    while (length < longest_span && goes_on()) length++;
    for (auto place = starts[i]; is_free[place] && length > 0 && std::ssize(places) < count; place++, length--) {
      is_free[place] = false;
      places.push_back(place);
    }
  }
  std::ranges::sort(places);
  for (const auto place : places) {
    const auto lot = below(10);
    if (lot < 8) ids[place] = mask_;
    if (lot == 8) ids[place] = ordinary_[below(ordinary_.size())];
  }
  return places;
}

}  // namespace sartor
